{{/* The name of everything in this release: no longer than a label may be. */}}
{{- define "lacuna.name" -}}
{{- if contains "lacuna" .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-lacuna" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "lacuna.selector" -}}
app.kubernetes.io/name: lacuna
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "lacuna.labels" -}}
{{ include "lacuna.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "lacuna.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "lacuna.name" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "lacuna.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}

{{/* The user of the image. Nothing is written but to what is mounted. */}}
{{- define "lacuna.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "lacuna.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "lacuna.env" -}}
{{- range $name, $value := .Values.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "lacuna.mounts" -}}
- name: config
  mountPath: /etc/lacuna
  readOnly: true
- name: keys
  mountPath: /run/lacuna/keys
  readOnly: true
{{- if .Values.tls.existingSecret }}
- name: tls
  mountPath: /run/lacuna/tls
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* `config`: the name of the config map, which a hook has of its own because it runs before the others. */}}
{{- define "lacuna.volumes" -}}
- name: config
  configMap:
    name: {{ .config }}
- name: keyring
  secret:
    secretName: {{ .root.Values.keyring.existingSecret }}
    items:
      - key: {{ .root.Values.keyring.key }}
        path: lacuna.keys
- name: keys
  emptyDir:
    medium: Memory
    sizeLimit: 8Mi
{{- if .root.Values.tls.existingSecret }}
- name: tls
  secret:
    secretName: {{ .root.Values.tls.existingSecret }}
{{- end }}
{{- with .root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A keyring that anybody but its owner may read is refused, and a mounted secret belongs to root: it is copied into memory. */}}
{{- define "lacuna.keyringContainer" -}}
- name: keyring
  image: {{ include "lacuna.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [install, --mode=600, /run/secrets/keyring/lacuna.keys, /run/lacuna/keys/lacuna.keys]
  securityContext:
    {{- include "lacuna.containerSecurity" . | nindent 4 }}
  resources:
    requests: { cpu: 10m, memory: 16Mi }
    limits: { memory: 32Mi }
  volumeMounts:
    - name: keyring
      mountPath: /run/secrets/keyring
      readOnly: true
    - name: keys
      mountPath: /run/lacuna/keys
{{- end -}}
