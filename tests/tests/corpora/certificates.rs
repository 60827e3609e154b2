//! Envoy accepts the certificates that pass our checks.

use std::fs;

use ingress_tests::fuzz::{ServedCertificate, certificates};
use ingress_tests::validate;
use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair};
use serde_json::{Value, json};

use super::corpus;

#[test]
fn envoy_takes_each_certificate_that_passes() {
    let files = corpus("certificates");
    let served = files.iter().filter_map(|file| {
        let input = fs::read(file).expect("an input");
        Some((file, certificates(&input)?))
    });
    let served: Vec<_> = served.collect();
    assert!(served.len() > 6, "{} of {} pass", served.len(), files.len());
    let pairs: Vec<_> = served.iter().map(|(_, pair)| pair).collect();
    if let Err(reason) = envoy_takes(&pairs) {
        let refused: Vec<_> =
            served.iter().filter(|(_, pair)| envoy_takes(&[pair]).is_err()).collect();
        let refused: Vec<_> = refused.iter().map(|(file, _)| file).collect();
        panic!("{reason}\nEnvoy rejects {refused:#?}");
    }
}

/// Our checks report a warning, because clients decide.
#[test]
fn envoy_takes_a_certificate_with_a_malformed_extension() {
    let kinds = [
        (14, "subjectKeyIdentifier"),
        (17, "subjectAltName"),
        (19, "basicConstraints"),
        (30, "nameConstraints"),
        (31, "cRLDistributionPoints"),
        (35, "authorityKeyIdentifier"),
        (37, "extKeyUsage"),
    ];
    let served = kinds.map(|(number, name)| {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, "one.example");
        let nothing = vec![5, 0];
        let extension = CustomExtension::from_oid_content(&[2, 5, 29, number], nothing);
        params.custom_extensions.push(extension);
        let key = KeyPair::generate().expect("a key");
        let chain = params.self_signed(&key).expect("a certificate").pem();
        let served = certificates(format!("{chain}{}", key.serialize_pem()).as_bytes());
        let served = served.unwrap_or_else(|| panic!("{name} is served"));
        let is_told = |warning: &String| warning.contains(&format!("extension {name} of"));
        assert!(served.warnings.iter().any(is_told), "{name}: {:?}", served.warnings);
        served
    });
    envoy_takes(&served.each_ref()).expect("Envoy accepts them");
}

/// Validates a listener with all of these certificates.
fn envoy_takes(pairs: &[&ServedCertificate]) -> Result<(), String> {
    let chains: Vec<_> =
        pairs.iter().enumerate().map(|(index, pair)| filter_chain(index, pair)).collect();
    let listener = json!({
        "name": "https",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "listener_filters": [{
            "name": "tls_inspector",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"},
        }],
        "filter_chains": chains,
    });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("envoy.json");
    let bootstrap = json!({"static_resources": {"listeners": [listener]}});
    fs::write(&path, bootstrap.to_string()).expect("a configuration is written");
    let output = validate(&path);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or(said)
}

fn filter_chain(index: usize, pair: &ServedCertificate) -> Value {
    json!({
        "filter_chain_match": {"server_names": [format!("host{index}.example")]},
        "filters": [{
            "name": "echo",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"},
        }],
        "transport_socket": {
            "name": "tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {"tls_certificates": [{
                    "certificate_chain": {"inline_string": pair.chain},
                    "private_key": {"inline_string": pair.key},
                }]},
            },
        },
    })
}
