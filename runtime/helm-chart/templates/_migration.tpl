{{/* The primary is found among the hosts; the password is in a file, never in an argument. */}}

{{- define "cortexkg.migration.script" -}}
{{- $hosts := list -}}{{- $ports := list -}}
{{- range .Values.database.hosts }}{{ $hosts = append $hosts .host }}{{ $ports = append $ports (int .port) }}{{ end -}}
set -eu
umask 077
cp /srv/cortexkg/database/cortex.pgpass /srv/cortexkg/run/cortex.pgpass
exec python -P -m cortex_runtime.main migrate "host={{ join "," $hosts }} port={{ join "," $ports }} \
  user={{ .Values.migration.user }} dbname=postgres target_session_attrs=read-write connect_timeout=5 \
  passfile=/srv/cortexkg/run/cortex.pgpass {{ include "cortexkg.migration.tls" . }}"
{{- end -}}

{{- define "cortexkg.migration.tls" -}}
{{- if .Values.migration.tlsSecret -}}
sslmode=verify-full sslrootcert=/srv/cortexkg/database-tls/ca.crt \
  sslcert=/srv/cortexkg/database-tls/tls.crt sslkey=/srv/cortexkg/database-tls/tls.key
{{- else -}}
sslmode=disable
{{- end -}}
{{- end -}}
