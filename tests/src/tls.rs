//! TLS: a certificate authority, and a client that trusts only this authority.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use crate::client::{Answer, ask, connect, exchange};

/// An authority that issues certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub chain: String,
    /// Its key.
    pub key: String,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new authority, which no other client trusts.
    ///
    /// # Panics
    /// If it cannot be created.
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority");
        let root = params.self_signed(&key).expect("a certificate");
        Self { root: root.der().clone(), issuer: Issuer::new(params, key) }
    }

    /// Its own certificate.
    pub fn root(&self) -> CertificateDer<'static> {
        self.root.clone()
    }

    /// Its own certificate, in PEM, for clients that are other programs.
    pub fn pem(&self) -> String {
        pem::encode(&pem::Pem::new("CERTIFICATE", self.root.to_vec()))
    }

    /// A Secret with its own certificate.
    pub fn secret(&self, namespace: &str, name: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "stringData": {"ca.crt": self.pem()},
        })
    }

    /// A certificate for these hosts, valid from an hour ago for 90 days.
    ///
    /// # Panics
    /// If it cannot be created.
    pub fn issue(&self, hosts: &[&str]) -> Issued {
        self.issue_with(hosts, |_| ())
    }

    /// A certificate for these hosts, valid from `start` until `end`.
    ///
    /// # Panics
    /// If it cannot be created.
    pub fn issue_within(&self, hosts: &[&str], start: SystemTime, end: SystemTime) -> Issued {
        self.issue_with(hosts, |params| {
            params.not_before = start.into();
            params.not_after = end.into();
        })
    }

    /// A certificate for these hosts that requires an OCSP response (RFC 7633).
    /// Envoy rejects it without one; it is valid otherwise.
    ///
    /// # Panics
    /// If it cannot be created.
    pub fn issue_to_be_stapled(&self, hosts: &[&str]) -> Issued {
        // TLS Feature, with status_request alone.
        let (oid, content) = ([1, 3, 6, 1, 5, 5, 7, 1, 24], vec![0x30, 3, 2, 1, 5]);
        self.issue_with(hosts, |params| {
            params.custom_extensions.push(CustomExtension::from_oid_content(&oid, content));
        })
    }

    /// A certificate for these hosts with an RSA key; all others have keys for ECDSA.
    ///
    /// # Panics
    /// If it cannot be created.
    pub fn issue_rsa(&self, hosts: &[&str]) -> Issued {
        const FIXTURE: &str = include_str!("../../config/src/certificates/fixtures/rsa.pem");
        let sections = pem::parse_many(FIXTURE).expect("PEM");
        let key = sections.iter().find(|section| section.tag() == "PRIVATE KEY").expect("a key");
        let key = KeyPair::from_pem(&pem::encode(key)).expect("an RSA key");
        self.issue_for(&key, hosts, |_| ())
    }

    fn issue_with(&self, hosts: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Issued {
        self.issue_for(&KeyPair::generate().expect("a key"), hosts, change)
    }

    fn issue_for(
        &self,
        key: &KeyPair,
        hosts: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts).expect("names of hosts");
        let now = SystemTime::now();
        params.not_before = (now - Duration::from_hours(1)).into();
        params.not_after = (now + Duration::from_hours(90 * 24)).into();
        change(&mut params);
        let certificate = params.signed_by(key, &self.issuer).expect("a certificate");
        Issued { chain: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Issued {
    /// A Secret with this certificate.
    pub fn secret(&self, namespace: &str, name: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "type": "kubernetes.io/tls",
            "stringData": {"tls.crt": self.chain, "tls.key": self.key},
        })
    }

    /// The same certificate with an unsupported version of the key format (RFC
    /// 5915, section 3). Envoy rejects it, although the key itself is valid.
    ///
    /// # Panics
    /// If the key is not an EC key.
    #[must_use]
    pub fn with_strange_key(&self) -> Self {
        let section = pem::parse(&self.key).expect("PEM");
        let mut der = section.contents().to_vec();
        let version = [0x02, 0x01, 0x01, 0x04, 0x20];
        let at = der.windows(version.len()).position(|found| found == version);
        der[at.expect("a version") + 2] = 251;
        let key = pem::encode(&pem::Pem::new(section.tag(), der));
        Self { chain: self.chain.clone(), key }
    }

    /// The first certificate, in DER.
    ///
    /// # Panics
    /// If there is none.
    pub fn der(&self) -> Vec<u8> {
        CertificateDer::from_pem_slice(self.chain.as_bytes()).expect("a certificate").to_vec()
    }
}

/// A client that accepts only certificates of one authority, and makes a full
/// handshake for each connection.
#[derive(Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
}

impl TlsClient {
    /// Trusts `authority`, and offers `protocols` (ALPN); the server selects one.
    ///
    /// # Panics
    /// If the authority is not valid.
    pub fn new(authority: &Authority, protocols: &[&str]) -> Self {
        Self::with_versions(authority, protocols, rustls::ALL_VERSIONS)
    }

    /// The same client with only TLS 1.2.
    ///
    /// # Panics
    /// If the authority is not valid.
    pub fn tls_1_2(authority: &Authority) -> Self {
        Self::with_versions(authority, &[], &[&rustls::version::TLS12])
    }

    fn with_versions(
        authority: &Authority,
        protocols: &[&str],
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(authority.root.clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(versions).expect("versions of TLS");
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.resumption = Resumption::disabled();
        Self { config: Arc::new(config) }
    }

    /// Sends no server name (SNI) from now on; the certificate must still be valid
    /// for `host`.
    #[must_use]
    pub fn without_sni(&self) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.enable_sni = false;
        Self { config: Arc::new(config) }
    }

    /// The configuration of rustls.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// A connection to a server whose certificate must be valid for `host`.
    ///
    /// # Errors
    /// If it is not, or is from another authority, or if the handshake fails.
    ///
    /// # Panics
    /// If no server listens there, or `host` is not a valid name.
    pub fn connect(&self, address: SocketAddr, host: &str) -> io::Result<TlsConnection> {
        self.handshake(connect(address), host)
    }

    /// As [`Self::connect`], on an existing connection.
    ///
    /// # Errors
    /// If the certificate is not valid for `host`, or is from another authority, or
    /// if the handshake fails.
    ///
    /// # Panics
    /// If `host` is not a valid name.
    pub fn handshake(&self, stream: TcpStream, host: &str) -> io::Result<TlsConnection> {
        let name = ServerName::try_from(host.to_owned()).expect("the name of a host");
        let tls = ClientConnection::new(self.config(), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(tls, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(TlsConnection { stream })
    }

    /// The response to a GET on a new connection, over HTTP/1.1.
    ///
    /// # Errors
    /// If there is no connection.
    ///
    /// # Panics
    /// If there is no response.
    pub fn get(&self, address: SocketAddr, host: &str, path: &str) -> io::Result<Answer> {
        Ok(self.connect(address, host)?.get(host, path))
    }
}

/// An encrypted connection.
pub struct TlsConnection {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

impl TlsConnection {
    /// The certificate of the server.
    ///
    /// # Panics
    /// If it has none.
    pub fn certificate(&self) -> Vec<u8> {
        let chain = self.stream.conn.peer_certificates().expect("certificates");
        chain.first().expect("a certificate").to_vec()
    }

    /// The negotiated protocol (ALPN).
    pub fn protocol(&self) -> Option<&[u8]> {
        self.stream.conn.alpn_protocol()
    }

    /// The version of TLS.
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.stream.conn.protocol_version()
    }

    /// The response to a GET over HTTP/1.1.
    ///
    /// # Panics
    /// If there is no response.
    pub fn get(&mut self, authority: &str, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\n\r\n");
        exchange(&mut self.stream, request.as_bytes())
    }

    /// The response to a GET over HTTP/1.1.
    ///
    /// # Errors
    /// If there is no response, or only part of one.
    pub fn ask(&mut self, authority: &str, path: &str) -> io::Result<Answer> {
        ask(&mut self.stream, authority, path)
    }
}

/// Whether a server rejects a client that supports at most TLS 1.1, with the alert
/// for that (RFC 5246 section 7.2.2).
///
/// # Panics
/// If no server listens there.
pub fn refuses_tls_1_1(address: SocketAddr) -> bool {
    const PROTOCOL_VERSION: u8 = 70;
    // TLS 1.1, random, no session, TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, no
    // compression, no extensions.
    let body = [&[3, 2][..], &[7; 32], &[0, 0, 2, 0xc0, 0x09, 1, 0, 0, 0]].concat();
    let len = |bytes: &[u8]| u8::try_from(bytes.len()).expect("a short message");
    let hello = [&[1, 0, 0, len(&body)][..], &body].concat();
    let record = [&[22, 3, 1, 0, len(&hello)][..], &hello].concat();
    let mut stream = connect(address);
    stream.write_all(&record).expect("a message is sent");
    let mut answer = [0; 7];
    let is_answered = stream.read_exact(&mut answer).is_ok();
    is_answered && answer[0] == 21 && answer[5..] == [2, PROTOCOL_VERSION]
}
