//! The access log: which requests, which fields, and where to.

use std::fmt;
use std::str::FromStr;

use ingress_filter::table::Property;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::log_text::LogText;
use super::percentage::Percentage;
use super::read_path;

/// The access log, unless it is off. In the file, `true` is the default log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog(pub(crate) Option<LogOptions>);

/// The options of the access log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LogOptions {
    /// Log each request as a line of JSON with these fields; by default, all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fields: Option<Vec<LogField>>,
    /// Log each request as a line of this text instead, with the command operators of
    /// Envoy, such as `%RESPONSE_CODE%`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<LogText>,
    /// Append to this file on Envoy's machine instead of standard output.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    #[serde(deserialize_with = "read_file", skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// Log only requests with errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) only: Option<OnlyErrors>,
    /// Log only this percentage of the requests, selected at random.
    #[cfg_attr(feature = "schema", schemars(with = "Option<f64>"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) percent: Option<Percentage>,
}

/// Which requests are errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum OnlyErrors {
    /// Requests with a status of 400 or above.
    Errors,
    /// Requests with a status of 500 or above.
    ServerErrors,
}

/// Declares the fields with their names and Envoy's command operators.
macro_rules! fields {
    ($($field:ident = $operator:literal, $text:literal;)+) => {
        /// A field of the access log as JSON.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "snake_case")]
        pub enum LogField {
            $(#[doc = $text] $field,)+
        }

        impl LogField {
            /// All fields, which are the default.
            pub(crate) const ALL: &[Self] = &[$(Self::$field),+];

            /// Envoy's command operator.
            pub(crate) const fn operator(self) -> &'static str {
                match self { $(Self::$field => $operator),+ }
            }
        }
    };
}

fields! {
    Time = "%START_TIME%", "When the request began.";
    Client = "%DOWNSTREAM_REMOTE_ADDRESS%", "The address of the client.";
    Method = "%REQ(:METHOD)%", "The method.";
    Authority = "%REQ(:AUTHORITY)%", "The host and port of the request.";
    Path = "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%", "The path and query, as the client sent them.";
    Protocol = "%PROTOCOL%", "The version of HTTP.";
    Status = "%RESPONSE_CODE%", "The status of the response; 0 if the client disconnected before.";
    Flags = "%RESPONSE_FLAGS%", "Envoy's flags, such as UF if the upstream could not be reached.";
    Details = "%RESPONSE_CODE_DETAILS%", "Where the status comes from.";
    BytesReceived = "%BYTES_RECEIVED%", "The size of the request's body.";
    BytesSent = "%BYTES_SENT%", "The size of the response's body.";
    DurationMs = "%DURATION%", "From the first byte of the request to the last of the response.";
    RequestId = "%REQ(X-REQUEST-ID)%", "The header x-request-id.";
    Cluster = "%UPSTREAM_CLUSTER_RAW%", "The upstream: a port of a Service.";
    Upstream = "%UPSTREAM_HOST%", "The address of the endpoint.";
    IngressRoute = "%FILTER_STATE(wasm.ingress_route:PLAIN)%", "The Ingress path, as namespace/name#rule.path.";
    RouteRule = "%FILTER_STATE(wasm.route_rule:PLAIN)%", "The RouteRule that applied, as namespace/name.";
    Fault = "%FILTER_STATE(wasm.fault:PLAIN)%", "The injected fault.";
}

impl LogField {
    /// The name in the file and in the log.
    pub(crate) fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            // A unit variant is a string.
            _ => String::new(),
        }
    }
}

impl LogOptions {
    /// The fields of a line of JSON.
    pub(crate) fn fields(&self) -> &[LogField] {
        self.fields.as_deref().unwrap_or(LogField::ALL)
    }

    fn shows(&self, property: Property) -> bool {
        match &self.text {
            Some(text) => text.shows(property),
            None => self.fields().iter().any(|field| field.name() == property.name()),
        }
    }
}

impl AccessLog {
    /// No log.
    pub const OFF: Self = Self(None);

    /// All fields of all requests, to standard output.
    pub fn on() -> Self {
        Self(Some(LogOptions::default()))
    }

    /// Whether the log needs a property that the filter stores.
    pub(crate) fn shows(&self, property: Property) -> bool {
        self.0.as_ref().is_some_and(|options| options.shows(property))
    }
}

/// The flag only switches the default log on or off.
impl FromStr for AccessLog {
    type Err = AccessLogError;

    fn from_str(text: &str) -> Result<Self, AccessLogError> {
        match text {
            "true" => Ok(Self::on()),
            "false" => Ok(Self::OFF),
            _ => Err(AccessLogError::Flag),
        }
    }
}

/// An invalid access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AccessLogError {
    /// Neither true nor false.
    #[error("is not true or false; write other options into the file of --settings")]
    Flag,
    /// Neither a boolean nor options.
    #[error("is not true or false; write one of them, or a mapping such as {{only: errors}}")]
    Shape,
    /// Two formats.
    #[error("fields and text exclude each other; remove one of the two")]
    TwoFormats,
    /// A log without fields.
    #[error("fields is empty; name some fields, or write accessLog: false")]
    NoFields,
}

impl Serialize for AccessLog {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            None => serializer.serialize_bool(false),
            Some(options) if *options == LogOptions::default() => serializer.serialize_bool(true),
            Some(options) => options.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for AccessLog {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BoolOrMap;

        impl<'de> Visitor<'de> for BoolOrMap {
            type Value = AccessLog;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, or a mapping")
            }

            fn visit_bool<E>(self, is_on: bool) -> Result<AccessLog, E> {
                Ok(if is_on { AccessLog::on() } else { AccessLog::OFF })
            }

            fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<AccessLog, E> {
                Err(E::custom(AccessLogError::Shape))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AccessLog, A::Error> {
                let options = LogOptions::deserialize(MapAccessDeserializer::new(map))?;
                if options.fields.is_some() && options.text.is_some() {
                    return Err(A::Error::custom(AccessLogError::TwoFormats));
                }
                if options.fields.as_ref().is_some_and(Vec::is_empty) {
                    return Err(A::Error::custom(AccessLogError::NoFields));
                }
                Ok(AccessLog(Some(options)))
            }
        }

        deserializer.deserialize_any(BoolOrMap)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for AccessLog {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AccessLog".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let options = generator.subschema_for::<LogOptions>();
        schemars::json_schema!({"anyOf": [{"type": "boolean"}, options]})
    }
}

fn read_file<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    read_path(value).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_properties_that_are_shown_are_stored() {
        let shown = |yaml: &str| {
            let log: AccessLog = serde_saphyr::from_str(yaml).unwrap();
            Property::ALL.into_iter().filter(|it| log.shows(*it)).collect::<Vec<_>>()
        };
        assert_eq!(shown("true"), Property::ALL);
        assert_eq!(shown("false"), []);
        assert_eq!(shown("fields: [time, route_rule]"), [Property::RouteRule]);
        let text = r#"text: "%FILTER_STATE(wasm.ingress_route:PLAIN)%""#;
        assert_eq!(shown(text), [Property::IngressRoute]);
    }
}
