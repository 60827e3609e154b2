//! The identity of an object.

use std::fmt;
use std::sync::Arc;

/// Names an object of any kind: in findings, and where one is looked up. Cheap
/// to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// As in `Ingress`.
    pub kind: Arc<str>,
    /// Empty for an object that is in none.
    pub namespace: Arc<str>,
    /// Empty where a manifest gives none.
    pub name: Arc<str>,
}

impl ObjectRef {
    /// An object without a usable name.
    pub(crate) fn unnamed(kind: &str) -> Self {
        Self { kind: kind.into(), namespace: Arc::default(), name: Arc::default() }
    }
}

/// As in `Ingress default/simple-ingress`.
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
