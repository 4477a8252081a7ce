{{- define "ingot.name" -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "ingot.webhook" -}}
{{ include "ingot.name" . }}-webhook
{{- end -}}

{{- define "ingot.account" -}}
{{- .Values.serviceAccount.name | default (include "ingot.name" .) -}}
{{- end -}}

{{/* With a digest a tag would be for people only, and not every runtime takes both. */}}
{{- define "ingot.image" -}}
{{- with .Values.image }}
{{- .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end -}}

{{/* What tells instances of this release from those of another, and does not change. */}}
{{- define "ingot.selector" -}}
app.kubernetes.io/name: ingot
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "ingot.labels" -}}
{{ include "ingot.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* An option that is left out where it says what Ingot does anyway: (list NAME VALUE STANDARD). Numbers of values.yaml are
floating, and would be written 7.776e+06. */}}
{{- define "ingot.option" -}}
{{- $value := index . 1 }}
{{- if kindIs "float64" $value }}
{{- $value = int64 $value }}
{{- end }}
{{- if ne (toString $value) (toString (index . 2)) }}
- {{ printf "--%s=%v" (index . 0) $value | quote }}
{{- end }}
{{- end -}}

{{- define "ingot.args" -}}
- operator
- --own-namespace=$(POD_NAMESPACE)
- --leader-elect
- --lease-duration={{ .Values.leaderElection.leaseDuration }}
- --renew-deadline={{ .Values.leaderElection.renewDeadline }}
- --retry-period={{ .Values.leaderElection.retryPeriod }}
- --metrics-addr={{ if .Values.metrics.port }}:{{ end }}{{ .Values.metrics.port }}
{{- include "ingot.option" (list "health-addr" (printf "127.0.0.1:%v" .Values.healthPort) "127.0.0.1:9440") }}
{{- include "ingot.option" (list "tls-min-version" .Values.tlsMinVersion "TLS12") }}
{{- include "ingot.option" (list "webhook-port" (ternary .Values.webhook.port 0 .Values.webhook.enabled) 9443) }}
{{- include "ingot.option" (list "log-format" .Values.logFormat "text") }}
{{- include "ingot.option" (list "namespace" .Values.watch.namespace "") }}
{{- include "ingot.option" (list "kube-api-qps" .Values.kubeApiQps 20) }}
{{- include "ingot.option" (list "kube-api-burst" .Values.kubeApiBurst 30) }}
{{- include "ingot.option" (list "log-level" .Values.logLevel "info") }}
{{- include "ingot.option" (list "max-provisioning-retries" .Values.provisioning.maxRetries 5) }}
{{- include "ingot.option" (list "bmc-networks" (join "," .Values.networks.bmcs) "") }}
{{- include "ingot.option" (list "cluster-networks" (join "," .Values.networks.cluster) "") }}
{{- range .Values.networks.allow }}
{{- include "ingot.option" (list "allow-target" . "") }}
{{- end }}
{{- if .Values.provisioning.interface }}
{{- include "ingot.bootArgs" . }}
{{- end }}
{{- if .Values.webhook.enabled }}
{{- include "ingot.webhookArgs" . }}
{{- end }}
{{- include "ingot.option" (list "lease-name" .Values.leaderElection.leaseName "ingot") }}
{{- include "ingot.option" (list "lease-namespace" .Values.leaderElection.leaseNamespace "") }}
{{- range .Values.extraArgs }}
- {{ quote . }}
{{- end }}
{{- end -}}

{{- define "ingot.webhookArgs" -}}
{{- if .Values.webhook.certManager }}
- --webhook-cert-dir=/etc/ingot/webhook
{{- else }}
{{- include "ingot.option" (list "webhook-service" (include "ingot.webhook" .) "ingot-webhook") }}
{{- include "ingot.option" (list "webhook-configuration" (include "ingot.name" .) "ingot") }}
{{- include "ingot.option" (list "webhook-cert-lifetime" .Values.webhook.certLifetime 7776000) }}
{{- end }}
{{- end -}}

{{- define "ingot.bootArgs" -}}
{{- with .Values.provisioning }}
{{- include "ingot.option" (list "provisioning-interface" .interface "") }}
{{- include "ingot.option" (list "provisioning-address" .address "") }}
{{- include "ingot.option" (list "ramdisk" .ramdisk "") }}
{{- include "ingot.option" (list "ramdisk-args" .ramdiskArgs "console=tty0 console=ttyS0") }}
{{- include "ingot.option" (list "http-port" .httpPort 6180) }}
{{- include "ingot.option" (list "agent-port" .agentPort 6385) }}
{{- include "ingot.option" (list "peer-share" .peerShare 12) }}
{{- include "ingot.option" (list "boot-timeout" .bootTimeout 1200) }}
{{- include "ingot.option" (list "agent-timeout" .agentTimeout 180) }}
{{- end }}
{{- with .Values.dhcp }}
{{- include "ingot.option" (list "dhcp" .mode "server") }}
{{- range .ranges }}
{{- include "ingot.option" (list "dhcp-range" . "") }}
{{- end }}
{{- range .gateways }}
{{- include "ingot.option" (list "dhcp-gateway" . "") }}
{{- end }}
{{- include "ingot.option" (list "dhcp-dns" (join "," .dns) "") }}
{{- include "ingot.option" (list "dhcp-domain" .domain "") }}
{{- include "ingot.option" (list "dhcp-lease" .leaseSeconds 3600) }}
{{- if .routerAdverts }}
- --router-adverts
{{- end }}
{{- end }}
{{- end -}}
