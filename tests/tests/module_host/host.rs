//! Scenarios in the host.

use std::collections::BTreeMap;
use std::time::Duration;

use proxy_wasm_test::{
    Activity, Answer, Error, ErrorKind, HeaderMap, Host, Message, MetricType, Module, Options,
    Outcome as Step, PeerType, Plugin, Sent as SentPart,
};

use crate::grpc;
use crate::scenario::{Fields, Got, Outcome, Scenario, Sent};

/// The outcome of a scenario.
pub(crate) fn run(scenario: &Scenario) -> Outcome {
    let mut run = Run { log: Vec::new(), root_lines: 0, outcome: Outcome::default() };
    let result = match scenario.second() {
        Some(second) => run.both(scenario, &second),
        None => run.all(scenario),
    };
    if let Err(error) = result {
        run.failed(&error);
    }
    run.outcome.log = run.log;
    run.outcome
}

/// Starts the module of a scenario, or says why it does not start.
pub(crate) fn starts(scenario: &Scenario) -> Result<(), String> {
    start(&Host::new(), scenario).map(drop).map_err(|error| error.to_string())
}

fn start(host: &Host, scenario: &Scenario) -> Result<Plugin, Error> {
    let wasm = wat::parse_str(scenario.module.text()).expect("valid text");
    let module = Module::new(wasm)?;
    let options = Options::default()
        .vm_id(scenario.vm_id())
        .configuration(scenario.configuration.as_str())
        .vm_configuration(scenario.vm_configuration.as_str())
        .property(&["plugin_name"], scenario.key.as_str())
        .property(&["xds", "node", "id"], "the node")
        .clusters([scenario.key.as_str(), grpc::CLUSTER]);
    host.plugin(&module, options)
}

struct Run {
    log: Vec<String>,
    /// The lines of the root context that are in the log.
    root_lines: usize,
    outcome: Outcome,
}

fn text(line: &proxy_wasm_test::LogLine) -> String {
    String::from_utf8_lossy(&line.message).into_owned()
}

impl Run {
    fn failed(&mut self, error: &Error) {
        match error.kind() {
            ErrorKind::EnvoyCrash { .. } => self.outcome.crashed = true,
            ErrorKind::Trap { callback, .. } => {
                let callback = callback.trim_start_matches("proxy_on_");
                self.log.push(format!("! {callback}"));
            }
            _ => {
                self.log.push(format!("! {error}"));
            }
        }
    }

    /// Adds the lines of the root context since the last time.
    fn root(&mut self, activity: &Activity) {
        self.log.extend(activity.log[self.root_lines..].iter().map(text));
        self.root_lines = activity.log.len();
    }

    fn all(&mut self, scenario: &Scenario) -> Result<(), Error> {
        let plugin = start(&Host::new(), scenario)?;
        self.root(&plugin.activity());
        if let Some(line) = &scenario.idle_until {
            while !self.log.contains(line) {
                plugin.advance(Duration::from_millis(1))?;
                self.root(&plugin.activity());
            }
        } else if let Some((client, upstream)) = &scenario.tcp {
            self.tcp(scenario, &plugin, client, upstream)?;
        } else {
            self.http(scenario, &plugin)?;
        }
        self.outcome.metrics = metrics(scenario, &plugin);
        let activity = plugin.shut_down()?;
        self.root(&activity);
        Ok(())
    }

    /// Two filters of one listener, each with its own exchange. The second one's log comes last.
    fn both(&mut self, first: &Scenario, second: &Scenario) -> Result<(), Error> {
        let host = Host::new();
        let plugins = [start(&host, first)?, start(&host, second)?];
        let mut other = Self { log: Vec::new(), root_lines: 0, outcome: Outcome::default() };
        let mut runs = [&mut *self, &mut other];
        let mut exchanges = [plugins[0].exchange()?, plugins[1].exchange()?];
        let mut lines = [0, 0];
        for (run, plugin) in runs.iter_mut().zip(&plugins) {
            run.root(&plugin.activity());
        }
        for exchange in &mut exchanges {
            exchange.request_headers(request_head(&first.request), !first.request.goes_on())?;
        }
        for (index, run) in runs.iter_mut().enumerate() {
            run.note(&plugins[index], &exchanges[index], &mut lines[index]);
        }
        assert_eq!(exchanges[1].request_outcome(), Step::Continue, "the second module goes on");
        for (index, (run, mut exchange)) in runs.iter_mut().zip(exchanges).enumerate() {
            exchange.response_headers(response_head(&first.response), false)?;
            run.rest(&plugins[index], &first.response, &mut exchange, &mut lines[index], false)?;
            let record = exchange.finish()?;
            run.log.extend(record.activity.log[lines[index]..].iter().map(text));
            run.outcome.upstream = got(&record.request, record.request_sent);
            run.outcome.client = got(&record.response, record.response_sent);
        }
        for (run, plugin) in runs.iter_mut().zip(plugins) {
            run.root(&plugin.shut_down()?);
        }
        self.log.extend(other.log);
        Ok(())
    }

    fn tcp(
        &mut self,
        scenario: &Scenario,
        plugin: &Plugin,
        client: &str,
        upstream: &str,
    ) -> Result<(), Error> {
        let mut connection = plugin.connection()?;
        connection.set_property(&["xds", "cluster_name"], scenario.key.as_str());
        let step = connection.downstream_data(client, false)?;
        let mut over = step == Step::Closed;
        if step == Step::Pause {
            over = true;
            connection.downstream_data("", true)?;
        }
        if !over {
            over = connection.upstream_data(upstream, false)? == Step::Closed;
        }
        if !over {
            connection.downstream_data("", true)?;
            connection.upstream_data("", true)?;
        }
        let record = connection.finish_by(PeerType::Local)?;
        self.log.extend(record.activity.log.iter().map(text));
        let got = |bytes: &[u8]| Got {
            body: String::from_utf8_lossy(bytes).into_owned(),
            ..Got::default()
        };
        self.outcome.upstream = (!record.to_upstream.is_empty()).then(|| got(&record.to_upstream));
        self.outcome.client = Some(got(&record.to_downstream));
        Ok(())
    }

    fn http(&mut self, scenario: &Scenario, plugin: &Plugin) -> Result<(), Error> {
        let mut exchange = plugin.exchange()?;
        for (part, value) in [
            ("cluster_name", scenario.key.as_str()),
            ("route_name", "the route"),
            ("virtual_host_name", "the virtual host"),
        ] {
            exchange.set_property(&["xds", part], value);
        }
        let mut lines = 0;
        let mut result = self.steps(scenario, plugin, &mut exchange, &mut lines);
        let record = if result.is_ok() {
            match exchange.finish() {
                Ok(record) => record,
                Err(error) => {
                    let record = error.record().cloned().unwrap_or_default();
                    result = Err(error);
                    record
                }
            }
        } else {
            exchange.record()
        };
        self.log
            .extend(record.activity.log[lines.min(record.activity.log.len())..].iter().map(text));
        self.outcome.upstream = got(&record.request, record.request_sent);
        if scenario.leaves_at.is_none() {
            self.outcome.client = got(&record.response, record.response_sent);
        }
        self.root(&plugin.activity());
        result
    }

    fn steps(
        &mut self,
        scenario: &Scenario,
        plugin: &Plugin,
        exchange: &mut proxy_wasm_test::Exchange<'_>,
        lines: &mut usize,
    ) -> Result<(), Error> {
        let request = &scenario.request;
        exchange.request_headers(request_head(request), !request.goes_on())?;
        self.note(plugin, exchange, lines);
        self.tick(plugin, exchange, lines, exchange.request_outcome())?;
        self.rest(plugin, request, exchange, lines, true)?;
        self.answer_calls(plugin, exchange, lines)?;
        self.tick(plugin, exchange, lines, exchange.request_outcome())?;
        if exchange.record().request_sent != SentPart::All
            || exchange.response_outcome() != Step::Continue
        {
            return Ok(());
        }
        let response = &scenario.response;
        exchange.response_headers(response_head(response), !response.goes_on())?;
        self.note(plugin, exchange, lines);
        self.tick(plugin, exchange, lines, exchange.response_outcome())?;
        self.rest(plugin, response, exchange, lines, false)?;
        self.tick(plugin, exchange, lines, exchange.response_outcome())
    }

    /// Lets the module's timer expire, if the exchange is paused and it has one.
    fn tick(
        &mut self,
        plugin: &Plugin,
        exchange: &proxy_wasm_test::Exchange<'_>,
        lines: &mut usize,
        outcome: Step,
    ) -> Result<(), Error> {
        if outcome == Step::Pause && plugin.tick_period().is_some() {
            plugin.advance(Duration::from_millis(1))?;
            self.root(&plugin.activity());
            self.note(plugin, exchange, lines);
        }
        Ok(())
    }

    fn rest(
        &mut self,
        plugin: &Plugin,
        sent: &Sent,
        exchange: &mut proxy_wasm_test::Exchange<'_>,
        lines: &mut usize,
        request: bool,
    ) -> Result<(), Error> {
        if !sent.goes_on() {
            return Ok(());
        }
        let mut body = |run: &mut Self, piece: &str, end| {
            if request {
                exchange.request_body(piece, end)?;
            } else {
                exchange.response_body(piece, end)?;
            }
            run.note(plugin, exchange, lines);
            Ok(())
        };
        for piece in &sent.pieces {
            body(self, piece, false)?;
        }
        if sent.trailers.is_empty() {
            return body(self, "", true);
        }
        if request {
            exchange.request_trailers(map(&sent.trailers))?;
        } else {
            exchange.response_trailers(map(&sent.trailers))?;
        }
        self.note(plugin, exchange, lines);
        Ok(())
    }

    /// Answers the calls of the module as the upstream does.
    fn answer_calls(
        &mut self,
        plugin: &Plugin,
        exchange: &proxy_wasm_test::Exchange<'_>,
        lines: &mut usize,
    ) -> Result<(), Error> {
        for call in plugin.http_calls() {
            let path = call.request.headers.get_str(":path").unwrap_or_default().to_owned();
            let response = Message::new([
                (":status", "201"),
                ("x-callout", "one"),
                ("transfer-encoding", "chunked"),
                ("x-envoy-upstream-service-time", "0"),
            ])
            .body("callout")
            .trailers([("x-callout-trailer", "one")]);
            match path.as_str() {
                "/callout" => plugin.answer(call.token, Answer::Response(response))?,
                "/callout-reset" => plugin.answer(call.token, Answer::Failure)?,
                _ => plugin.advance(call.timeout.unwrap_or_default())?,
            }
            self.root(&plugin.activity());
            self.note(plugin, exchange, lines);
        }
        grpc::answer(plugin, || {
            self.root(&plugin.activity());
            self.note(plugin, exchange, lines);
        })
    }

    /// Adds the lines since the last time: first those of the exchange.
    fn note(
        &mut self,
        plugin: &Plugin,
        exchange: &proxy_wasm_test::Exchange<'_>,
        lines: &mut usize,
    ) {
        let log = exchange.record().activity.log;
        self.log.extend(log[*lines..].iter().map(text));
        *lines = log.len();
        self.root(&plugin.activity());
    }
}

/// What the other side gets, if it gets something.
fn got(message: &Message, sent: SentPart) -> Option<Got> {
    let headers = |headers: &HeaderMap| {
        let mut fields: Fields = headers
            .iter()
            .map(|(name, value)| {
                let text =
                    |bytes: &[u8]| -> String { bytes.iter().copied().map(char::from).collect() };
                (text(name), text(value))
            })
            .filter(|(name, _)| !crate::envoy::HOP.contains(&name.as_str()) && name != ":scheme")
            .collect();
        fields.sort();
        fields
    };
    (sent != SentPart::Nothing).then(|| Got {
        headers: headers(&message.headers),
        body: String::from_utf8_lossy(&message.body).into_owned(),
        trailers: message.trailers.as_ref().map(headers).unwrap_or_default(),
        cut_off: sent != SentPart::All,
    })
}

fn request_head(request: &Sent) -> HeaderMap {
    let (method, path) = request.start.split_once(' ').expect("a method and a path");
    let mut head: Fields = Vec::new();
    for (name, value) in
        [(":authority", "example.com"), (":path", path), (":method", method), (":scheme", "http")]
    {
        head.push((name.to_owned(), value.to_owned()));
    }
    head.extend(request.headers.clone());
    head.push(("x-forwarded-proto".to_owned(), "http".to_owned()));
    map(&head)
}

fn response_head(response: &Sent) -> HeaderMap {
    let mut head = vec![(":status".to_owned(), response.start.clone())];
    head.extend(response.headers.clone());
    if response.chunked() {
        head.push(("transfer-encoding".to_owned(), "chunked".to_owned()));
    }
    map(&head)
}

fn map(fields: &Fields) -> HeaderMap {
    let fields: Vec<_> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    HeaderMap::from(fields)
}

fn metrics(scenario: &Scenario, plugin: &Plugin) -> BTreeMap<String, u64> {
    let prefix = format!("{}.", scenario.key);
    let metric = |metric: proxy_wasm_test::Metric| {
        let name = String::from_utf8_lossy(&metric.name).into_owned();
        Some((name.strip_prefix(&prefix)?.to_owned(), metric.value))
    };
    let is_number = |metric: &proxy_wasm_test::Metric| metric.metric_type != MetricType::Histogram;
    plugin.metrics().into_iter().filter(is_number).filter_map(metric).collect()
}
