//! Annotations of other ingress controllers on served Ingresses. They have no effect, so
//! paths to which they would restrict access are open.

use super::{CLASS_ANNOTATION, Cursor};
use crate::finding::{Code, quote};
use crate::manifest::{Key, Node};

/// Another controller's annotations.
struct Controller {
    /// The prefix before the `/`.
    prefix: &'static str,
    /// The annotations that restrict access, in addition to [`GUARDS`]; `*` matches any
    /// text.
    guards: &'static [&'static str],
}

/// Annotations that restrict access in any controller.
const GUARDS: [&str; 17] = [
    "auth-*",
    "*-auth",
    "*-auth-*",
    "enable-global-auth",
    "oauth*",
    "jwt-*",
    "allow-list",
    "deny-list",
    "allowlist*",
    "denylist*",
    "whitelist*",
    "blacklist*",
    "blocklist*",
    "*-source-range",
    "satisfy",
    "waf*",
    "*modsecurity*",
];

/// Annotations with text for a configuration, which restricts access if it has such
/// directives.
const SNIPPETS: [&str; 3] = ["*-snippet", "*-snippets", "config-*"];
const GUARDS_IN_SNIPPETS: [&str; 5] =
    ["deny ", "auth_", "return 401", "return 403", "http-request deny"];

const CONTROLLERS: [Controller; 25] = [
    of("nginx.ingress.kubernetes.io", &[]),
    of("nginx.org", &["basic-auth-secret", "policies"]),
    of("nginx.com", &["policies"]),
    of("appprotect.f5.com", &["*"]),
    of("haproxy.org", &["client-ca", "client-crt-optional"]),
    of("haproxy.com", &["client-ca", "client-crt-optional"]),
    of("haproxy-ingress.github.io", &[]),
    of("ingress.kubernetes.io", &[]),
    of("traefik.ingress.kubernetes.io", &["router.middlewares", "router.tls.options"]),
    of(
        "alb.ingress.kubernetes.io",
        &["inbound-cidrs", "security-groups", "mutual-authentication", "web-acl-id"],
    ),
    of("projectcontour.io", &["client-certificate*", "ext-auth*", "ip-allow*", "ip-deny*"]),
    of("contour.heptio.com", &[]),
    of("konghq.com", &["plugins", "override"]),
    of("configuration.konghq.com", &["*"]),
    of("plugins.konghq.com", &["*"]),
    of("appgw.ingress.kubernetes.io", &["appgw-ssl-profile"]),
    of("networking.gke.io", &[]),
    of("ingress.gcp.kubernetes.io", &[]),
    of("k8s.apisix.apache.org", &["plugin-config-name"]),
    of("higress.io", &[]),
    of("mse.ingress.kubernetes.io", &[]),
    of("ingress.cilium.io", &[]),
    of("ingress.pomerium.io", &["allow*", "policy"]),
    of("getambassador.io", &["config"]),
    of("ingress.citrix.com", &["*acl*"]),
];

/// The maximum number of annotations of an Ingress with a finding each.
const TOLD: usize = 20;

/// The maximum number that one warning lists.
const LISTED: usize = 10;

const fn of(prefix: &'static str, guards: &'static [&'static str]) -> Controller {
    Controller { prefix, guards }
}

/// Whether an annotation has an effect in another controller, and which kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ignored {
    Guard,
    Other,
}

/// Reports the annotations of other controllers on an Ingress.
pub(super) fn tell_ignored(root: &Cursor<'_>) {
    let Some(metadata) = root.field("metadata") else { return };
    let Some(annotations) = metadata.field("annotations") else { return };
    let (mut guards, mut others) = (0, Vec::new());
    for (key @ Key { name, .. }, annotation) in annotations.fields() {
        match ignored(name, annotation.node()) {
            Some(Ignored::Guard) => {
                guards += 1;
                if guards <= TOLD {
                    annotation.report(
                        Code::GuardIgnored,
                        "restricts access in another controller and has no effect here, so these paths are open to everyone; restrict access by other means, then remove the annotation",
                    );
                }
            }
            Some(Ignored::Other) => others.push(key),
            None => {}
        }
    }
    if guards > TOLD {
        let more = guards - TOLD;
        let message = format!(
            "{more} more annotations restrict access in other controllers and have no effect here, so these paths are open to everyone; restrict access by other means, then remove them"
        );
        annotations.report(Code::GuardIgnored, message);
    }
    if let Some(first) = others.first() {
        let message = format!("{}; remove what no other controller needs", no_effect(&others));
        annotations.report_at(first.at, Code::AnnotationIgnored, message);
    }
}

/// The warning that these annotations have no effect, with some of their names.
fn no_effect(keys: &[&Key]) -> String {
    let listed: Vec<_> = keys.iter().take(LISTED).map(|key| quote(&key.name)).collect();
    let more = keys.len() - listed.len();
    let listed = listed.join(", ");
    match (keys.len(), more) {
        (1, _) => format!("{listed} belongs to another controller and has no effect here"),
        (_, 0) => format!("{listed} belong to other controllers and have no effect here"),
        _ => {
            format!("{listed} and {more} more belong to other controllers and have no effect here")
        }
    }
}

fn ignored(name: &str, value: &Node) -> Option<Ignored> {
    // Clouds use Kubernetes' own prefix.
    if name.starts_with("kubernetes.io/ingress.") && name != CLASS_ANNOTATION {
        return Some(Ignored::Other);
    }
    let (prefix, name) = name.split_once('/')?;
    let controller = CONTROLLERS.iter().find(|controller| controller.prefix == prefix)?;
    let mut patterns = GUARDS.iter().chain(controller.guards);
    let is_guard = patterns.any(|pattern| matches(pattern, name)) && !is_off(value)
        || SNIPPETS.iter().any(|pattern| matches(pattern, name)) && denies(value);
    Some(if is_guard { Ignored::Guard } else { Ignored::Other })
}

/// Whether a value disables the restriction.
fn is_off(value: &Node) -> bool {
    let Some(text) = value.as_str() else { return false };
    let mut parts = text.split(',').map(str::trim);
    parts.all(|part| matches!(part, "" | "false" | "off" | "none" | "0.0.0.0/0" | "::/0"))
}

/// Whether a snippet restricts access.
fn denies(value: &Node) -> bool {
    let text = value.as_str().unwrap_or_default();
    GUARDS_IN_SNIPPETS.iter().any(|guard| text.contains(guard))
}

/// Whether `name` matches `pattern`, in which a `*` at either end matches any text.
fn matches(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (None, None) => name == pattern,
        (Some(end), None) => name.ends_with(end),
        (None, Some(start)) => name.starts_with(start),
        (Some(middle), Some(_)) => name.contains(middle.trim_end_matches('*')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Position, Value};

    fn ignored_with(name: &str, value: &str) -> Option<Ignored> {
        let value = Value::String(value.into());
        ignored(name, &Node { at: Position { line: 1, column: 1 }, value })
    }

    #[test]
    fn what_guards_access_is_told_apart() {
        for name in [
            "nginx.ingress.kubernetes.io/auth-url",
            "nginx.ingress.kubernetes.io/auth-type",
            "nginx.ingress.kubernetes.io/auth-tls-secret",
            "nginx.ingress.kubernetes.io/whitelist-source-range",
            "nginx.ingress.kubernetes.io/denylist-source-range",
            "nginx.ingress.kubernetes.io/satisfy",
            "nginx.ingress.kubernetes.io/enable-modsecurity",
            "nginx.org/basic-auth-secret",
            "nginx.org/policies",
            "nginx.com/jwt-key",
            "haproxy.org/allow-list",
            "haproxy.org/deny-list",
            "haproxy.org/blacklist",
            "haproxy.org/client-ca",
            "haproxy-ingress.github.io/oauth",
            "haproxy-ingress.github.io/allowlist-source-range",
            "ingress.kubernetes.io/whitelist-source-range",
            "ingress.kubernetes.io/auth-type",
            "traefik.ingress.kubernetes.io/router.middlewares",
            "traefik.ingress.kubernetes.io/auth-type",
            "alb.ingress.kubernetes.io/auth-type",
            "alb.ingress.kubernetes.io/inbound-cidrs",
            "alb.ingress.kubernetes.io/wafv2-acl-arn",
            "projectcontour.io/ext-auth-service",
            "konghq.com/plugins",
            "appgw.ingress.kubernetes.io/waf-policy-for-path",
            "k8s.apisix.apache.org/blocklist-source-range",
            "ingress.pomerium.io/allowed_domains",
        ] {
            assert_eq!(ignored_with(name, "x"), Some(Ignored::Guard), "{name}");
        }
    }

    #[test]
    fn all_else_of_known_controllers_has_no_effect_either() {
        for name in [
            "nginx.ingress.kubernetes.io/rewrite-target",
            "nginx.ingress.kubernetes.io/proxy-body-size",
            "nginx.ingress.kubernetes.io/enable-cors",
            "nginx.org/client-max-body-size",
            "haproxy.org/timeout-server",
            "traefik.ingress.kubernetes.io/router.entrypoints",
            "alb.ingress.kubernetes.io/scheme",
            "alb.ingress.kubernetes.io/target-type",
            "konghq.com/strip-path",
            "networking.gke.io/managed-certificates",
            "kubernetes.io/ingress.global-static-ip-name",
        ] {
            assert_eq!(ignored_with(name, "x"), Some(Ignored::Other), "{name}");
        }
        for name in [
            CLASS_ANNOTATION,
            "kubernetes.io/tls-acme",
            "cert-manager.io/cluster-issuer",
            "external-dns.alpha.kubernetes.io/hostname",
            "meta.helm.sh/release-name",
            "auth-url",
            "example.com/auth-url",
        ] {
            assert_eq!(ignored_with(name, "x"), None, "{name}");
        }
    }

    #[test]
    fn a_guard_that_is_off_guards_nothing() {
        for (name, value, expected) in [
            ("alb.ingress.kubernetes.io/auth-type", "none", Ignored::Other),
            ("alb.ingress.kubernetes.io/inbound-cidrs", "0.0.0.0/0, ::/0", Ignored::Other),
            ("alb.ingress.kubernetes.io/inbound-cidrs", "10.0.0.0/8", Ignored::Guard),
            ("nginx.ingress.kubernetes.io/enable-modsecurity", "false", Ignored::Other),
            ("nginx.ingress.kubernetes.io/whitelist-source-range", "", Ignored::Other),
            ("nginx.ingress.kubernetes.io/server-snippet", "gzip on;", Ignored::Other),
            ("nginx.ingress.kubernetes.io/server-snippet", "deny all;", Ignored::Guard),
            (
                "nginx.ingress.kubernetes.io/configuration-snippet",
                "more_set_headers \"Access-Control-Allow-Origin: *\";",
                Ignored::Other,
            ),
        ] {
            assert_eq!(ignored_with(name, value), Some(expected), "{name}: {value}");
        }
    }
}
