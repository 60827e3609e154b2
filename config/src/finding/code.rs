//! The kinds of findings: each has a stable name, a severity, and an entry that
//! explains it with its remedy.
//!
//! The entries are the files in `codes`. The first line is the summary. It is
//! followed by the explanation and the example, which is one or more fenced blocks:
//! files, of which `yaml` is `manifests.yaml`, and a `console`, unless the command
//! is `ingressctl check` or `test` on these files. `docs/findings.md` is generated
//! from the entries.

use std::fmt;

use ingress_filter::PatternError;
use serde::{Serialize, Serializer};

use super::Severity;

/// Declares both enums, so that a code without severity, group or entry does not
/// compile.
macro_rules! codes {
    ($($(#[doc = $title:literal])+ $group:ident {
        $($severity:ident $code:ident = $name:literal,)+
    })+) => {
        /// The subject of codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Group {
            $($(#[doc = $title])+ $group,)+
        }

        impl Group {
            /// All groups, in the order of the page.
            pub const ALL: &[Self] = &[$(Self::$group),+];

            /// The heading on the page.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$group => concat!($($title),+).trim_ascii(),)+
                }
            }

            /// The codes of the group.
            pub fn codes(self) -> &'static [Code] {
                match self {
                    $(Self::$group => &[$(Code::$code),+],)+
                }
            }
        }

        /// A kind of finding: one cause with one remedy.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = concat!("`", $name, "`")] $code,)+)+
        }

        impl Code {
            /// All codes, in the order of the page.
            pub const ALL: &[Self] = &[$($(Self::$code),+),+];

            /// Its name, which never changes.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($(Self::$code => $name,)+)+
                }
            }

            /// The severity of such a finding.
            pub fn severity(self) -> Severity {
                match self {
                    $($(Self::$code => Severity::$severity,)+)+
                }
            }

            /// The group of the code.
            pub fn group(self) -> Group {
                match self {
                    $($(Self::$code)|+ => Group::$group,)+
                }
            }

            fn text(self) -> &'static str {
                match self {
                    $($(Self::$code => include_str!(concat!("codes/", $name, ".md")),)+)+
                }
            }
        }
    };
}

codes! {
    /// Files
    Files {
        Error FileNotFound = "file-not-found",
        Error FileNotReadable = "file-not-readable",
        Error FileTooLarge = "file-too-large",
        Error FileNotUtf8 = "file-not-utf8",
        Warning NoObjects = "no-objects",
        Error TooManyErrors = "too-many-errors",
        Error YamlNotValid = "yaml-not-valid",
        Error YamlTooLarge = "yaml-too-large",
        Error DuplicateKey = "duplicate-key",
    }
    /// Objects and fields
    Objects {
        Error NotAnObject = "not-an-object",
        Error DuplicateObject = "duplicate-object",
        Error KindMisspelt = "kind-misspelt",
        Error ApiVersionNotSupported = "api-version-not-supported",
        Note KindNotServed = "kind-not-served",
        Error NameNotValid = "name-not-valid",
        Error LabelNotValid = "label-not-valid",
        Warning CreationTimeNotValid = "creation-time-not-valid",
        Error FieldMissing = "field-missing",
        Warning UnknownField = "unknown-field",
        Error UnknownRuleField = "unknown-field-in-rule",
        Error FieldOfOtherVersion = "field-of-other-version",
        Error FieldNotSupported = "field-not-supported",
        Warning FieldIgnored = "field-ignored",
        Error ConflictingFields = "conflicting-fields",
        Error WrongType = "wrong-type",
        Error ValueEmpty = "value-empty",
        Error CharacterNotAllowed = "character-not-allowed",
        Error DurationNotValid = "duration-not-valid",
        Error UnknownAnnotation = "unknown-annotation",
        Error AnnotationNotValid = "annotation-not-valid",
        Warning AnnotationWithoutEffect = "annotation-without-effect",
    }
    /// Classes of Ingresses
    Classes {
        Warning IngressClassMissing = "ingress-class-missing",
        Warning IngressClassNotFound = "ingress-class-not-found",
        Warning IngressClassMisspelt = "ingress-class-misspelt",
        Note OtherIngressClass = "other-ingress-class",
    }
    /// Ingresses
    Ingresses {
        Error GuardIgnored = "guard-ignored",
        Warning AnnotationIgnored = "annotation-ignored",
        Warning NoPaths = "no-paths",
        Warning DuplicateDefaultBackend = "duplicate-default-backend",
        Warning DefaultBackendLimited = "default-backend-limited",
        Error ResourceBackendNotSupported = "resource-backend-not-supported",
        Error HostNotValid = "host-not-valid",
        Error HostOfOtherNamespace = "host-of-other-namespace",
        Warning HostWantedByOtherNamespace = "host-wanted-by-other-namespace",
        Error PathTypeUnknown = "path-type-unknown",
        Error PathNotAbsolute = "path-not-absolute",
        Error PathNotNormalized = "path-not-normalized",
        Error RegexInPlainPath = "regex-in-plain-path",
        Warning RegexTakenLiterally = "regex-taken-literally",
        Error RegexPathsOff = "regex-paths-off",
        Warning ImplementationSpecificExact = "implementation-specific-exact",
        Warning PathUnreachable = "path-unreachable",
    }
    /// Services and endpoints
    Services {
        Error ServiceNotFound = "service-not-found",
        Error ServicePortNotFound = "service-port-not-found",
        Error TargetPortUnknown = "target-port-unknown",
        Error PortNotHttp = "port-not-http",
        Warning GrpcWebOff = "grpc-web-off",
        Error ExternalNameOff = "external-name-off",
        Error ExternalNameNotValid = "external-name-not-valid",
        Error EndpointNotValid = "endpoint-not-valid",
        Error EndpointDenied = "endpoint-denied",
        Note EndpointLocal = "endpoint-local",
        Warning EndpointPortMismatch = "endpoint-port-mismatch",
        Warning VersionWithoutPods = "version-without-pods",
        Warning VersionWithoutEndpoints = "version-without-endpoints",
        Error UpstreamTlsNotUsable = "upstream-tls-not-usable",
        Error UpstreamSecretNotFound = "upstream-secret-not-found",
        Warning UpstreamNotVerified = "upstream-not-verified",
    }
    /// TLS and Secrets
    Tls {
        Warning SecretNotFound = "secret-not-found",
        Error SecretTypeNotValid = "secret-type-not-valid",
        Error SecretNotBase64 = "secret-not-base64",
        Warning TlsHostConflict = "tls-host-conflict",
    }
    /// Certificates and their keys
    Certificates {
        Error CertificateTooLarge = "certificate-too-large",
        Error PemNotValid = "pem-not-valid",
        Error PemMissing = "pem-missing",
        Error CertificateMalformed = "certificate-malformed",
        Warning CertificateExtensionMalformed = "certificate-extension-malformed",
        Error KeyEncrypted = "key-encrypted",
        Error KeyMalformed = "key-malformed",
        Error KeyFormatNotSupported = "key-format-not-supported",
        Error KeyNotSupported = "key-not-supported",
        Error KeyNotOfCertificate = "key-not-of-certificate",
        Warning CertificateExpired = "certificate-expired",
        Warning CertificateExpiresSoon = "certificate-expires-soon",
        Warning CertificateNotYetValid = "certificate-not-yet-valid",
        Warning IssuerExpired = "issuer-expired",
        Error CertificateMustStaple = "certificate-must-staple",
        Error CertificateNotForSignatures = "certificate-not-for-signatures",
        Warning CertificateNotForServers = "certificate-not-for-servers",
        Error CertificateWithoutNames = "certificate-without-names",
        Warning CertificateWithoutHosts = "certificate-without-hosts",
        Warning CertificateNotForHost = "certificate-not-for-host",
        Warning CertificateWeakSignature = "certificate-weak-signature",
        Warning CertificateChainDisordered = "certificate-chain-disordered",
    }
    /// RouteRules
    RouteRules {
        Warning RuleWithoutIngress = "rule-without-ingress",
        Warning RuleUnreachable = "rule-unreachable",
        Warning ConditionNeverHolds = "condition-never-holds",
        Warning SourceNotThisGateway = "source-not-this-gateway",
        Error SubnetNotValid = "subnet-not-valid",
        Warning DestinationOutsideCluster = "destination-outside-cluster",
        Error ServiceNameNotValid = "service-name-not-valid",
        Error ServiceOfOtherNamespace = "service-of-other-namespace",
        Error WeightsNot100 = "weights-not-100",
        Warning PolicyWithoutEffect = "policy-without-effect",
        Error HeaderNameNotValid = "header-name-not-valid",
        Error HeaderValueNotValid = "header-value-not-valid",
        Error HeaderNotAllowed = "header-not-allowed",
        Error CorsNotValid = "cors-not-valid",
        Error UriNotValid = "uri-not-valid",
        Error AuthorityNotValid = "authority-not-valid",
        Error FaultNotValid = "fault-not-valid",
    }
    /// Regular expressions and budgets
    Budgets {
        Error RegexNotValid = "regex-not-valid",
        Error RegexNotSupported = "regex-not-supported",
        Error RegexTooLarge = "regex-too-large",
        Error TooManyRegexes = "too-many-regexes",
        Error BudgetExceeded = "budget-exceeded",
    }
    /// Settings and route tables
    Settings {
        Error SettingUnknown = "setting-unknown",
        Error SettingNotValid = "setting-not-valid",
        Error TableNotValid = "table-not-valid",
    }
    /// Tests of routes and modules
    RouteTests {
        Error NoTests = "no-tests",
        Error UnknownTestField = "unknown-field-in-test",
        Error TestExpectsNothing = "test-expects-nothing",
        Error TextFormatNotValid = "text-format-not-valid",
        Error TestRequestNotValid = "test-request-not-valid",
        Error DistributionNot100 = "distribution-not-100",
    }
    /// In a cluster
    Cluster {
        Error SecretNotAllowed = "secret-not-allowed",
        Error SecretNotReadable = "secret-not-readable",
        Warning SecretNotShown = "secret-not-shown",
        Warning IngressClassesNotShown = "ingress-classes-not-shown",
        Warning DnsNotResolved = "dns-not-resolved",
        Warning DnsAddressDenied = "dns-address-denied",
    }
    /// What Envoy refuses
    Envoy {
        Error EnvoyRefusesCertificate = "envoy-refuses-certificate",
        Error EnvoyRefusesTable = "envoy-refuses-table",
        Error EnvoyRefusesCluster = "envoy-refuses-cluster",
    }
}

impl Code {
    /// The code of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }

    /// The summary, one line.
    pub fn summary(self) -> &'static str {
        self.text().lines().next().unwrap_or_default()
    }

    /// The cause and the remedy, in Markdown.
    pub fn explanation(self) -> &'static str {
        let (_, rest) = self.text().split_once('\n').unwrap_or_default();
        rest.split("\n```").next().unwrap_or_default().trim()
    }

    /// Files that cause such a finding, and optionally commands or the logged line,
    /// as fenced blocks; empty for findings about certificates.
    pub fn example(self) -> &'static str {
        let text = self.text();
        text.find("\n```").and_then(|start| text.get(start..)).unwrap_or_default().trim()
    }
}

/// What causes findings of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Files on the command line. The entry of the code has an example.
    Files,
    /// The content of a certificate or key.
    Certificate,
    /// The state of a cluster, as a controller sees it.
    Cluster,
    /// A response of Envoy.
    Envoy,
}

impl Group {
    /// What causes its findings.
    pub fn origin(self) -> Origin {
        match self {
            Self::Certificates => Origin::Certificate,
            Self::Cluster => Origin::Cluster,
            Self::Envoy => Origin::Envoy,
            _ => Origin::Files,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl From<&PatternError> for Code {
    fn from(error: &PatternError) -> Self {
        match error {
            PatternError::TooLong { .. } | PatternError::TooLarge => Self::RegexTooLarge,
            PatternError::LookAround | PatternError::BackReference => Self::RegexNotSupported,
            _ => Self::RegexNotValid,
        }
    }
}
