//! Manifests as a tenant may write them.

use std::net::{Ipv4Addr, SocketAddr};

use ingress_filter::Router;
use ingressctl::compile::compile;
use ingressctl::envoy::{Admin, EnvoyFiles, Layout, Listening};
use ingressctl::manifest::read_text;
use ingressctl::settings::Settings;

/// Compiles manifests: the result, including Envoy's configuration, is complete,
/// and each finding has a position.
///
/// # Panics
/// If it is not.
pub fn manifests(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let settings = Settings { regex_paths: true, ..Settings::default() };
    let compiled = compile(&read_text("f.yaml", text), &settings);
    let flat = compiled.gateway.table.flat().expect("a table that may be served");
    let router = Router::from_flat(flat.clone()).expect("the encoded table");
    assert_eq!(
        usize::try_from(router.size().1).ok(),
        Some(compiled.gateway.table.virtual_hosts.len())
    );
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listening = Listening { http: address, https: address, admin: Admin::Socket, probe: None };
    EnvoyFiles::new(&compiled.gateway, &settings, listening, &Layout::new("/envoy"))
        .expect("files for Envoy");
    for finding in &compiled.findings {
        assert!(!finding.to_string().contains('\n'), "{finding}");
    }
    router.size().0 > 0
}
