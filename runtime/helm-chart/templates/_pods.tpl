{{/* What all pods have in common: they are nobody, can write nothing, and have no token of the API server. */}}

{{- define "cortexkg.pod" -}}
{{- $root := first . -}}
serviceAccountName: {{ include "cortexkg.name" $root }}-{{ last . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "cortexkg.container.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Over zones as far as there are any, and never two on one machine while another has room. */}}
{{- define "cortexkg.spread" -}}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "cortexkg.selector" $ | nindent 8 }}
  {{- end }}
{{- end -}}
