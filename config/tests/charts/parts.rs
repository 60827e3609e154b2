//! The parts of charts.

/// Whether an annotation guards access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guarded {
    Yes,
    /// It belongs to another controller and does something else.
    No,
    /// It does not concern this controller.
    NotOurs,
}

use Guarded::{No, NotOurs, Yes};

/// The form in which a chart writes its Ingress.
pub(crate) struct Version {
    pub(crate) api: &'static str,
    /// It uses `serviceName` and `servicePort`.
    pub(crate) is_flat: bool,
    pub(crate) has_class_field: bool,
}

pub(crate) const NAMES: [&str; 10] = [
    "grafana",
    "nextcloud",
    "keycloak",
    "gitea",
    "argo-cd",
    "harbor",
    "jenkins",
    "vault",
    "minio",
    "wordpress",
];

pub(crate) const VERSIONS: [Version; 4] = [
    Version { api: "networking.k8s.io/v1", is_flat: false, has_class_field: true },
    Version { api: "networking.k8s.io/v1", is_flat: false, has_class_field: false },
    Version { api: "networking.k8s.io/v1beta1", is_flat: true, has_class_field: false },
    Version { api: "extensions/v1beta1", is_flat: true, has_class_field: false },
];

pub(crate) const PORTS: [(&str, u16); 5] =
    [("http", 80), ("http-web", 8080), ("web", 3000), ("grpc", 9090), ("http2-api", 8443)];

pub(crate) const PATHS: [(&str, &str); 7] = [
    ("/", "Prefix"),
    ("/", "ImplementationSpecific"),
    ("/app", "Prefix"),
    ("/app/", "Exact"),
    ("/api/v1", "ImplementationSpecific"),
    ("/.well-known/acme-challenge", "Prefix"),
    ("/api/.*", "ImplementationSpecific"),
];

pub(crate) const TLS: [bool; 3] = [false, true, true];

type Annotations = &'static [(&'static str, &'static str, Guarded)];

pub(crate) const ANNOTATIONS: [Annotations; 13] = [
    &[],
    &[
        ("cert-manager.io/cluster-issuer", "letsencrypt-prod", NotOurs),
        ("kubernetes.io/tls-acme", "true", NotOurs),
    ],
    &[
        ("nginx.ingress.kubernetes.io/proxy-body-size", "8m", No),
        ("nginx.ingress.kubernetes.io/rewrite-target", "/$2", No),
    ],
    &[
        ("nginx.ingress.kubernetes.io/auth-url", "https://$host/oauth2/auth", Yes),
        ("nginx.ingress.kubernetes.io/auth-signin", "https://$host/oauth2/start", Yes),
        ("nginx.ingress.kubernetes.io/ssl-redirect", "true", No),
    ],
    &[("nginx.ingress.kubernetes.io/whitelist-source-range", "10.0.0.0/8,192.168.0.0/16", Yes)],
    &[
        ("nginx.ingress.kubernetes.io/auth-tls-secret", "default/ca", Yes),
        ("nginx.ingress.kubernetes.io/auth-tls-verify-client", "on", Yes),
        ("nginx.ingress.kubernetes.io/satisfy", "any", Yes),
        ("nginx.ingress.kubernetes.io/denylist-source-range", "203.0.113.0/24", Yes),
    ],
    &[
        ("traefik.ingress.kubernetes.io/router.entrypoints", "websecure", No),
        ("traefik.ingress.kubernetes.io/router.middlewares", "default-auth@kubernetescrd", Yes),
    ],
    &[
        ("alb.ingress.kubernetes.io/scheme", "internet-facing", No),
        ("alb.ingress.kubernetes.io/target-type", "ip", No),
        ("alb.ingress.kubernetes.io/auth-type", "cognito", Yes),
        ("alb.ingress.kubernetes.io/inbound-cidrs", "10.0.0.0/8", Yes),
    ],
    &[
        ("alb.ingress.kubernetes.io/auth-type", "none", No),
        ("alb.ingress.kubernetes.io/inbound-cidrs", "0.0.0.0/0", No),
    ],
    &[
        ("haproxy.org/allow-list", "10.0.0.0/8", Yes),
        ("haproxy-ingress.github.io/auth-secret", "basic", Yes),
        ("haproxy.org/timeout-server", "50s", No),
    ],
    &[("konghq.com/plugins", "key-auth", Yes), ("konghq.com/strip-path", "true", No)],
    &[
        ("external-dns.alpha.kubernetes.io/hostname", "app.example.com", NotOurs),
        ("argocd.argoproj.io/sync-wave", "5", NotOurs),
    ],
    &[
        ("ingress.kubernetes.io/force-ssl-redirect", "true", No),
        ("kubernetes.io/ingress.global-static-ip-name", "edge", No),
        ("networking.gke.io/managed-certificates", "cert", No),
        ("appgw.ingress.kubernetes.io/waf-policy-for-path", "/subscriptions/x", Yes),
        ("nginx.org/basic-auth-secret", "basic", Yes),
    ],
];

/// Objects next to an Ingress in charts; `NAME` is the name of the chart.
pub(crate) const BESIDE: [&str; 26] = [
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: NAME, labels: {app: NAME}}\nspec:\n  replicas: 1\n  template:\n    spec:\n      containers:\n      - {name: app, image: \"NAME:1.0\", ports: [{name: http, containerPort: 80, protocol: TCP}]}",
    "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: NAME}\nspec: {serviceName: NAME, volumeClaimTemplates: [{metadata: {name: data}}]}",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\ndata:\n  nginx.conf: |\n    server { location / { deny all; } }\n  on: \"yes\"",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME-logo}\nbinaryData:\n  logo.png: !!binary |\n    iVBORw0KGgo=",
    "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: NAME}\nautomountServiceAccountToken: true",
    "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: NAME}\nspec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: NAME}, maxReplicas: 5}",
    "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: NAME}\nspec: {minAvailable: 1}",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: NAME}\nspec: {podSelector: {}, ingress: [{}]}",
    "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: NAME}\nspec: {endpoints: [{port: http}]}",
    "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: NAME}\nspec:\n  groups:\n  - name: NAME\n    rules:\n    - {alert: Down, expr: 'up == 0', annotations: {summary: '{{ $labels.instance }} is down'}}",
    "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.example.com}\nspec:\n  group: example.com\n  names: {kind: Widget, listKind: WidgetList, plural: widgets}\n  versions:\n  - name: v1\n    schema: {openAPIV3Schema: {type: object, properties: {items: {type: array}}}}",
    "apiVersion: example.com/v1\nkind: WidgetList\nitems: [a, 5, {b: c}]",
    "apiVersion: example.com/v1\nkind: Widget\nmetadata: {generateName: NAME-}\nspec: {<<: {a: 1}, ref: !Ref Bucket, a: 1, a: 2}",
    "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: NAME-one}}\n- {apiVersion: rbac.authorization.k8s.io/v1, kind: RoleList, items: [{metadata: {name: NAME}}]}",
    "apiVersion: batch/v1\nkind: Job\nmetadata:\n  generateName: NAME-migrate-\n  annotations: {\"helm.sh/hook\": pre-upgrade}",
    "apiVersion: v1\nkind: Pod\nmetadata:\n  name: NAME-test-connection\n  annotations: {\"helm.sh/hook\": test}\nspec: {containers: [{name: wget, image: busybox, args: ['NAME:80']}]}",
    "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: NAME}\nspec: {secretName: NAME-tls}",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: NAME}\ntype: Opaque\nstringData: {password: \"p\\\"x\"}",
    "apiVersion: v1\nkind: Service\nmetadata: {name: NAME-headless}\nspec: {clusterIP: None, ports: [{port: 5432, name: tcp-postgresql}]}",
    "apiVersion: v1\nkind: Service\nmetadata: {name: NAME-odd}\nspec: {type: ExternalName, externalName: Not_A.Name, ports: [{port: \"80\"}]}",
    "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: NAME-db, labels: {kubernetes.io/service-name: NAME-db}}\naddressType: FQDN\nendpoints: [{addresses: [db.example.com], conditions: {ready: maybe}}]\nports: [{port: \"x\"}]",
    "kind: Kustomization\nresources: [deployment.yaml]",
    "resources: [deployment.yaml]\nnamePrefix: NAME-",
    "- {op: replace, path: /spec/replicas, value: 3}",
    "# Rendered with nothing switched on\n",
    "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: NAME}\nspec: {parentRefs: [{name: edge}]}",
];
