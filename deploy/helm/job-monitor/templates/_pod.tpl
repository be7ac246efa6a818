{{/* One with a file of SQLite, or each of those that share a database. */}}
{{- define "job-monitor.pod" -}}
metadata:
  labels:
    {{- include "job-monitor.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    checksum/config: {{ include "job-monitor.config" . | sha256sum }}
    {{- with .Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ include "job-monitor.name" . }}
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.config.store }}
  # Whatever a Secret brings may be read by the pod's group, and libpq takes no password from such a file.
  initContainers:
    - name: password
      image: {{ include "job-monitor.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command: [install, --mode=0600, /run/secrets/job-monitor/pgpass, /run/pgpass/pgpass]
      securityContext: {{- include "job-monitor.confined" . | nindent 8 }}
      {{- with .Values.resources }}
      resources: {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - {name: secrets, mountPath: /run/secrets/job-monitor, readOnly: true}
        - {name: pgpass, mountPath: /run/pgpass}
  {{- end }}
  containers:
    - name: job-monitor
      image: {{ include "job-monitor.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      ports:
        - {name: http, containerPort: 8321}
      {{- with .Values.config.store }}
      env:
        - {name: MONITOR_STORE, value: {{ . | quote }}}      # wins over that of the image
        - {name: PGPASSFILE, value: /run/pgpass/pgpass}
        - {name: RUNTIME_DIRECTORY, value: /tmp}       # of the control socket
      # Until it is known everywhere that nothing is to come here any more.
      lifecycle:
        preStop:
          exec: {command: [sleep, "5"]}
      {{- end }}
      # Migrations of a large store take their time.
      startupProbe:
        httpGet: {path: /livez, port: http}
        periodSeconds: 2
        failureThreshold: 150
      livenessProbe:
        httpGet: {path: /livez, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
      securityContext: {{- include "job-monitor.confined" . | nindent 8 }}
      {{- with .Values.resources }}
      resources: {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - {name: config, mountPath: /etc/job-monitor, readOnly: true}
        - {name: lists, mountPath: /etc/job-monitor-lists, readOnly: true}
        - {name: secrets, mountPath: /run/secrets/job-monitor, readOnly: true}
        {{- if .Values.config.store }}
        - {name: pgpass, mountPath: /run/pgpass, readOnly: true}
        {{- else }}
        - {name: store, mountPath: /var/lib/job-monitor}
        {{- end }}
        - {name: tmp, mountPath: /tmp}
  volumes:
    - name: config
      configMap: {name: {{ include "job-monitor.name" . }}}
    - name: lists
      configMap: {name: {{ include "job-monitor.name" . }}-lists}
    - name: secrets
      secret: {secretName: {{ .Values.secretName }}, defaultMode: 0440}
    - name: tmp
      emptyDir: {medium: Memory, sizeLimit: 64Mi}
    {{- if .Values.config.store }}
    - name: pgpass
      emptyDir: {medium: Memory, sizeLimit: 1Mi}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.config.store }}
  topologySpreadConstraints:
    {{- if kindIs "slice" .Values.topologySpreadConstraints }}
    {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
    {{- else }}
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "job-monitor.selector" $ | nindent 10 }}
    {{- end }}
    {{- end }}
  {{- end }}
{{- end }}
