{{- define "dnsgate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "dnsgate.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "dnsgate.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "dnsgate.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "dnsgate.selector" -}}
app.kubernetes.io/name: {{ include "dnsgate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "dnsgate.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "dnsgate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "dnsgate.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "dnsgate.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "dnsgate.configMap" -}}
{{- default (include "dnsgate.fullname" .) .Values.existingConfigMap -}}
{{- end -}}

{{- define "dnsgate.image" -}}
{{- $repository := required "Set image.repository: where you pushed dnsgate's image." .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The configuration as data; an error of YAML is told here, with its line. */}}
{{- define "dnsgate.parsed" -}}
{{- $parsed := fromYaml .Values.config -}}
{{- if and (hasKey $parsed "Error") (eq (len $parsed) 1) -}}
{{- fail (printf "The value config is not YAML: %s" $parsed.Error) -}}
{{- end -}}
{{- toJson $parsed -}}
{{- end -}}

{{/* limits.drain in whole seconds, rounded up. */}}
{{- define "dnsgate.drain" -}}
{{- if .Values.existingConfigMap -}}
{{- .Values.drainSeconds -}}
{{- else -}}
{{- $drain := dig "limits" "drain" "5s" (include "dnsgate.parsed" . | fromJson) | toString -}}
{{- if regexMatch "^[0-9]+ms$" $drain -}}
{{- div (add (trimSuffix "ms" $drain | int) 999) 1000 -}}
{{- else if regexMatch "^[0-9]+s$" $drain -}}
{{- trimSuffix "s" $drain -}}
{{- else if regexMatch "^[0-9]+m$" $drain -}}
{{- mul (trimSuffix "m" $drain | int) 60 -}}
{{- else -}}
{{- fail (printf "limits.drain of the value config must be a number of ms, s or m, such as 10s, and not %s" $drain) -}}
{{- end -}}
{{- end -}}
{{- end -}}
