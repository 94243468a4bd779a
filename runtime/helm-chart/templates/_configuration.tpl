{{/* A node's configuration (cortex_runtime/config.py); @NODE@ is the pod's name, put in where it starts. */}}

{{- define "cortexkg.node.configuration" -}}
{{- $here := "/srv/cortexkg" -}}
{{- $database := dict "name" .Values.database.name "user" .Values.database.user "hosts" .Values.database.hosts
  "passfile" (printf "%s/run/cortex.pgpass" $here) -}}
{{- if .Values.database.tlsSecret -}}
{{- $_ := set $database "tls" (include "cortexkg.pair" (printf "%s/database-tls" $here) | fromJson) -}}
{{- end -}}
{{- $configuration := dict
  "deployment" .Values.deployment
  "name" (printf "%s-@NODE@" .Values.region)
  "region" .Values.region
  "host" (printf "@NODE@.%s" (include "cortexkg.nodes.domain" .))
  "listen" "0.0.0.0"
  "port" (int .Values.node.port)
  "tls" (include "cortexkg.pair" (printf "%s/tls" $here) | fromJson)
  "database" $database
  "tokens" (dict "node" (printf "%s/secrets/token-keys.json" $here)
    "operator" (printf "%s/secrets/operator-keys.json" $here))
  "rbac" (printf "%s/configuration/rbac.yaml" $here)
  "keys" (include "cortexkg.keys" .)
  "checkpoint_key" (printf "%s/secrets/checkpoint-signing.key" $here)
  "scraper" (printf "%s/secrets/scraper" $here)
  "log" "/dev/stdout"
  "snapshots" (printf "%s/data/snapshots" $here) -}}
{{- with .Values.objects -}}{{- $_ := set $configuration "objects" . -}}{{- end -}}
{{ $configuration | toPrettyJson }}
{{- end -}}

{{- define "cortexkg.pair" -}}
{{ dict "ca" (printf "%s/ca.crt" .) "certificate" (printf "%s/tls.crt" .) "key" (printf "%s/tls.key" .) | toJson }}
{{- end -}}

{{- define "cortexkg.keys" -}}
{{- with .Values.keys.kms -}}
kms://{{ .region }}{{ with .endpoint }}?endpoint={{ . }}{{ end }}
{{- else -}}
file:///srv/cortexkg/keyring/keyring.json?passphrase=/srv/cortexkg/keyring/passphrase
{{- end -}}
{{- end -}}

{{/* Run before a node: its own configuration, and the password where nobody else can read it (libpq asks that). */}}
{{- define "cortexkg.node.prepare" -}}
set -eu
umask 077
sed "s/@NODE@/$NODE/g" /srv/cortexkg/configuration/node.json >/srv/cortexkg/run/node.json
cp /srv/cortexkg/database/cortex.pgpass /srv/cortexkg/run/cortex.pgpass
{{- end -}}
