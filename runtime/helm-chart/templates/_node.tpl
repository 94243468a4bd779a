{{/* Parts of a node's pod. */}}

{{- define "cortexkg.node.name" -}}
- name: NODE
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- end -}}

{{/* A node lets in nobody without a certificate of the deployment, so the probe is a program with the node's own.
It may load for ten minutes; restarted is one that does not answer for 30 s, whatever its database does. */}}
{{- define "cortexkg.node.probes" -}}
{{- $probe := list "python" "-P" "-m" "cortex_runtime.main" "probe" "/srv/cortexkg/run/node.json" -}}
startupProbe:
  exec:
    command: {{ append $probe "--alive" | toJson }}
  periodSeconds: 2
  timeoutSeconds: 6
  failureThreshold: 300
livenessProbe:
  exec:
    command: {{ append $probe "--alive" | toJson }}
  periodSeconds: 10
  timeoutSeconds: 6
  failureThreshold: 3
readinessProbe:
  exec:
    command: {{ $probe | toJson }}
  periodSeconds: 10
  timeoutSeconds: 6
  failureThreshold: 1
{{- end -}}

{{- define "cortexkg.node.mounts" -}}
- {name: configuration, mountPath: /srv/cortexkg/configuration, readOnly: true}
- {name: secrets, mountPath: /srv/cortexkg/secrets, readOnly: true}
- {name: tls, mountPath: /srv/cortexkg/tls, readOnly: true}
{{- if .Values.database.tlsSecret }}
- {name: database-tls, mountPath: /srv/cortexkg/database-tls, readOnly: true}
{{- end }}
{{- if .Values.keys.keyring }}
- {name: keyring, mountPath: /srv/cortexkg/keyring, readOnly: true}
{{- end }}
- {name: run, mountPath: /srv/cortexkg/run}
- {name: data, mountPath: /srv/cortexkg/data}
- {name: tmp, mountPath: /tmp}
{{- end -}}

{{/* Secrets are mounted, never in the environment, and read-only for the group that the node is in. */}}
{{- define "cortexkg.node.volumes" -}}
- name: configuration
  configMap:
    name: {{ include "cortexkg.name" . }}-node
- name: run
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: 64Mi}
{{ include "cortexkg.secret.volume" (list "secrets" .Values.secret) }}
{{ include "cortexkg.secret.volume" (list "database" .Values.database.secret) }}
{{ include "cortexkg.secret.volume" (list "tls" (include "cortexkg.tls.secret" (list . "node"))) }}
{{- with .Values.database.tlsSecret }}
{{ include "cortexkg.secret.volume" (list "database-tls" .) }}
{{- end }}
{{- with .Values.keys.keyring }}
{{ include "cortexkg.secret.volume" (list "keyring" .secret) }}
{{- end }}
{{- end -}}

{{- define "cortexkg.secret.volume" -}}
- name: {{ first . }}
  secret:
    secretName: {{ last . }}
    defaultMode: 0440
{{- end -}}
