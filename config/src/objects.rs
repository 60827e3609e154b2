//! Reads the Kubernetes objects that define what is served from manifests.
//!
//! Each reader reports invalid fields with their position, and leaves out only what
//! depends on them, not the whole object.

mod annotations;
pub(crate) mod endpoints;
mod host;
pub(crate) mod ingress;
pub(crate) mod ingress_class;
mod names;
mod object_name;
mod read;
pub(crate) mod route_rule;
pub(crate) mod secret;
pub(crate) mod service;

pub(crate) use crate::manifest::{Cursor, Located, Place, Reading};
pub(crate) use annotations::PREFIX as ANNOTATION_PREFIX;
pub use names::LabelError;
pub(crate) use names::{
    Labels, check_label, describe_labels, is_dns_label, is_dns_subdomain, is_named_well,
    is_object_name,
};
pub use object_name::{ObjectName, ObjectNameError};
pub(crate) use read::Read;
