//! The class that an Ingress names. It is read first, because problems of Ingresses of
//! other classes are not reported.

use crate::objects::Reading;

/// The annotation that names a class, which is older than the field and has precedence.
pub(crate) const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// The name of the class, and the field that has it. A name that is not a string is `None`, with
/// a finding.
#[derive(Debug)]
pub(crate) enum NamedClass {
    Annotation(Option<Box<str>>),
    Field(Option<Box<str>>),
    Nowhere,
}

impl NamedClass {
    pub(crate) fn read(reading: &Reading<'_>) -> Self {
        let root = reading.root();
        // A null value is present, too, and matches no class.
        if reading.object().annotation(CLASS_ANNOTATION).is_some() {
            let metadata = root.field("metadata");
            let annotations = metadata.as_ref().and_then(|metadata| metadata.field("annotations"));
            let name = annotations.as_ref().and_then(|field| field.string(CLASS_ANNOTATION));
            return Self::Annotation(name.map(Box::from));
        }
        let spec = root.field("spec");
        match spec.as_ref().and_then(|spec| spec.field("ingressClassName")) {
            Some(field) => Self::Field(field.as_string().map(Box::from)),
            None => Self::Nowhere,
        }
    }
}
