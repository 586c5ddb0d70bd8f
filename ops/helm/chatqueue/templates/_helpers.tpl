{{- define "chatqueue.labels" -}}
app.kubernetes.io/name: chatqueue
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "chatqueue.selector" -}}
app.kubernetes.io/name: chatqueue
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "chatqueue.name" -}}
{{ printf "%s-chatqueue" .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* What web and worker have in common: image, settings, guards and folders of a container. */}}
{{- define "chatqueue.container" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
envFrom:
  - configMapRef: {name: {{ include "chatqueue.name" . }}}
  {{- range .Values.secrets }}
  - secretRef: {name: {{ . }}}
  {{- end }}
securityContext:
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  - {name: documents, mountPath: /data}
{{- end }}

{{- define "chatqueue.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false  # CHATQUEUE_PORT and the like would be unknown settings
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
volumes:
  - name: tmp
    emptyDir: {}
  - name: documents
    {{- if .Values.documents.existingClaim }}
    persistentVolumeClaim: {claimName: {{ .Values.documents.existingClaim }}}
    {{- else }}
    emptyDir: {}
    {{- end }}
{{- end }}
