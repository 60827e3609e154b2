//! Collects RouteRules by the service to whose requests they apply.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::patterns::{Admission, MAX_SEARCHED};
use crate::finding::{Code, Findings};
use crate::manifest::Object;
use crate::objects::describe_labels;
use crate::objects::route_rule::{ConditionPattern, RouteRule, Source};
use crate::selection::rule_scope;
use crate::settings::{Gateway, Settings};

/// The rules that can apply, by the namespace and name of their service.
pub(super) struct Rules<'a>(BTreeMap<(String, String), ServiceRules<'a>>);

/// The rules of a service, in the order in which they are tried.
#[derive(Default)]
struct ServiceRules<'a> {
    rules: Vec<Applicable<'a>>,
    /// Whether an Ingress sends requests to the service.
    is_used: bool,
}

/// The maximum number of rules of one service, because a request may have to be compared
/// with all of them.
const MAX_RULES: usize = 50_000;

/// A rule, and the object it was read from.
pub(super) struct Applicable<'a> {
    pub(super) object: &'a Object,
    pub(super) rule: Arc<RouteRule>,
}

/// The RouteRules in `objects` that can apply at this gateway.
pub(super) fn applicable<'a>(
    objects: &[&'a Object],
    settings: &Settings,
    findings: &RefCell<Findings>,
) -> Vec<Applicable<'a>> {
    let scope = rule_scope(settings);
    let applicable = objects.iter().filter_map(|object| {
        let read = RouteRule::of(object, &scope);
        let rule = read.tell(findings).as_ref()?;
        applies(object, rule, &settings.gateway, findings)
            .then(|| Applicable { object, rule: Arc::clone(rule) })
    });
    applicable.collect()
}

impl<'a> Rules<'a> {
    pub(super) fn new(
        rules: Vec<Applicable<'a>>,
        admission: &Admission,
        findings: &RefCell<Findings>,
    ) -> Self {
        let mut by_service: BTreeMap<_, ServiceRules<'a>> = BTreeMap::new();
        for applicable in rules {
            if !applicable.is_admitted(admission, findings) {
                continue;
            }
            let destination = &applicable.rule.destination;
            let service = (destination.namespace.clone(), destination.name.clone());
            by_service.entry(service).or_default().rules.push(applicable);
        }
        for of_service in by_service.values_mut() {
            of_service.sort();
            of_service.cut_after_catch_all(&mut findings.borrow_mut());
            of_service.leave_out_patterns(&mut findings.borrow_mut());
        }
        Self(by_service)
    }

    /// The rules of a service to which an Ingress sends requests. `None`, with a finding,
    /// if they are too many.
    pub(super) fn of_service(
        &mut self,
        namespace: &str,
        service: &str,
        findings: &RefCell<Findings>,
    ) -> Option<&[Applicable<'a>]> {
        let Some(of_service) = self.0.get_mut(&(namespace.to_owned(), service.to_owned())) else {
            return Some(&[]);
        };
        of_service.is_used = true;
        let rules = &of_service.rules;
        if rules.len() <= MAX_RULES {
            return Some(rules);
        }
        if let Some(Applicable { object, rule }) = rules.first() {
            let message = format!(
                "is a service with {} rules, but it may have {MAX_RULES} at most; remove some. Its requests answer 503",
                rules.len()
            );
            let place = &rule.destination.place;
            findings.borrow_mut().push(place.finding(object, Code::BudgetExceeded, message));
        }
        None
    }

    /// Warns about rules for services to which no Ingress sends requests.
    pub(super) fn report_unused(self, findings: &RefCell<Findings>) {
        let unused = self.0.into_iter().filter(|(_, of_service)| !of_service.is_used);
        for ((namespace, service), of_service) in unused {
            for Applicable { object, rule } in of_service.rules {
                let message = format!(
                    "no Ingress sends requests to service {namespace}/{service}, so this rule has no effect; correct the name, or expose the service in an Ingress"
                );
                let place = &rule.destination.place;
                findings.borrow_mut().push(place.finding(
                    object,
                    Code::RuleWithoutIngress,
                    message,
                ));
            }
        }
    }
}

impl ServiceRules<'_> {
    fn sort(&mut self) {
        self.rules.sort_by_key(|Applicable { object, rule }| {
            (Reverse(rule.precedence), &object.namespace, &object.name)
        });
    }

    /// Leaves out rules with patterns beyond the number that one request may be compared
    /// with.
    fn leave_out_patterns(&mut self, findings: &mut Findings) {
        let mut searched = 0;
        self.rules.retain(|Applicable { object, rule }| {
            let patterns = &rule.condition.patterns;
            if searched + patterns.len() <= MAX_SEARCHED {
                searched += patterns.len();
                return true;
            }
            let Some(first) = patterns.first() else { return true };
            let message = format!(
                "exceeds the limit of {MAX_SEARCHED} regular expressions for all rules of one service; use exact or prefix. This rule is not applied"
            );
            findings.push(first.place.finding(object, Code::TooManyRegexes, message));
            false
        });
    }

    /// Leaves out the rules after one that matches every request.
    fn cut_after_catch_all(&mut self, findings: &mut Findings) {
        let all = self.rules.iter().position(|found| found.rule.condition.request.is_empty());
        let Some(last) = all else { return };
        let unreachable = self.rules.split_off(last + 1);
        let Some(Applicable { object: first, rule }) = self.rules.last() else { return };
        for Applicable { object, rule: lost } in unreachable {
            let message = format!(
                "never applies, because {}{} matches every request of the service first; give this rule a precedence greater than {}, or add a match to the other one",
                first.reference(),
                first.at(first.node.at),
                rule.precedence,
            );
            let place = &lost.destination.place;
            findings.push(place.finding(object, Code::RuleUnreachable, message));
        }
    }
}

impl Applicable<'_> {
    /// Whether all its regular expressions are served.
    fn is_admitted(&self, admission: &Admission, findings: &RefCell<Findings>) -> bool {
        let mut is_admitted = true;
        for ConditionPattern { text, place } in &self.rule.condition.patterns {
            if let Err(refusal) = admission.check(&self.object.namespace, text) {
                let message = format!("{refusal}. This rule is not applied");
                let finding = place.finding(self.object, refusal.code(), message);
                findings.borrow_mut().push(finding);
                is_admitted = false;
            }
        }
        is_admitted
    }
}

/// Whether a rule can apply at this gateway; if not, adds a warning if it probably
/// should.
fn applies(
    object: &Object,
    rule: &RouteRule,
    gateway: &Gateway,
    findings: &RefCell<Findings>,
) -> bool {
    if let Some(source) = &rule.condition.source
        && !is_gateway(source, gateway)
    {
        let message = format!(
            "does not match this gateway, which is {}, so this rule never applies; correct it, or set --gateway-name, \
             --gateway-namespace and --gateway-labels",
            describe(gateway)
        );
        let code = Code::SourceNotThisGateway;
        findings.borrow_mut().push(source.place.finding(object, code, message));
        return false;
    }
    !rule.condition.never_holds
}

/// Whether the gateway is the workload in `source`.
fn is_gateway(source: &Source, gateway: &Gateway) -> bool {
    source.name == gateway.name
        && source.namespace.as_ref().is_none_or(|namespace| *namespace == gateway.namespace)
        && source.labels.iter().all(|(key, value)| gateway.labels.get(key) == Some(value))
}

fn describe(gateway: &Gateway) -> String {
    let labels = match describe_labels(&gateway.labels) {
        labels if labels.is_empty() => "no labels".to_owned(),
        labels => labels,
    };
    format!("{} in {} with {labels}", gateway.name, gateway.namespace)
}
