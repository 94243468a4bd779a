{{/* Rules that several network policies share. */}}

{{- define "cortexkg.network.dns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
  to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
      podSelector:
        matchLabels:
          k8s-app: kube-dns
{{- end -}}

{{- define "cortexkg.network.nodes" -}}
- ports:
    - port: {{ .Values.node.port }}
  to:
    - podSelector:
        matchLabels:
          {{- include "cortexkg.selector" (list . "node") | nindent 10 }}
{{- end -}}

{{- define "cortexkg.network.front" -}}
- ports:
    - port: 8443
  to:
    - podSelector:
        matchLabels:
          {{- include "cortexkg.selector" (list . "front") | nindent 10 }}
{{- end -}}

{{- define "cortexkg.network.database" -}}
- ports:
    {{- range $port := include "cortexkg.database.ports" . | fromJsonArray }}
    - port: {{ int $port }}
    {{- end }}
  to:
    {{- include "cortexkg.network.blocks" .Values.database.cidrs | nindent 4 }}
{{- end -}}

{{- define "cortexkg.database.ports" -}}
{{- $ports := list -}}
{{- range .Values.database.hosts }}{{ $ports = append $ports .port }}{{ end -}}
{{ $ports | uniq | toJson }}
{{- end -}}

{{- define "cortexkg.network.blocks" -}}
{{- range . }}
- ipBlock:
    cidr: {{ . }}
{{- end }}
{{- end -}}
