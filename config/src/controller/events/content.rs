//! The content and name of an Event.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::controller::reports::{Options, Report};
use crate::digest::hex;
use crate::finding::{Finding, Severity, one_line};

use super::ledger::Key;

/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/>
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const INSTANCE: &str = "app.kubernetes.io/instance";
const US: &str = "ingressctl";

/// The namespace of Events on cluster-scoped objects; the API accepts no other.
const CLUSTER_NAMESPACE: &str = "default";

/// The longest name of an object.
const MAX_NAME: usize = 253;

/// The longest value of a label.
const MAX_LABEL: usize = 63;

/// The longest message: what `events.k8s.io` allows for a note.
const MAX_MESSAGE: usize = 1024;

/// The longest name of an instance there.
const MAX_INSTANCE: usize = 128;

/// The reporter of Events.
pub(super) struct Author {
    instance: String,
    controller: String,
    identity: String,
}

impl Author {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            instance: label_value(&options.installation),
            controller: options.controller.clone(),
            identity: cut(&options.identity, MAX_INSTANCE).to_owned(),
        }
    }

    /// The labels of all Events of this installation, and of no others.
    fn labels(&self) -> [(&'static str, &str); 2] {
        [(MANAGED_BY, US), (INSTANCE, &self.instance)]
    }

    /// Selects all Events of this installation.
    pub(super) fn selector(&self) -> String {
        self.labels().map(|(key, value)| format!("{key}={value}")).join(",")
    }

    /// The key of the Event of `report`. The same finding about the same object
    /// has the same name for every reporter.
    pub(super) fn key(&self, report: &Report) -> Key {
        let subject = &report.subject;
        let Finding { severity, field, message, .. } = &report.finding;
        let mut hasher = Sha256::new();
        let field = field.as_deref().unwrap_or_default();
        for part in [&*self.instance, &*subject.uid, &severity.to_string(), field, message] {
            hasher.update(part.len().to_le_bytes());
            hasher.update(part);
        }
        let hash = hex(&hasher.finalize()[..8]);
        let longest = MAX_NAME - hash.len() - 1;
        let name = cut(&subject.name, longest).trim_end_matches(['.', '-']);
        let namespace =
            if subject.namespace.is_empty() { CLUSTER_NAMESPACE } else { &subject.namespace };
        Key { namespace: namespace.to_owned(), name: format!("{name}.{hash}") }
    }

    /// The Event of `report` with `key`.
    pub(super) fn event(&self, key: &Key, report: &Report) -> Event {
        let subject = &report.subject;
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let reason = match report.finding.severity {
            Severity::Error => "Invalid",
            Severity::Warning => "Doubtful",
            Severity::Note => "Noted",
        };
        let labels = self.labels().map(|(key, value)| (key.to_owned(), value.to_owned()));
        let now = Time(Timestamp::now());
        Event {
            metadata: ObjectMeta {
                name: text(&key.name),
                namespace: text(&key.namespace),
                labels: Some(BTreeMap::from(labels)),
                ..ObjectMeta::default()
            },
            involved_object: ObjectReference {
                api_version: text(&subject.api_version),
                kind: text(&subject.kind),
                namespace: text(&subject.namespace),
                name: text(&subject.name),
                uid: text(&subject.uid),
                ..ObjectReference::default()
            },
            type_: text("Warning"),
            reason: text(reason),
            message: Some(message(&report.finding)),
            first_timestamp: Some(now.clone()),
            last_timestamp: Some(now),
            count: Some(1),
            source: Some(EventSource { component: text(&self.controller), host: None }),
            reporting_component: text(&self.controller),
            reporting_instance: text(&self.identity),
            ..Event::default()
        }
    }
}

fn message(finding: &Finding) -> String {
    let message = match &finding.field {
        Some(field) => format!("{field}: {}", finding.message),
        None => finding.message.clone(),
    };
    let (message, code) = (one_line(&message), format!(" [{}]", finding.code));
    let room = MAX_MESSAGE.saturating_sub(code.len());
    if message.len() <= room {
        return message + &code;
    }
    format!("{}…{code}", cut(&message, room.saturating_sub("…".len())))
}

/// The longest prefix of `text` that fits in `bytes`.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// `text` as a label value: `namespace/name` with a dot, which no namespace
/// contains. Text that is too long or has other characters gets a hash.
fn label_value(text: &str) -> String {
    let value = text.replacen('/', ".", 1);
    let is_outer = |c: char| c.is_ascii_alphanumeric();
    let is_inner = |c: char| is_outer(c) || "-_.".contains(c);
    let is_valid = value.len() <= MAX_LABEL
        && value.chars().all(is_inner)
        && value.starts_with(is_outer)
        && value.ends_with(is_outer);
    if is_valid {
        return value;
    }
    let hash = hex(&Sha256::digest(text)[..8]);
    let kept: String = value.chars().filter(|c| is_inner(*c)).collect();
    let kept = cut(&kept, MAX_LABEL - hash.len() - 1).trim_matches(|c| !is_outer(c));
    if kept.is_empty() { hash } else { format!("{kept}-{hash}") }
}

#[cfg(test)]
mod tests {
    use crate::controller::reports::Subject;
    use crate::finding::{Code, Location};

    use super::*;

    fn author(installation: &str) -> Author {
        Author::new(&Options {
            field_manager: "ingressctl/x/y".to_owned(),
            publish: None,
            installation: installation.to_owned(),
            namespaces: Vec::new(),
            controller: "istio.io/ingress-controller".to_owned(),
            identity: "pod_1".to_owned(),
        })
    }

    fn report(finding: Finding) -> Report {
        let subject = Subject {
            api_version: "networking.k8s.io/v1".to_owned(),
            kind: "Ingress".to_owned(),
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            uid: "1234".to_owned(),
        };
        Report { subject, finding }
    }

    #[test]
    fn the_name_follows_from_object_and_finding_alone() {
        let author = author("a/b");
        let finding = Finding::new(Code::NoTests, "is wrong").field("spec");
        let key = author.key(&report(finding.clone()));
        let hash = key.name.strip_prefix("web.").unwrap();
        assert_eq!((key.namespace.as_str(), hash.len()), ("shop", 16));
        let place = Location::start_of(&"elsewhere".into());
        assert_eq!(author.key(&report(finding.clone().at(place))), key);

        let mut other = report(finding.clone());
        other.subject.uid = "5678".to_owned();
        let others = [
            author.key(&other),
            author.key(&report(finding.clone().field("spec2"))),
            author.key(&report(Finding::new(Code::NoPaths, "is wrong").field("spec"))),
            author.key(&report(Finding::new(Code::NoTests, "is bad").field("spec"))),
            self::author("a/c").key(&report(finding)),
        ];
        assert!(others.iter().all(|other| *other != key), "{others:?}");
    }

    #[test]
    fn long_names_are_cut_to_valid_ones() {
        let mut long = report(Finding::new(Code::NoTests, "e"));
        long.subject.name = format!("{}.-{}", "a".repeat(234), "b".repeat(17));
        let name = author("a/b").key(&long).name;
        assert_eq!(name.len(), 234 + 17);
        assert!(name.starts_with(&format!("{}.", "a".repeat(234))), "{name}");
    }

    #[test]
    fn an_object_without_a_namespace_has_its_event_in_default() {
        let mut cluster = report(Finding::new(Code::NoTests, "e"));
        cluster.subject.namespace.clear();
        let author = author("a/b");
        let event = author.event(&author.key(&cluster), &cluster);
        assert_eq!(event.metadata.namespace.as_deref(), Some("default"));
        assert_eq!(event.involved_object.namespace, None);
    }

    #[test]
    fn says_what_is_wrong_with_which_object() {
        let author = author("istio-system/istio-ingress");
        let report = report(Finding::new(Code::NoPaths, "is\nodd").field("spec.rules[0]"));
        let event = author.event(&author.key(&report), &report);
        assert_eq!(event.type_.as_deref(), Some("Warning"));
        assert_eq!(event.reason.as_deref(), Some("Doubtful"));
        assert_eq!(event.message.as_deref(), Some("spec.rules[0]: is\\nodd [no-paths]"));
        assert_eq!(event.involved_object.uid.as_deref(), Some("1234"));
        assert_eq!(event.reporting_component.as_deref(), Some("istio.io/ingress-controller"));
        assert_eq!(event.source.unwrap().component, event.reporting_component);
        let labels = event.metadata.labels.unwrap();
        assert_eq!(labels["app.kubernetes.io/instance"], "istio-system.istio-ingress");
        for part in author.selector().split(',') {
            let (key, value) = part.split_once('=').unwrap();
            assert_eq!(labels[key], value);
        }
    }

    #[test]
    fn messages_are_cut_between_characters() {
        let of = |characters| message(&Finding::new(Code::NoTests, "é".repeat(characters)));
        assert_eq!(of(506), format!("{} [no-tests]", "é".repeat(506)));
        assert_eq!(of(507), format!("{}… [no-tests]", "é".repeat(505)));
        assert!(of(507).len() <= MAX_MESSAGE);
    }

    #[test]
    fn any_installation_makes_a_label() {
        assert_eq!(label_value("istio-system/istio-ingress"), "istio-system.istio-ingress");
        let long = label_value(&format!("{}/{}", "n".repeat(63), "l".repeat(63)));
        assert_eq!(long.len(), MAX_LABEL);
        for odd in ["", "é", "/", "a b", "-a-", "a/b/c"] {
            let value = label_value(odd);
            let is_outer = |c: char| c.is_ascii_alphanumeric();
            assert!(value.starts_with(is_outer) && value.ends_with(is_outer), "{odd}: {value}");
        }
    }
}
