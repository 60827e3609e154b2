//! Hosts with certificates, in a separate namespace.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ingress_tests::{
    ApiServer, Authority, Gateway, Issued, Namespace, Service, TlsClient, Upstream, machine_ip,
    meanwhile, wait_until,
};
use serde_json::json;

use crate::setup::{host_to, ingress};

/// A service, and an authority for the certificates of its hosts. The gateway has
/// no permission to read Secrets yet.
pub(crate) struct Site<'a> {
    pub(crate) namespace: Namespace<'a>,
    pub(crate) authority: Authority,
    pub(crate) client: TlsClient,
    /// `NAMESPACE/NAME` of the default certificate, so that tests do not share one.
    pub(crate) default: String,
    _upstream: Upstream,
}

impl<'a> Site<'a> {
    pub(crate) fn create(api: &'a ApiServer, name: &str) -> Self {
        let namespace = api.namespace(name);
        let upstream = Upstream::start_on(machine_ip(), "web");
        namespace.create(&Service::new("web").at(&upstream).manifests());
        let authority = Authority::new();
        let client = TlsClient::new(&authority, &[]);
        let default = format!("{name}/default");
        Self { namespace, authority, client, default, _upstream: upstream }
    }

    /// The permissions on Secrets that these manifests need.
    pub(crate) fn allow(&self, ingresses: &[String]) {
        self.namespace.allow_secrets(ingresses, &self.default);
    }

    /// Creates Ingresses, and grants the permissions for them.
    pub(crate) fn create_allowed(&self, ingresses: &[String]) {
        self.allow(ingresses);
        for ingress in ingresses {
            self.namespace.create(ingress);
        }
    }

    /// Creates a Secret with a new certificate for these hosts.
    pub(crate) fn create_secret(&self, name: &str, hosts: &[&str]) -> Issued {
        let issued = self.authority.issue(hosts);
        self.namespace.create(&self.secret(name, &issued));
        issued
    }

    /// Replaces the certificate in a Secret with a new one for these hosts.
    pub(crate) fn replace_secret(&self, name: &str, hosts: &[&str]) -> Issued {
        let issued = self.authority.issue(hosts);
        self.replace(&self.secret(name, &issued));
        issued
    }

    pub(crate) fn secret(&self, name: &str, issued: &Issued) -> String {
        issued.secret(&self.namespace.name, name).to_string()
    }

    pub(crate) fn replace(&self, manifest: &str) {
        self.namespace.run_with(&["replace", "-f", "-"], manifest).unwrap();
    }

    /// The flags of its gateway.
    pub(crate) fn flags(&self) -> [&str; 2] {
        ["--default-certificate", &self.default]
    }

    /// The certificate that a client gets for the server name `host`; `None` if
    /// there is no certificate for it.
    pub(crate) fn certificate(&self, gateway: &Gateway, host: &str) -> Option<Vec<u8>> {
        // Nothing listens before there is a certificate.
        TcpStream::connect(gateway.https()).ok()?;
        let connection = self.client.connect(gateway.https(), host).ok()?;
        Some(connection.certificate())
    }

    /// Waits until clients of `host` get that certificate, and the service.
    #[track_caller]
    pub(crate) fn wait_for(&self, gateway: &Gateway, host: &str, issued: &Issued) -> Duration {
        wait_until(&format!("the certificate for {host}"), || {
            // The next connection may be on a worker that still has the old
            // listener.
            let answer = || self.client.get(gateway.https(), host, "/").ok();
            self.certificate(gateway, host) == Some(issued.der())
                && answer().is_some_and(|answer| answer.by() == "web")
        })
    }

    /// Continuously requests `/` from `host`, over new connections and over ones
    /// that are kept for a while, while `during` runs. All requests must succeed.
    pub(crate) fn under_load<T>(
        &self,
        gateway: &Gateway,
        host: &str,
        during: impl FnOnce() -> T,
    ) -> T {
        self.under_load_of(gateway.https(), host, during)
    }

    /// The same for a gateway that is restarted itself.
    pub(crate) fn under_load_of<T>(
        &self,
        https: SocketAddr,
        host: &str,
        during: impl FnOnce() -> T,
    ) -> T {
        let ask = || {
            let mut connection = self.client.connect(https, host).unwrap();
            for _ in 0..5 {
                assert_eq!(connection.get(host, "/").by(), "web");
            }
        };
        let (result, connections) = meanwhile(1, ask, during);
        println!("{} requests for {host}, none failed", connections * 5);
        result
    }
}

/// An Ingress with hosts, each with the name of its Secret.
pub(crate) fn secure(name: &str, hosts: &[(&str, &str)]) -> String {
    let mut spec = json!({"rules": [], "tls": []});
    for (host, secret) in hosts {
        let rule = host_to(host, "web")["rules"][0].take();
        spec["rules"].as_array_mut().unwrap().push(rule);
        let entry = json!({"hosts": [host], "secretName": secret});
        spec["tls"].as_array_mut().unwrap().push(entry);
    }
    ingress(name, &spec)
}
