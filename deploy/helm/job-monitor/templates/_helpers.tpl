{{- define "job-monitor.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "job-monitor.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "job-monitor.labels" -}}
{{ include "job-monitor.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "job-monitor.config" -}}
{{ toYaml .Values.config }}
{{- end }}

{{- define "job-monitor.image" -}}
{{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
{{- end }}

{{- define "job-monitor.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "job-monitor.replicas" -}}
{{- $asked := .Values.replicas | default (ternary 2 1 (not (empty .Values.config.store))) | int }}
{{- if and (gt $asked 1) (empty .Values.config.store) }}
{{- fail (printf "replicas: %d pods need a database to share: config.store: postgresql://user@host/database (docs/cluster.md). Without it the store is a file of SQLite, which has one daemon." $asked) }}
{{- end }}
{{- $asked }}
{{- end }}

{{/* Ports of the database: as in user@host:6432/name, a:5432,b:5433, ?host=a:5432 and ?port=6432 */}}
{{- define "job-monitor.databasePorts" -}}
{{- $found := list }}
{{- range regexFindAll "(:|[?&]port=)[0-9]+([/,&]|$)" .Values.config.store -1 }}
{{- $found = append $found (regexFind "[0-9]+" .) }}
{{- end }}
{{- $found | default (list "5432") | uniq | join "," }}
{{- end }}
