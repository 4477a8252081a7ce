{{/* What `ingot operator` refuses at its start and values.schema.json cannot say, because it is about more than one value, or
needs arithmetic. Not looked at: host bits of IPv6 networks, and IPv6 ranges. */}}

{{/* An IPv4 address as a number. */}}
{{- define "ingot.number" -}}
{{- $number := 0 }}
{{- range splitList "." . }}
{{- $number = add (mul $number 256) (atoi .) }}
{{- end }}
{{- $number }}
{{- end -}}

{{/* How many addresses a network of so many bits has. */}}
{{- define "ingot.size" -}}
{{- $size := 1 }}
{{- range until (sub 32 (atoi .) | int) }}
{{- $size = mul $size 2 }}
{{- end }}
{{- $size }}
{{- end -}}

{{/* (list ADDRESS BITS): which one of the networks of that size it is in. */}}
{{- define "ingot.subnet" -}}
{{- div (include "ingot.number" (index . 0) | int64) (include "ingot.size" (index . 1) | int64) }}
{{- end -}}

{{- define "ingot.checkNetworks" -}}
{{- range $name, $networks := .Values.networks }}
{{- range $networks }}
{{- $parts := splitList "/" . }}
{{- if contains "." (index $parts 0) }}
{{- if mod (include "ingot.number" (index $parts 0) | int64) (include "ingot.size" (index $parts 1) | int64) }}
{{- fail (printf "networks.%s: %s has host bits, which must be zero" $name .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "ingot.checkRange" -}}
{{- if not (contains ":" .) }}
{{- $parts := splitList "/" . }}
{{- $ends := splitList "-" (index $parts 0) }}
{{- $first := include "ingot.subnet" (list (index $ends 0) (index $parts 1)) }}
{{- $last := include "ingot.subnet" (list (index $ends 1) (index $parts 1)) }}
{{- if or (ne $first $last) (gt (include "ingot.number" (index $ends 0) | int64) (include "ingot.number" (index $ends 1) | int64)) }}
{{- fail (printf "dhcp.ranges: %s begins and ends in different subnets, or ends before it begins" .) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* (list GATEWAY RANGES) */}}
{{- define "ingot.checkGateway" -}}
{{- $gateway := index . 0 }}
{{- $found := false }}
{{- range index . 1 }}
{{- $parts := splitList "/" . }}
{{- $first := index (splitList "-" (index $parts 0)) 0 }}
{{- if contains ":" . }}
{{- else if eq (include "ingot.subnet" (list $first (index $parts 1))) (include "ingot.subnet" (list $gateway (index $parts 1))) }}
{{- $found = true }}
{{- end }}
{{- end }}
{{- if not $found }}
{{- fail (printf "dhcp.gateways: %s is not in the subnet of any range of dhcp.ranges" $gateway) }}
{{- end }}
{{- end -}}

{{- define "ingot.checkDhcp" -}}
{{- if ne .mode "server" }}
{{- if or .ranges .gateways .dns .domain (ne (int64 .leaseSeconds) 3600) .routerAdverts }}
{{- fail (printf "dhcp.mode \"%s\": ranges, gateways, dns, domain, leaseSeconds and routerAdverts go with mode server only" .mode) }}
{{- end }}
{{- else if not .ranges }}
{{- fail "dhcp.ranges: with dhcp.mode \"server\" name at least one, such as 192.168.77.10-192.168.77.99/24" }}
{{- end }}
{{- range .ranges }}
{{- include "ingot.checkRange" . }}
{{- end }}
{{- $ranges := .ranges }}
{{- range .gateways }}
{{- include "ingot.checkGateway" (list . $ranges) }}
{{- end }}
{{- end -}}

{{- define "ingot.checkLease" -}}
{{- if lt (int64 .leaseDuration) (add .renewDeadline 2) }}
{{- fail "leaderElection.leaseDuration: at least renewDeadline + 2" }}
{{- end }}
{{- if le (mul .renewDeadline 5) (mul .retryPeriod 6) }}
{{- fail "leaderElection.renewDeadline: more than 1.2 times retryPeriod" }}
{{- end }}
{{- end -}}

{{- define "ingot.checkPorts" -}}
{{- $ports := list (int64 .healthPort) }}
{{- if .metrics.port }}
{{- $ports = append $ports (int64 .metrics.port) }}
{{- end }}
{{- if .webhook.enabled }}
{{- $ports = append $ports (int64 .webhook.port) }}
{{- end }}
{{- if .provisioning.interface }}
{{- $ports = append (append $ports (int64 .provisioning.httpPort)) (int64 .provisioning.agentPort) }}
{{- end }}
{{- if ne (len $ports) (len (uniq $ports)) }}
{{- fail (printf "ports: each may be given once, of healthPort, metrics.port, webhook.port, provisioning.httpPort, provisioning.agentPort: %v" $ports) }}
{{- end }}
{{- end -}}

{{- define "ingot.check" -}}
{{- include "ingot.checkNetworks" . }}
{{- include "ingot.checkLease" .Values.leaderElection }}
{{- include "ingot.checkPorts" .Values }}
{{- if .Values.provisioning.interface }}
{{- include "ingot.checkDhcp" .Values.dhcp }}
{{- end }}
{{- end -}}
