{{/* Names and labels. Every one that is of a component takes (list $ "component"). */}}

{{- define "cortexkg.name" -}}
{{- if contains .Chart.Name .Release.Name -}}{{ .Release.Name }}{{- else -}}{{ .Release.Name }}-{{ .Chart.Name }}{{- end -}}
{{- end -}}

{{- define "cortexkg.selector" -}}
{{- $root := first . -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "cortexkg.labels" -}}
{{- $root := first . -}}
{{ include "cortexkg.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: {{ $root.Chart.Name }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{- end -}}

{{/* Of (list $ "component"), or (list $ "component" "name") where the component has more than one. */}}
{{- define "cortexkg.metadata" -}}
{{- $root := first . -}}
name: {{ include "cortexkg.name" $root }}-{{ last . }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "cortexkg.labels" . | nindent 2 }}
{{- end -}}

{{/* The domain of the nodes' own names, NODE.DOMAIN, which their certificate is for. */}}
{{- define "cortexkg.nodes.domain" -}}
{{ include "cortexkg.name" . }}-node.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end -}}

{{- define "cortexkg.front.domain" -}}
{{ include "cortexkg.name" . }}-front.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end -}}

{{/* What clients call the front: the first of its names. */}}
{{- define "cortexkg.front.hostname" -}}
{{ .Values.front.hostnames | first | default (include "cortexkg.front.domain" .) }}
{{- end -}}

{{/* The secret of a certificate: the chart's own when cert-manager issues it, else the one that is given. */}}
{{- define "cortexkg.tls.secret" -}}
{{- $root := first . -}}
{{- if $root.Values.tls.issuer -}}
{{ include "cortexkg.name" $root }}-{{ last . }}-tls
{{- else -}}
{{ get $root.Values.tls.secrets (last .) }}
{{- end -}}
{{- end -}}

{{/* An image, by its digest alone. */}}
{{- define "cortexkg.image" -}}
{{ .repository }}@{{ .digest }}
{{- end -}}

{{/* What the schema cannot say: values that must fit one another. */}}
{{- define "cortexkg.check" -}}
{{- $regions := list -}}
{{- range .Values.database.hosts }}{{ $regions = append $regions .region }}{{ end -}}
{{- if not (has .Values.region $regions) -}}
{{- fail (printf "database.hosts has no instance in region %s: a node reads from that of its own region." .Values.region) -}}
{{- end -}}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) -}}
{{- fail "autoscaling.minReplicas is greater than autoscaling.maxReplicas." -}}
{{- end -}}
{{- end -}}
