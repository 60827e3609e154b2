//! Services whose endpoints are upstreams of the test. In a cluster, Kubernetes
//! would write these endpoints.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use serde_json::{Value, json};

use crate::upstream::Upstream;

/// The address of this machine for endpoints, because the API rejects loopback
/// addresses.
///
/// # Panics
/// If the machine has no such address.
pub fn machine_ip() -> IpAddr {
    // Sends nothing; the system only selects the source address. The remote address
    // is reserved for documentation (RFC 5737).
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket
        .connect("198.51.100.1:9")
        .and_then(|()| socket.local_addr())
        .expect("no address except loopback; connect this machine to a network for these tests")
        .ip()
}

/// A Service and its endpoints.
#[derive(Clone, Debug)]
pub struct Service {
    name: String,
    ports: Vec<(String, u16)>,
    annotations: BTreeMap<String, String>,
    endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug)]
struct Endpoint {
    address: SocketAddr,
    pod: Option<(String, Value)>,
}

impl Service {
    /// A Service with one port, 80, called `http`.
    pub fn new(name: &str) -> Self {
        Self::with_ports(name, &[("http", 80)])
    }

    /// A Service with these ports, all with the same endpoints.
    pub fn with_ports(name: &str, ports: &[(&str, u16)]) -> Self {
        let ports = ports.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect();
        let (annotations, endpoints) = (BTreeMap::new(), Vec::new());
        Self { name: name.to_owned(), ports, annotations, endpoints }
    }

    /// Adds an annotation.
    #[must_use]
    pub fn annotated(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Adds an endpoint.
    #[must_use]
    pub fn at(mut self, upstream: &Upstream) -> Self {
        self.endpoints.push(Endpoint { address: upstream.address, pod: None });
        self
    }

    /// Adds an endpoint with this address.
    #[must_use]
    pub fn at_address(mut self, address: SocketAddr) -> Self {
        self.endpoints.push(Endpoint { address, pod: None });
        self
    }

    /// Adds an endpoint that belongs to a pod with that name and these labels.
    #[must_use]
    pub fn at_pod(self, upstream: &Upstream, pod: &str, labels: &[(&str, &str)]) -> Self {
        self.at_pod_address(upstream.address, pod, labels)
    }

    /// As [`Self::at_pod`], with this address.
    #[must_use]
    pub fn at_pod_address(
        mut self,
        address: SocketAddr,
        pod: &str,
        labels: &[(&str, &str)],
    ) -> Self {
        let labels: Value = labels.iter().map(|(key, value)| (*key, *value)).collect();
        self.endpoints.push(Endpoint { address, pod: Some((pod.to_owned(), labels)) });
        self
    }

    /// The Service, its EndpointSlices and its pods.
    pub fn manifests(&self) -> String {
        self.list(self.endpoints.iter().enumerate().map(|(index, endpoint)| {
            json!({
                "apiVersion": "discovery.k8s.io/v1beta1", "kind": "EndpointSlice",
                "metadata": {
                    "name": format!("{}-{index}", self.name),
                    "labels": {"kubernetes.io/service-name": self.name},
                },
                "addressType": "IPv4", "ports": self.endpoint_ports(endpoint),
                "endpoints": [{
                    "addresses": [endpoint.address.ip()],
                    "conditions": {"ready": true},
                    "targetRef": endpoint.target_ref(),
                }],
            })
        }))
    }

    /// The Service, its Endpoints and its pods, for an API without EndpointSlices.
    pub fn manifests_with_endpoints(&self) -> String {
        let subsets = self.endpoints.iter().map(|endpoint| {
            json!({
                "addresses": [{"ip": endpoint.address.ip(), "targetRef": endpoint.target_ref()}],
                "ports": self.endpoint_ports(endpoint),
            })
        });
        let subsets: Vec<_> = subsets.collect();
        let metadata = json!({"name": self.name});
        let endpoints = json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets});
        self.list(std::iter::once(endpoints))
    }

    /// A list with the Service, its pods and `more`.
    fn list(&self, more: impl Iterator<Item = Value>) -> String {
        let ports = self.ports.iter().map(|(name, port)| json!({"name": name, "port": port}));
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": self.name, "annotations": self.annotations},
            "spec": {"ports": ports.collect::<Vec<_>>()},
        });
        let pods = self.endpoints.iter().filter_map(|endpoint| {
            let (name, labels) = endpoint.pod.as_ref()?;
            Some(json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
                "spec": {"containers": [{"name": "server", "image": "none"}]},
            }))
        });
        let items: Vec<_> = std::iter::once(service).chain(pods).chain(more).collect();
        json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
    }

    fn endpoint_ports(&self, endpoint: &Endpoint) -> Value {
        let port = endpoint.address.port();
        self.ports.iter().map(|(name, _)| json!({"name": name, "port": port})).collect()
    }
}

impl Endpoint {
    fn target_ref(&self) -> Value {
        let reference = |(name, _): &(String, Value)| json!({"kind": "Pod", "name": name});
        self.pod.as_ref().map_or(Value::Null, reference)
    }
}
