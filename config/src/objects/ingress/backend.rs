//! The backend of a path: a port of a service in the namespace of the Ingress.

use super::Syntax;
use crate::finding::Code;
use crate::objects::{Cursor, Located, Place};

const NAME_SERVICE: &str = "name a service of this namespace. The path answers 503";
const NAME_PORT: &str = "give port.number or port.name. The path answers 503";

/// A backend.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) service: Located<Box<str>>,
    pub(crate) port: Located<BackendPort>,
    syntax: Syntax,
    /// The indexes of its rule and path; `None` for the default backend.
    path: Option<(usize, usize)>,
}

/// The port of a service in a backend.
#[derive(Debug)]
pub(crate) enum BackendPort {
    Number(u16),
    Name(Box<str>),
}

type ServicePort = (Located<Box<str>>, Located<BackendPort>);

impl Backend {
    /// `None`, with a finding, if it does not name a port of a service.
    pub(super) fn read(
        cursor: &Cursor<'_>,
        syntax: Syntax,
        path: Option<(usize, usize)>,
    ) -> Option<Self> {
        if !cursor.expect_mapping_as(syntax.backend_example()) || syntax.refuse_other(cursor) {
            return None;
        }
        let (service, port) = match syntax {
            Syntax::Flat => read_flat(cursor),
            Syntax::Nested => read_nested(cursor),
        }?;
        Some(Self { service, port, syntax, path })
    }

    /// The position of the service's name.
    pub(crate) fn service_place(&self) -> Place {
        let field = match self.syntax {
            Syntax::Flat => "serviceName",
            Syntax::Nested => "service.name",
        };
        Place::new(self.service.at, format!("{}.{field}", self.field()))
    }

    /// The position of the port.
    pub(crate) fn port_place(&self) -> Place {
        let field = match (self.syntax, &self.port.value) {
            (Syntax::Flat, _) => "servicePort",
            (Syntax::Nested, BackendPort::Number(_)) => "service.port.number",
            (Syntax::Nested, BackendPort::Name(_)) => "service.port.name",
        };
        Place::new(self.port.at, format!("{}.{field}", self.field()))
    }

    fn field(&self) -> String {
        match self.path {
            Some((rule, path)) => format!("spec.rules[{rule}].http.paths[{path}].backend"),
            None => format!("spec.{}", self.syntax.default_backend()),
        }
    }
}

fn read_flat(cursor: &Cursor<'_>) -> Option<ServicePort> {
    cursor.only(&["serviceName", "servicePort", "resource"]);
    if refuse_resource(cursor) {
        return None;
    }
    let name = cursor.required("serviceName", NAME_SERVICE)?;
    let port =
        cursor.required("servicePort", "name a port of the service. The path answers 503")?;
    let port_ref = match port.node().as_str() {
        Some(name) => BackendPort::Name(name.into()),
        None => BackendPort::Number(port.as_port()?),
    };
    Some((name.located(name.as_string()?.into()), port.located(port_ref)))
}

fn read_nested(cursor: &Cursor<'_>) -> Option<ServicePort> {
    cursor.only(&["service", "resource"]);
    if refuse_resource(cursor) {
        return None;
    }
    let service = cursor
        .required("service", "give service.name and service.port. The path answers 503")
        .filter(|service| service.expect_mapping_as("{name: web, port: {number: 80}}"))?;
    service.only(&["name", "port"]);
    let name = service.required("name", NAME_SERVICE)?;
    let port = service
        .required("port", NAME_PORT)
        .filter(|port| port.expect_mapping_as("{number: 80} or {name: http}"))?;
    port.only(&["number", "name"]);
    let port_ref = match (port.field("number"), port.field("name")) {
        // Programs write empty values, which people omit.
        (Some(number), Some(text)) if number.node().as_i64() == Some(0) => {
            text.located(BackendPort::Name(text.as_string()?.into()))
        }
        (Some(number), Some(text)) if text.node().as_str() == Some("") => {
            number.located(BackendPort::Number(number.as_port()?))
        }
        (Some(number), other) => {
            if let Some(other) = other {
                let message = "has no effect together with number; remove one of the two";
                other.report(Code::FieldIgnored, message);
            }
            number.located(BackendPort::Number(number.as_port()?))
        }
        (None, Some(text)) => text.located(BackendPort::Name(text.as_string()?.into())),
        (None, None) => {
            port.report(Code::FieldMissing, format!("is empty; {NAME_PORT}"));
            return None;
        }
    };
    Some((name.located(name.as_string()?.into()), port_ref))
}

/// Whether the backend is another resource, such as an object store; adds a finding.
fn refuse_resource(cursor: &Cursor<'_>) -> bool {
    let resource = cursor.field("resource");
    if let Some(resource) = &resource {
        let message = "is not supported; use a service. The path answers 503";
        resource.report(Code::ResourceBackendNotSupported, message);
    }
    resource.is_some()
}
