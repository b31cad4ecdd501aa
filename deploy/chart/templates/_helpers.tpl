{{- define "dualpath.image" -}}
{{ .root.Values.image.registry }}/{{ .name }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "dualpath.labels" -}}
app.kubernetes.io/name: {{ . }}
app.kubernetes.io/part-of: dualpath
{{- end }}

{{- define "dualpath.pod" -}}
priorityClassName: system-node-critical
nodeSelector: {{- toYaml .Values.nodeSelector | nindent 2 }}
tolerations: {{- toYaml .Values.tolerations | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "dualpath.metricsPort" -}}
{{ .Values.controller.metrics | splitList ":" | last }}
{{- end }}

{{- define "dualpath.metricsHost" -}}
{{ trimSuffix (printf ":%s" (include "dualpath.metricsPort" .)) .Values.controller.metrics | trimPrefix "[" | trimSuffix "]" }}
{{- end }}

{{- define "dualpath.kinds" -}}
[l2vnis, l3passthroughs, l3vnis, rawfrrconfigs, underlays]
{{- end }}
