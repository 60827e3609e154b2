//! The module without Envoy: the same binary, in the test host.

use ingress_filter::{FlatTable, RouteTable};
use ingressctl::compile::{Compiled, compile};
use ingressctl::manifest::read_text;
use ingressctl::offline_module::offline_module;
use ingressctl::settings::Settings;
use proxy_wasm_test::{ExchangeRecord, Module, Plugin};

/// The module with the route table of manifests.
pub struct Offline {
    plugin: Plugin,
}

impl Offline {
    /// The module itself, compiled once for all tests.
    ///
    /// # Panics
    /// If it is not a Proxy-Wasm module.
    pub fn module() -> &'static Module {
        offline_module().expect("a Proxy-Wasm module")
    }

    /// The module with the route table of `manifests`.
    ///
    /// # Panics
    /// If the module rejects the table.
    pub fn of_manifests(manifests: &str, settings: &Settings) -> Self {
        let Compiled { gateway, .. } = compile(&read_text("manifests.yaml", manifests), settings);
        Self::of_flat(gateway.table.flat().expect("a table that may be served"))
    }

    /// The module with this route table.
    ///
    /// # Panics
    /// If the module rejects the table.
    pub fn of_table(table: &RouteTable) -> Self {
        Self::of_flat(&FlatTable::encode(table).expect("a table that may be served"))
    }

    fn of_flat(table: &FlatTable) -> Self {
        let plugin = Plugin::new(Self::module()).expect("the module starts");
        let taken = plugin.configure(table.bytes()).expect("no trap");
        assert!(taken, "refused: {:?}", plugin.activity());
        Self { plugin }
    }

    /// The decision of the module about a request with these headers.
    ///
    /// # Panics
    /// If it traps.
    pub fn request(&self, headers: &[(&str, &[u8])]) -> ExchangeRecord {
        let mut exchange = self.plugin.exchange().expect("no trap");
        exchange.request_headers(headers.to_vec(), true).expect("no trap");
        exchange.finish().expect("no trap")
    }

    /// The service for a GET, or the status of the filter's own response.
    pub fn get(&self, authority: &str, path: &str) -> String {
        let record = self.request(&[
            (":method", b"GET"),
            (":authority", authority.as_bytes()),
            (":path", path.as_bytes()),
        ]);
        match &record.local_reply {
            Some(reply) => reply.status.to_string(),
            None => cluster_of(&record).split('.').next().unwrap_or_default().to_owned(),
        }
    }

    /// The plugin itself.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }
}

/// The cluster that the module chose.
fn cluster_of(record: &ExchangeRecord) -> String {
    let value = record.request.headers.get("x-ingress-cluster").unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}
