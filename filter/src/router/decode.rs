//! Converts a table from the flat form to JSON.

use super::{PathKind, Root, Route, Target, TlsHost, VirtualHost};
use crate::error::{Broken, LoadError};
use crate::flat::{Bytes, FlatTable, List, Text};
use crate::rules::Backend;
use crate::table::{self, PathMatch, Property, RouteTable, VERSION};

impl FlatTable {
    /// Converts the table to JSON. The result has the same effect as the original and
    /// encodes to the same bytes. The conditions of a rule may be in another order,
    /// and an IP address is written as a network with its prefix length.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub fn decode(&self) -> Result<RouteTable, LoadError> {
        let (bytes, root) = (self.reader(), self.root::<Root>()?);
        let backends: Vec<Backend> = bytes.collect(root.backends)?;
        let virtual_hosts = bytes.list(root.virtual_hosts)?.iter();
        let tls_hosts = bytes.list(root.tls_hosts)?.iter();
        let default = bytes.option(root.default)?;
        Ok(RouteTable {
            version: VERSION,
            name: bytes.string(root.name)?,
            record: root.record(),
            sanitized_by_envoy: root.sanitized_by_envoy,
            fixed_random: bytes.option(root.fixed_random)?,
            virtual_hosts: virtual_hosts
                .map(|host| host?.decode(&backends, bytes))
                .collect::<Result<_, _>>()?,
            default_backend: default.map(|it| it.decode(&backends, bytes)).transpose()?,
            backends: backends.iter().map(|it| it.decode(bytes)).collect::<Result<_, _>>()?,
            tls_hosts: tls_hosts.map(|host| host?.decode(bytes)).collect::<Result<_, _>>()?,
            https_port: root.https_port,
        })
    }
}

impl Root {
    fn record(&self) -> Vec<Property> {
        let properties = [
            (self.records_route, Property::IngressRoute),
            (self.records_rule, Property::RouteRule),
            (self.records_fault, Property::Fault),
        ];
        let recorded = properties.into_iter().filter(|(is_recorded, _)| *is_recorded);
        recorded.map(|(_, property)| property).collect()
    }
}

impl VirtualHost {
    fn decode(&self, backends: &[Backend], bytes: Bytes<'_>) -> Result<table::VirtualHost, Broken> {
        let routes = bytes.list(self.routes)?.iter();
        Ok(table::VirtualHost {
            hosts: decode_hosts(self.hosts, bytes)?,
            routes: routes.map(|it| it?.decode(backends, bytes)).collect::<Result<_, _>>()?,
            no_default_backend: self.no_default_backend,
        })
    }
}

impl Route {
    fn decode(&self, backends: &[Backend], bytes: Bytes<'_>) -> Result<table::Route, Broken> {
        let path = bytes.string(self.path)?;
        let path = match self.kind {
            PathKind::Exact => PathMatch::Exact(path),
            PathKind::Prefix => PathMatch::Prefix(path),
            PathKind::StringPrefix => PathMatch::StringPrefix(path),
            PathKind::Regex => PathMatch::Regex(path),
        };
        let table::Target { backend, port, source, count_as, plaintext } =
            self.target.decode(backends, bytes)?;
        Ok(table::Route { path, backend, port, source, count_as, plaintext })
    }
}

impl Target {
    fn decode(&self, backends: &[Backend], bytes: Bytes<'_>) -> Result<table::Target, Broken> {
        let backend = backends.get(self.backend as usize).ok_or(Broken)?;
        Ok(table::Target {
            backend: backend.name(bytes)?.to_owned(),
            port: self.port.map(|port| backend.port_name(bytes, port)).transpose()?,
            source: bytes.string(self.source)?,
            count_as: bytes.string(self.count_as)?,
            plaintext: self.plaintext.plaintext(),
        })
    }
}

impl TlsHost {
    fn decode(&self, bytes: Bytes<'_>) -> Result<table::TlsHost, Broken> {
        Ok(table::TlsHost {
            hosts: decode_hosts(self.hosts, bytes)?,
            certificate: bytes.string(self.certificate)?,
        })
    }
}

fn decode_hosts(hosts: List<Text>, bytes: Bytes<'_>) -> Result<Vec<String>, Broken> {
    bytes.list(hosts)?.iter().map(|host| bytes.string(host?)).collect()
}
