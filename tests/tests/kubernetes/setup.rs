//! Ingresses for tests.

pub(crate) use ingress_tests::ingresses::{
    all_to, host_to, ingress, ingress_of, object, path, rule, unclassed,
};
