{{/* comet.name is the name of every object: the release's, with the chart's unless it contains that. */}}
{{- define "comet.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* comet.selector is the labels that select the pods. They cannot change. */}}
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

{{/* comet.secret is the name of the Secret with the settings. */}}
{{- define "comet.secret" -}}
{{ .Values.existingSecret | default (include "comet.name" .) }}
{{- end }}

{{/* comet.image is the image with its digest, or its tag. */}}
{{- define "comet.image" -}}
{{- with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}{{ end }}
{{- end }}

{{/*
comet.secrets is the data of the Secret, by key, in base64. A placeholder does not
replace a real value that the Secret has already, and a key that an upgrade leaves out
stays: `helm upgrade` without the secrets keeps them.
*/}}
{{- define "comet.secrets" -}}
{{- $data := dict }}
{{- range $key, $value := .Values.secrets }}
  {{- if kindIs "slice" $value }}{{ $value = join "," $value }}{{ end }}
  {{- $_ := set $data $key ($value | toString | b64enc) }}
{{- end }}
{{- $live := lookup "v1" "Secret" .Release.Namespace (include "comet.name" .) }}
{{- range $key, $value := (($live | default dict).data | default dict) }}
  {{- $given := get $data $key | default "" | b64dec }}
  {{- if or (not (hasKey $data $key)) (and (contains "REPLACE-ME" $given) (not (contains "REPLACE-ME" ($value | b64dec)))) }}
    {{- $_ := set $data $key $value }}
  {{- end }}
{{- end }}
{{- toYaml $data }}
{{- end }}

{{/* comet.replicas is the number in the Deployment. While the autoscaler is on it is the live one: none would be 1. */}}
{{- define "comet.replicas" -}}
{{- if not .Values.autoscaling.enabled }}{{ .Values.replicas }}
{{- else }}
  {{- $live := lookup "apps/v1" "Deployment" .Release.Namespace (include "comet.name" .) }}
  {{- with (($live | default dict).spec | default dict).replicas }}{{ . }}{{ end }}
{{- end }}
{{- end }}

{{/* comet.seconds is a duration of the settings, as 1m30s, in seconds. */}}
{{- define "comet.seconds" -}}
{{- $sum := 0.0 }}
{{- range regexFindAll "[0-9.]+(ms|h|m|s)" (toString .) -1 }}
  {{- $number := regexFind "^[0-9.]+" . | float64 }}
  {{- $unit := regexFind "[a-z]+$" . }}
  {{- $sum = addf $sum (mulf $number (get (dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0) $unit)) }}
{{- end }}
{{- $sum }}
{{- end }}

{{/* comet.check fails for values that are valid one by one and wrong together. */}}
{{- define "comet.check" -}}
{{- $drain := .Values.config.drain | default dict }}
{{- $needed := addf (include "comet.seconds" ($drain.delay | default "5s") | float64) (include "comet.seconds" ($drain.spread | default "20s") | float64) 10.0 }}
{{- if le (float64 .Values.terminationGracePeriodSeconds) $needed }}
  {{- fail (printf "terminationGracePeriodSeconds is %v: it must be more than config.drain.delay + config.drain.spread + 10 s, which is %v s, else Kubernetes kills nodes that drain" .Values.terminationGracePeriodSeconds $needed) }}
{{- end }}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
  {{- fail (printf "autoscaling.minReplicas is %v: it must be at most autoscaling.maxReplicas, which is %v" .Values.autoscaling.minReplicas .Values.autoscaling.maxReplicas) }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled }}
  {{- fail "serviceMonitor.enabled and podMonitor.enabled are both true: each node would be scraped twice, so choose one" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.className) }}
  {{- fail "ingress.className is empty: name the class of the controller that you have (kubectl get ingressclass)" }}
{{- end }}
{{- end }}

{{/* comet.scrape is the endpoint of a ServiceMonitor or PodMonitor. */}}
{{- define "comet.scrape" -}}
- port: admin
  path: /metrics
  interval: {{ .monitor.interval }}
  authorization:
    credentials: {name: {{ include "comet.secret" .root }}, key: COMET_ADMIN_TOKEN}
{{- end }}
