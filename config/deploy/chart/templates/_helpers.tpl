{{- /* The name of the gateway, and of most objects. */}}
{{- define "gateway.name" -}}
{{- .Values.name | default .Release.Name -}}
{{- end }}

{{- define "gateway.account" -}}
{{- .Values.serviceAccount.name | default (printf "%s-service-account" (include "gateway.name" .)) -}}
{{- end }}

{{- define "gateway.selectorLabels" -}}
{{- .Values.pod.selectorLabels | default (dict "istio" (include "gateway.name" . | trimPrefix "istio-")) | toYaml -}}
{{- end }}

{{- define "gateway.podLabels" -}}
{{- $selector := include "gateway.selectorLabels" . | fromYaml -}}
{{- mustMergeOverwrite (dict) .Values.labels .Values.pod.labels $selector | toYaml -}}
{{- end }}

{{- /*
The metadata of an object. Takes a dict: root; name; optionally namespace, labels and
annotations.
*/}}
{{- define "gateway.metadata" -}}
name: {{ toYaml .name }}
{{- with .namespace }}
namespace: {{ toYaml . }}
{{- end }}
{{- with mustMergeOverwrite (dict) .root.Values.labels (.labels | default dict) }}
labels:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with mustMergeOverwrite (dict) .root.Values.annotations (.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "gateway.image" -}}
{{- if .image.digest -}}
image: {{ .image.repository }}@{{ .image.digest }}
{{- else -}}
image: {{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}
{{- with .image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- end }}

{{- /* The settings: those that the chart knows, overwritten by those of the values. */}}
{{- define "gateway.settings" -}}
{{- $name := include "gateway.name" . -}}
{{- $gateway := dict "name" $name "namespace" .Release.Namespace "labels" (include "gateway.podLabels" . | fromYaml) -}}
{{- $known := dict
      "gateway" $gateway
      "defaultCertificate" (printf "%s/%s-certs" .Release.Namespace $name)
      "httpPort" .Values.service.httpPort
      "httpsPort" .Values.service.httpsPort -}}
{{- mustMergeOverwrite $known (deepCopy .Values.settings) | toYaml -}}
{{- end }}

{{- /*
A digest of the settings, so that a change restarts the pods; empty for the default
settings, because kustomize, which could not update it, has the same objects. If the default
settings change, update this digest: `cargo test -p ingressctl --test helm` prints it.
*/}}
{{- define "gateway.settingsDigest" -}}
{{- $digest := include "gateway.settings" . | sha256sum -}}
{{- if ne $digest "5b597355b95262d1c94923ff048d760aae4b7b03ce0bf75e945bd6d874e20e40" -}}
{{- $digest -}}
{{- end -}}
{{- end }}

{{- /*
Whether Helm renders for a cluster, where the namespace of the release exists or Helm creates
it, or only prints the objects. Helm renders before it creates the namespace.
*/}}
{{- define "gateway.isOnCluster" -}}
{{- if lookup "v1" "Namespace" "" "kube-system" -}}
true
{{- end -}}
{{- end }}

{{- /* The name of the PriorityClass of the pods, or nothing. */}}
{{- define "gateway.priorityClass" -}}
{{- if .Values.priorityClass.name -}}
{{- .Values.priorityClass.name -}}
{{- else if .Values.priorityClass.create -}}
{{- include "gateway.name" . -}}
{{- end -}}
{{- end }}

{{- /* The Secrets that the gateway reads, as a map from namespaces to names. */}}
{{- define "gateway.secrets" -}}
{{- $secrets := deepCopy .Values.rbac.secrets -}}
{{- $settings := include "gateway.settings" . | fromYaml -}}
{{- with $settings.defaultCertificate -}}
{{- $parts := splitList "/" . -}}
{{- if ne (len $parts) 2 -}}
{{- fail (printf "settings.defaultCertificate: %q is not NAMESPACE/NAME, such as %s/%s" . $.Release.Namespace .) -}}
{{- end -}}
{{- $namespace := first $parts -}}
{{- $names := append (get $secrets $namespace | default list) (last $parts) | uniq | sortAlpha -}}
{{- $_ := set $secrets $namespace $names -}}
{{- end -}}
{{- toYaml $secrets -}}
{{- end }}

{{- /*
The permissions for the objects that define routes, their status and Events, in the cluster
or in each namespace.
*/}}
{{- define "gateway.watchRules" }}
- apiGroups: [networking.k8s.io, extensions]
  resources: [ingresses]
  verbs: [get, list, watch]
- apiGroups: [config.istio.io]
  resources: [routerules]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [services, endpoints, pods]
  verbs: [get, list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
- apiGroups: [networking.k8s.io, extensions]
  resources: [ingresses/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [events]
  verbs: [list, create, patch, delete]
{{- end }}

{{- /* The rest of a binding, to a role of this kind and name. */}}
{{- define "gateway.bound" }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ toYaml .name }}
subjects:
- kind: ServiceAccount
  name: {{ include "gateway.account" .root | toYaml }}
  namespace: {{ toYaml .root.Release.Namespace }}
{{- end }}
