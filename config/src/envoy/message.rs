//! The common parts of messages of Envoy's API. Each is one type with two encodings:
//! protobuf for xDS, by prost, and JSON for files, by serde. Fields, numbers and
//! types are those of the v3 API
//! (<https://www.envoyproxy.io/docs/envoy/latest/api-v3/api>), reduced to the
//! fields that the ingress sets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{self, DecodeContext, WireType};
use prost::{DecodeError, Message};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::settings::TimeLimit;

/// A message that can be in an [`Any`].
pub(crate) trait Typed: Message + Serialize + Default {
    /// `type.googleapis.com/` and the message's full name.
    const TYPE_URL: &'static str;
}

/// Implements [`Typed`] for messages by their full names.
macro_rules! typed {
    ($($message:ty = $name:literal),+ $(,)?) => {
        $(impl crate::envoy::message::Typed for $message {
            const TYPE_URL: &'static str = concat!("type.googleapis.com/", $name);
        })+
    };
}
pub(super) use typed;

/// How the values of an enumeration are written in JSON.
macro_rules! json_names {
    ($enumeration:ty { $($value:ident = $name:literal),+ $(,)? }) => {
        impl $enumeration {
            fn json<S: serde::Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
                match Self::try_from(*value) {
                    $(Ok(Self::$value) => serializer.serialize_str($name),)+
                    // Protobuf's JSON accepts numbers, too.
                    Err(_) => serializer.serialize_i32(*value),
                }
            }
        }
    };
}
pub(super) use json_names;

/// Makes an enum of messages a message, which is encoded as its variant, and decoded as
/// the first one.
macro_rules! any_message {
    ($enumeration:ident { $first:ident($message:ty), $($other:ident),+ $(,)? }) => {
        impl Default for $enumeration {
            fn default() -> Self {
                Self::$first(<$message>::default())
            }
        }

        impl prost::Message for $enumeration {
            fn encode_raw(&self, buffer: &mut impl prost::bytes::BufMut) {
                match self {
                    Self::$first(message) => message.encode_raw(buffer),
                    $(Self::$other(message) => message.encode_raw(buffer),)+
                }
            }

            fn merge_field(
                &mut self,
                tag: u32,
                wire_type: prost::encoding::WireType,
                buffer: &mut impl prost::bytes::Buf,
                context: prost::encoding::DecodeContext,
            ) -> Result<(), prost::DecodeError> {
                match self {
                    Self::$first(message) => message.merge_field(tag, wire_type, buffer, context),
                    $(Self::$other(message) => {
                        message.merge_field(tag, wire_type, buffer, context)
                    })+
                }
            }

            fn encoded_len(&self) -> usize {
                match self {
                    Self::$first(message) => message.encoded_len(),
                    $(Self::$other(message) => message.encoded_len(),)+
                }
            }

            fn clear(&mut self) {
                *self = Self::default();
            }
        }
    };
}
pub(super) use any_message;

/// Whether a field has its default value, which is not encoded.
pub(super) fn is_unset<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// `google.protobuf.Any` with a message whose type is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Any<T>(pub(crate) T);

impl<T: Typed> Message for Any<T> {
    fn encode_raw(&self, buffer: &mut impl BufMut) {
        encoding::string::encode(1, &T::TYPE_URL.to_owned(), buffer);
        encoding::message::encode(2, &self.0, buffer);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buffer: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            2 => encoding::message::merge(wire_type, &mut self.0, buffer, context),
            _ => encoding::skip_field(wire_type, tag, buffer, context),
        }
    }

    fn encoded_len(&self) -> usize {
        encoding::string::encoded_len(1, &T::TYPE_URL.to_owned())
            + encoding::message::encoded_len(2, &self.0)
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

impl<T: Typed> Serialize for Any<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Json<'m, T> {
            #[serde(rename = "@type")]
            type_url: &'static str,
            #[serde(flatten)]
            message: &'m T,
        }
        Json { type_url: T::TYPE_URL, message: &self.0 }.serialize(serializer)
    }
}

/// A name and a configuration in field `TAG`: an extension, a filter, a transport
/// socket, an access log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Named<T, const TAG: u32> {
    name: String,
    config: Any<T>,
}

/// `core.v3.TypedExtensionConfig`.
pub(crate) type Extension<T> = Named<T, 2>;

/// `listener.v3.ListenerFilter`, `core.v3.TransportSocket`.
pub(super) type Socket<T> = Named<T, 3>;

/// `listener.v3.Filter`, `accesslog.v3.AccessLog`, and a filter of the HTTP
/// connection manager.
pub(super) type Filter<T> = Named<T, 4>;

impl<T, const TAG: u32> Named<T, TAG> {
    pub(super) fn new(name: &str, config: T) -> Self {
        Self { name: name.to_owned(), config: Any(config) }
    }

    pub(super) fn config(&self) -> &T {
        &self.config.0
    }
}

impl<T: Typed, const TAG: u32> Message for Named<T, TAG> {
    fn encode_raw(&self, buffer: &mut impl BufMut) {
        encoding::string::encode(1, &self.name, buffer);
        encoding::message::encode(TAG, &self.config, buffer);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buffer: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            1 => encoding::string::merge(wire_type, &mut self.name, buffer, context),
            tag if tag == TAG => {
                encoding::message::merge(wire_type, &mut self.config, buffer, context)
            }
            _ => encoding::skip_field(wire_type, tag, buffer, context),
        }
    }

    fn encoded_len(&self) -> usize {
        encoding::string::encoded_len(1, &self.name)
            + encoding::message::encoded_len(TAG, &self.config)
    }

    fn clear(&mut self) {
        self.name.clear();
        self.config.clear();
    }
}

impl<T: Typed, const TAG: u32> Serialize for Named<T, TAG> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(Some(2))?;
        fields.serialize_entry("name", &self.name)?;
        fields.serialize_entry("typed_config", &self.config)?;
        fields.end()
    }
}

/// `google.protobuf.Duration` of whole milliseconds.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Duration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

impl Duration {
    pub(super) const fn seconds(seconds: u32) -> Self {
        // Lossless; `From` is not const.
        Self { seconds: seconds as i64, nanos: 0 }
    }

    pub(super) const fn milliseconds(milliseconds: u32) -> Self {
        // Lossless: the remainder is less than 1,000.
        let nanos = (milliseconds % 1_000).cast_signed() * 1_000_000;
        Self { nanos, ..Self::seconds(milliseconds / 1_000) }
    }
}

impl From<TimeLimit> for Duration {
    fn from(limit: TimeLimit) -> Self {
        Self::milliseconds(limit.milliseconds())
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.nanos {
            0 => serializer.collect_str(&format_args!("{}s", self.seconds)),
            nanos => serializer.collect_str(&format_args!("{}.{nanos:09}s", self.seconds)),
        }
    }
}

/// Protobuf's JSON represents 64-bit numbers as text.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub(super) fn number_as_text<S: Serializer>(
    number: &i64,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

/// A message without fields, or without fields that are set.
#[derive(Clone, Copy, PartialEq, Message, Serialize)]
pub(super) struct Empty {}

/// `google.protobuf.StringValue` as a separate message.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct StringValue {
    #[prost(string, tag = "1")]
    pub(super) value: String,
}

/// `google.protobuf.BytesValue` as a separate message.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct BytesValue {
    #[prost(bytes = "vec", tag = "1")]
    #[serde(serialize_with = "base64_json")]
    pub(super) value: Vec<u8>,
}

/// Protobuf's JSON encodes bytes in base64.
fn base64_json<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(bytes))
}

typed! {
    BytesValue = "google.protobuf.BytesValue",
    StringValue = "google.protobuf.StringValue",
}
