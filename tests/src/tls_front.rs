//! An upstream's TLS: it ends TLS and forwards what is inside to another server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::tls::{Authority, Issued};
use crate::upstream::listening;

/// A server for TLS in front of another one; stopped when dropped.
pub struct TlsFront {
    _runtime: Runtime,
    /// Its address.
    pub address: SocketAddr,
    handshakes: Arc<Mutex<Vec<Handshake>>>,
}

/// A completed handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The server name (SNI) that the client sent.
    pub server_name: Option<String>,
    /// The negotiated protocol (ALPN).
    pub protocol: Option<String>,
    /// The certificate of the client, in DER.
    pub client: Option<Vec<u8>>,
}

impl TlsFront {
    /// Forwards connections to `target`, with this certificate.
    ///
    /// # Panics
    /// If it cannot listen, or the certificate is not valid.
    pub fn start(certificate: &Issued, target: SocketAddr) -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), certificate, target, None)
    }

    /// The same, for clients with a certificate of this authority only.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn for_clients_of(clients: &Authority, certificate: &Issued, target: SocketAddr) -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), certificate, target, Some(clients))
    }

    /// The same, on this address of the machine.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn start_on(
        ip: IpAddr,
        certificate: &Issued,
        target: SocketAddr,
        clients: Option<&Authority>,
    ) -> Self {
        let config = Arc::new(config(certificate, clients));
        let (runtime, listener, address) = listening(ip);
        let handshakes = Arc::default();
        runtime.spawn(accept(listener, config.into(), target, Arc::clone(&handshakes)));
        Self { _runtime: runtime, address, handshakes }
    }

    /// The handshakes since the last call.
    ///
    /// # Panics
    /// If the server has panicked.
    pub fn take_handshakes(&self) -> Vec<Handshake> {
        std::mem::take(&mut *self.handshakes.lock().expect("a healthy server"))
    }
}

fn config(certificate: &Issued, clients: Option<&Authority>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().expect("versions of TLS");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.root()).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
    };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(certificate.chain.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).expect("a key");
    let config = builder.with_single_cert(chain.expect("certificates"), key);
    let mut config = config.expect("a certificate and its key");
    config.alpn_protocols = ["h2", "http/1.1"].map(|name| name.as_bytes().to_vec()).to_vec();
    config
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    target: SocketAddr,
    handshakes: Arc<Mutex<Vec<Handshake>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, handshakes) = (acceptor.clone(), Arc::clone(&handshakes));
        tokio::spawn(async move {
            let Ok(mut inside) = acceptor.accept(stream).await else { return };
            let connection = inside.get_ref().1;
            let protocol = connection.alpn_protocol();
            handshakes.lock().expect("a healthy test").push(Handshake {
                server_name: connection.server_name().map(str::to_owned),
                protocol: protocol.map(|name| String::from_utf8_lossy(name).into_owned()),
                client: connection
                    .peer_certificates()
                    .and_then(|chain| Some(chain.first()?.to_vec())),
            });
            let Ok(mut target) = TcpStream::connect(target).await else { return };
            let _ = copy_bidirectional(&mut inside, &mut target).await;
        });
    }
}
