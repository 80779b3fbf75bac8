{{/* The name of everything: the release's, with the chart's where that lacks it. */}}
{{- define "comet.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* What pods are found by. */}}
{{- define "comet.selector" -}}
app.kubernetes.io/name: comet
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "comet.labels" -}}
{{ include "comet.selector" . }}
app.kubernetes.io/part-of: comet
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "comet.secret" -}}
{{ .Values.existingSecret | default (include "comet.name" .) }}
{{- end }}
