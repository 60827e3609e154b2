//! The text of a line of the access log, with Envoy's command operators.

use ingress_filter::table::Property;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::finding::quote;
use crate::manifest::nearest;

/// A line of text with Envoy's command operators. Envoy accepts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct LogText(pub(crate) String);

/// An invalid text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LogTextError {
    /// No text.
    #[error("is empty; write a line such as %START_TIME% %REQ(:METHOD)% %RESPONSE_CODE%")]
    Empty,
    /// A percent sign that begins no operator.
    #[error(
        "{} does not end with %; write operators as in %RESPONSE_CODE%, and %% for a percent sign",
        quote(.0)
    )]
    Unfinished(String),
    /// Not an operator of Envoy.
    #[error("{} is not a command operator of Envoy; {}", quote(.0), .1)]
    Unknown(String, String),
    /// An operator with an argument or a length that Envoy rejects.
    #[error("Envoy rejects {}; write {}", quote(.0), .1)]
    Form(String, String),
}

/// What an operator has in parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Argument {
    /// Nothing.
    None,
    /// Nothing, or any text.
    Any,
    /// Nothing, or a format of a time.
    Time,
    /// Nothing, or a format of gRPC's status.
    Format,
    /// A header, and another one if it is missing. A length is allowed.
    Header,
    /// A property of the filter, and how it is written. A length is allowed.
    State,
    /// Two points in time, and a unit.
    Interval,
}

/// Envoy's command operators that are of use here.
const OPERATORS: &[(&str, Argument)] = &[
    ("BYTES_RECEIVED", Argument::None),
    ("BYTES_SENT", Argument::None),
    ("COMMON_DURATION", Argument::Interval),
    ("CONNECTION_ID", Argument::None),
    ("CONNECTION_TERMINATION_DETAILS", Argument::None),
    ("DOWNSTREAM_DIRECT_REMOTE_ADDRESS", Argument::None),
    ("DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", Argument::Any),
    ("DOWNSTREAM_LOCAL_ADDRESS", Argument::None),
    ("DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", Argument::Any),
    ("DOWNSTREAM_LOCAL_PORT", Argument::None),
    ("DOWNSTREAM_REMOTE_ADDRESS", Argument::None),
    ("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Argument::Any),
    ("DOWNSTREAM_REMOTE_PORT", Argument::None),
    ("DOWNSTREAM_TLS_CIPHER", Argument::None),
    ("DOWNSTREAM_TLS_VERSION", Argument::None),
    ("DOWNSTREAM_TRANSPORT_FAILURE_REASON", Argument::None),
    ("DURATION", Argument::None),
    ("EMIT_TIME", Argument::Time),
    ("FILTER_CHAIN_NAME", Argument::None),
    ("FILTER_STATE", Argument::State),
    ("GRPC_STATUS", Argument::Format),
    ("GRPC_STATUS_NUMBER", Argument::None),
    ("HOSTNAME", Argument::None),
    ("PROTOCOL", Argument::None),
    ("REQ", Argument::Header),
    ("REQUESTED_SERVER_NAME", Argument::None),
    ("REQUEST_DURATION", Argument::None),
    ("REQUEST_HEADERS_BYTES", Argument::None),
    ("REQUEST_TX_DURATION", Argument::None),
    ("RESP", Argument::Header),
    ("RESPONSE_CODE", Argument::None),
    ("RESPONSE_CODE_DETAILS", Argument::Any),
    ("RESPONSE_DURATION", Argument::None),
    ("RESPONSE_FLAGS", Argument::None),
    ("RESPONSE_FLAGS_LONG", Argument::None),
    ("RESPONSE_HEADERS_BYTES", Argument::None),
    ("RESPONSE_TX_DURATION", Argument::None),
    ("START_TIME", Argument::Time),
    ("STREAM_ID", Argument::None),
    ("TRACE_ID", Argument::None),
    ("TRAILER", Argument::Header),
    ("UPSTREAM_CLUSTER", Argument::None),
    ("UPSTREAM_CLUSTER_RAW", Argument::None),
    ("UPSTREAM_HOST", Argument::None),
    ("UPSTREAM_LOCAL_ADDRESS", Argument::None),
    ("UPSTREAM_PROTOCOL", Argument::None),
    ("UPSTREAM_REMOTE_ADDRESS", Argument::None),
    ("UPSTREAM_REQUEST_ATTEMPT_COUNT", Argument::None),
    ("UPSTREAM_TLS_VERSION", Argument::None),
    ("UPSTREAM_TRANSPORT_FAILURE_REASON", Argument::None),
];

/// An operator of a text.
struct Operator<'t> {
    name: &'t str,
    /// `None` without parentheses.
    argument: Option<&'t str>,
    /// What follows a colon.
    length: Option<&'t str>,
}

impl TryFrom<String> for LogText {
    type Error = LogTextError;

    fn try_from(text: String) -> Result<Self, LogTextError> {
        let text = text.trim_end_matches('\n');
        if text.is_empty() {
            return Err(LogTextError::Empty);
        }
        let mut rest = text;
        while let Some((_, after)) = rest.split_once('%') {
            if let Some(after) = after.strip_prefix('%') {
                rest = after;
                continue;
            }
            let (operator, after) = Operator::parse(after)?;
            operator.check()?;
            rest = after;
        }
        Ok(Self(format!("{text}\n")))
    }
}

impl<'t> Operator<'t> {
    /// The operator with which `text` begins, without its first `%`, and the text after it.
    fn parse(text: &'t str) -> Result<(Self, &'t str), LogTextError> {
        let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let (name, mut rest) = text.split_at(text.find(|c| !is_part(c)).unwrap_or(text.len()));
        let unfinished =
            || LogTextError::Unfinished(format!("%{}", text.chars().take(30).collect::<String>()));
        let mut operator = Self { name, argument: None, length: None };
        if let Some(arguments) = rest.strip_prefix('(') {
            let (argument, after) = arguments.split_once(')').ok_or_else(unfinished)?;
            operator.argument = Some(argument);
            rest = after;
        }
        if let Some(length) = rest.strip_prefix(':') {
            let end = length.find('%').ok_or_else(unfinished)?;
            operator.length = Some(&length[..end]);
            rest = &length[end..];
        }
        let rest = rest.strip_prefix('%').ok_or_else(unfinished)?;
        Ok((operator, rest))
    }

    fn check(&self) -> Result<(), LogTextError> {
        let Self { name, length, .. } = *self;
        let known = OPERATORS.iter().find(|(known, _)| *known == name);
        let Some((_, argument)) = known else {
            let names: Vec<_> = OPERATORS.iter().map(|(name, _)| *name).collect();
            let hint = match nearest(name, &names) {
                Some(nearest) => format!("did you mean %{nearest}%?"),
                None => "docs/operating.md names those that are supported".to_owned(),
            };
            return Err(LogTextError::Unknown(format!("%{name}%"), hint));
        };
        let is_length = |length: &str| {
            argument.has_length() && !length.starts_with('+') && length.parse::<u64>().is_ok()
        };
        if argument.is_met_by(self.argument.unwrap_or_default()) && length.is_none_or(is_length) {
            return Ok(());
        }
        let argument_text = self.argument.map(|text| format!("({text})")).unwrap_or_default();
        let length = length.map(|text| format!(":{text}")).unwrap_or_default();
        Err(LogTextError::Form(format!("%{name}{argument_text}{length}%"), argument.remedy(name)))
    }
}

impl Argument {
    const fn has_length(self) -> bool {
        matches!(self, Self::Header | Self::State)
    }

    /// Whether Envoy accepts it. Empty parentheses are the same as none.
    fn is_met_by(self, text: &str) -> bool {
        // Envoy finds no operator if a line ends within the parentheses.
        if text.contains('\n') {
            return false;
        }
        match self {
            Self::None => text.is_empty(),
            Self::Any => true,
            Self::Time => !has_line_end(text),
            Self::Format => ["", "CAMEL_STRING", "SNAKE_STRING", "NUMBER"].contains(&text),
            Self::Header => match text.split_once('?') {
                None => is_header(text),
                Some((header, other)) => is_header(header) && is_header(other),
            },
            Self::State => match text.splitn(3, ':').collect::<Vec<_>>()[..] {
                [key] | [key, "PLAIN" | "TYPED"] => !key.is_empty(),
                [key, "FIELD", field] => !key.is_empty() && !field.is_empty(),
                _ => false,
            },
            Self::Interval => matches!(
                text.split(':').collect::<Vec<_>>()[..],
                [from, to] | [from, to, "ms" | "us" | "ns"] if !from.is_empty() && !to.is_empty()
            ),
        }
    }

    /// How to write the operator.
    fn remedy(self, name: &str) -> String {
        match self {
            Self::None => format!("%{name}%, which has no argument and no length"),
            Self::Any => format!("%{name}%, which has no length"),
            Self::Time => format!("%{name}% or %{name}(%Y-%m-%d)%, without %n and a length"),
            Self::Format => {
                format!("%{name}%, or one of CAMEL_STRING, SNAKE_STRING, NUMBER in parentheses")
            }
            Self::Header => format!(
                "a header as in %{name}(x-id)%, with another one as in %{name}(x-id?x-other)%, \
                 and with a length as in %{name}(x-id):10%"
            ),
            Self::State => format!("a property as in %{name}(wasm.ingress_route:PLAIN)%"),
            Self::Interval => {
                format!(
                    "two points in time and ms, us or ns, as in %{name}(DS_RX_BEG:DS_TX_END:ms)%"
                )
            }
        }
    }
}

/// Whether it may be the name of a header or of a pseudo-header.
fn is_header(text: &str) -> bool {
    let name = text.strip_prefix(':').unwrap_or(text);
    let is_part = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !name.is_empty() && name.chars().all(is_part)
}

/// Whether the format of a time has a directive for the end of a line, which Envoy rejects.
fn has_line_end(format: &str) -> bool {
    format.split('%').skip(1).any(|directive| {
        let directive = directive.trim_start_matches(['-', '_', '0', '^', '#']);
        let directive = directive.trim_start_matches(|c: char| c.is_ascii_digit());
        directive.strip_prefix(['E', 'O']).unwrap_or(directive).starts_with('n')
    })
}

impl LogText {
    /// Whether the text has a property that the filter stores.
    pub(super) fn shows(&self, property: Property) -> bool {
        self.0.contains(&format!("wasm.{}", property.name()))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use serde_json::json;

    use super::*;
    use crate::envoy_binary::find_or_fetch;

    fn text(text: &str) -> Result<LogText, String> {
        LogText::try_from(text.to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_text_has_operators_of_envoy() {
        for good in [
            "%START_TIME(%Y)% x", // The argument ends at the parenthesis.
            "%REQ(X?Y):10% %RESP(a-b)%",
            "100 %% %DURATION%",
            "%FILTER_STATE(wasm.ingress_route:PLAIN)%",
        ] {
            assert_eq!(text(good), Ok(LogText(format!("{good}\n"))));
        }
        for (bad, error) in [
            ("", "is empty"),
            ("%RESPONSE_COD%", "did you mean %RESPONSE_CODE%?"),
            ("50 % of", "does not end with %"),
            ("%REQ(x", "does not end with %"),
            ("%foo%", "does not end with %"),
            ("%REQ%", "write a header as in %REQ(x-id)%"),
            ("%PROTOCOL(x)%", "write %PROTOCOL%"),
        ] {
            let said = text(bad).unwrap_err();
            assert!(said.contains(error), "{bad}: {said}");
        }
    }

    /// The forms that are accepted here.
    fn accepted(argument: Argument) -> &'static [&'static str] {
        match argument {
            Argument::None => &["", "()"],
            Argument::Any => &["", "()", "(x)"],
            Argument::Time => &["", "()", "(%Y-%m-%dT%H:%M:%S.%3fZ)", "(%s)"],
            Argument::Format => &["", "(CAMEL_STRING)", "(SNAKE_STRING)", "(NUMBER)"],
            Argument::Header => &["(x)", "(:PATH)", "(a_b!#$%&'*+-.^`|~):5", "(a?:b):0"],
            Argument::State => &["(a)", "(a b:PLAIN):5", "(a:TYPED)", "(a:FIELD:b:c)"],
            Argument::Interval => &["(a:b)", "(a:b:ms)", "(a:b:us)", "(DS_RX_BEG:DS_TX_END:ns)"],
        }
    }

    /// Forms that are not, for any of these operators.
    fn rejected(argument: Argument) -> &'static [&'static str] {
        match argument {
            Argument::None => &["(x)", ":3"],
            Argument::Any => &[":3", "(x):3"],
            Argument::Time => &[":3", "(%n)", "(%-5n)", "(%En)", "(%%n)", "(\n)"],
            Argument::Format => &[":3", "(x)"],
            Argument::Header => &[
                "",
                "()",
                "(a?b?c)",
                "(a b)",
                "(a:b)",
                "(:)",
                "(\n)",
                "(x):",
                "(x):5x",
                "(x):+5",
                "(x):18446744073709551616",
            ],
            Argument::State => &["", "(:PLAIN)", "(a:FIELD)", "(a:FIELD:)", "(a:x)", "(a:x:c)"],
            Argument::Interval => &["", "(a)", "(a:b:s)", "(a:b:ms:c)", "(a:b):5"],
        }
    }

    /// Whether a real Envoy accepts it.
    fn envoy_accepts(text: &str) -> bool {
        let stdout =
            "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog";
        let manager = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
        let router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
        let format = json!({"text_format_source": {"inline_string": text}});
        let log = json!({"name": "log", "typed_config": {"@type": stdout, "log_format": format}});
        let manager = json!({
            "@type": manager,
            "stat_prefix": "http",
            "route_config": {},
            "http_filters": [{"name": "router", "typed_config": {"@type": router}}],
            "access_log": [log],
        });
        let listener = json!({
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
        });
        let bootstrap = json!({"static_resources": {"listeners": [listener]}}).to_string();
        let mut envoy = Command::new(find_or_fetch(None).unwrap());
        envoy.args(["--mode", "validate", "--concurrency", "1", "--config-yaml", &bootstrap]);
        let output = envoy.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let is_about_format = said.contains("error initializing configuration");
        assert!(output.status.success() || is_about_format, "{text}: {said}");
        output.status.success()
    }

    #[test]
    fn envoy_accepts_what_is_accepted() {
        let all = OPERATORS.iter().flat_map(|(name, argument)| {
            accepted(*argument).iter().map(move |form| format!("%{name}{form}%"))
        });
        let all: String = all.collect();
        let LogText(written) = text(&all).unwrap();
        assert!(envoy_accepts(&written), "{written}");
    }

    /// For the first operator with each argument, because each is a start of Envoy.
    #[test]
    fn what_is_rejected_would_be_by_envoy() {
        let mut tried = Vec::new();
        for (name, argument) in OPERATORS {
            for form in rejected(*argument) {
                let bad = format!("%{name}{form}%");
                assert!(text(&bad).is_err(), "{bad}");
                if !tried.contains(argument) {
                    assert!(!envoy_accepts(&bad), "{bad}");
                }
            }
            tried.push(*argument);
        }
    }
}
