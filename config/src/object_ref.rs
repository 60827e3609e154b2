//! The identity of an object.

use std::fmt;
use std::sync::Arc;

/// Identifies an object of any kind, in findings and as a key. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// For example `Ingress`.
    pub kind: Arc<str>,
    /// Empty for an object without namespace.
    pub namespace: Arc<str>,
    /// Empty if the manifest has no name.
    pub name: Arc<str>,
}

impl ObjectRef {
    /// An object without a valid name.
    pub(crate) fn unnamed(kind: &str) -> Self {
        Self { kind: kind.into(), namespace: Arc::default(), name: Arc::default() }
    }
}

/// For example `Ingress default/simple-ingress`.
impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        match (&*self.namespace, &*self.name) {
            (_, "") => Ok(()),
            ("", name) => write!(f, " {name}"),
            (namespace, name) => write!(f, " {namespace}/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_without_the_parts_that_are_not_there() {
        let of = |namespace: &str, name: &str| {
            let (namespace, name) = (namespace.into(), name.into());
            ObjectRef { kind: "Ingress".into(), namespace, name }.to_string()
        };
        assert_eq!(of("default", "web"), "Ingress default/web");
        assert_eq!(of("", "web"), "Ingress web");
        assert_eq!(ObjectRef::unnamed("Ingress").to_string(), "Ingress");
    }
}
