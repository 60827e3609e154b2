//! Annotations of this gateway on objects of other APIs.

use super::Cursor;
use crate::finding::Code;
use crate::manifest::nearest;

/// The prefix of all of them.
pub(crate) const PREFIX: &str = "ingressctl/";

/// The annotations of this gateway on an object. Those that are not among `known`, names
/// without the prefix, are findings.
pub(super) fn read_own<'a>(annotations: &'a Cursor<'a>, known: &[&'static str]) -> Own<'a> {
    let mut own = Vec::new();
    for (key, field) in annotations.fields() {
        let Some(name) = key.name.strip_prefix(PREFIX) else { continue };
        if let Some(known) = known.iter().find(|known| **known == name) {
            own.push((*known, field));
            continue;
        }
        let remedy = match nearest(name, known) {
            Some(meant) => format!("did you mean {PREFIX}{meant}?"),
            None => format!("known here: {PREFIX}{}", known.join(&format!(", {PREFIX}"))),
        };
        field.report(Code::UnknownAnnotation, format!("unknown annotation; {remedy}"));
    }
    Own(own)
}

/// See [`read_own`].
#[derive(Default)]
pub(super) struct Own<'a>(Vec<(&'static str, Cursor<'a>)>);

impl<'a> Own<'a> {
    pub(super) fn get(&self, name: &str) -> Option<&Cursor<'a>> {
        self.0.iter().find(|(own, _)| *own == name).map(|(_, field)| field)
    }
}
