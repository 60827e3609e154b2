//! The class that an Ingress says it is of. It is read before everything else:
//! what is wrong with an Ingress of another class is not ours to tell.

use crate::objects::Reading;

/// The annotation that names a class, older than the field and stronger.
pub(crate) const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// Where the class is named. A name that is not a string is none, and a finding.
#[derive(Debug)]
pub(crate) enum NamedClass {
    Annotation(Option<Box<str>>),
    Field(Option<Box<str>>),
    Nowhere,
}

impl NamedClass {
    pub(crate) fn read(reading: &Reading<'_>) -> Self {
        let root = reading.root();
        // One that is null is there too, and names nobody's class.
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
