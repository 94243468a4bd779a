{{/* HAProxy's configuration. It has a server for every node that there may be. */}}

{{- define "cortexkg.front.configuration" -}}
{{- $maximum := .Values.node.replicas -}}
{{- if .Values.autoscaling.enabled }}{{ $maximum = .Values.autoscaling.maxReplicas }}{{ end -}}
{{- .Files.Get "files/haproxy.cfg"
  | replace "@DOMAIN@" (include "cortexkg.nodes.domain" .)
  | replace "@PORT@" (toString .Values.node.port)
  | replace "@MAXIMUM@" (toString $maximum) -}}
{{- end -}}

{{/* HAProxy finds the key of NAME.pem in NAME.pem.key. */}}
{{- define "cortexkg.front.pair" -}}
- name: {{ index . 1 }}
  secret:
    secretName: {{ include "cortexkg.tls.secret" . }}
    defaultMode: 0440
    items:
      - {key: tls.crt, path: {{ index . 1 }}.pem}
      - {key: tls.key, path: {{ index . 1 }}.pem.key}
      {{- if eq (index . 1) "balancer" }}
      - {key: ca.crt, path: ca.crt}
      {{- end }}
{{- end -}}
