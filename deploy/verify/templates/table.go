package templates

// Conditions on the values.
const (
	withMetrics = "{{- if .Values.metrics.enabled }}\n"
	withMounter = "{{- if .Values.mounter.enabled }}\n"
	end         = "{{- end }}\n"
)

// nodeTolerations are the defaults, which the values have too.
const nodeTolerations = "      tolerations:\n      - operator: Exists\n"

func table() []template {
	return []template{
		{from: "base/csidriver.yaml", to: "csidriver.yaml"},
		{from: "base/controller-rbac.yaml", to: "controller-rbac.yaml"},
		{from: "base/controller.yaml", to: "controller.yaml", puts: append(controllers(),
			put{1, "  replicas: 2\n", "  replicas: {{ .Values.controller.replicas }}\n"},
			put{1, "        - --volume-users=tenants\n        - --v=2\n", "        - --volume-users=tenants\n        - --v=2\n" + controllersMetrics})},
		{from: "base/tenants.yaml", to: "tenants.yaml", puts: append(controllers(),
			put{1, "        - --health-address=:9809\n        - --v=2\n", "        - --health-address=:9809\n        - --v=2\n" + controllersMetrics})},
		{from: "base/node.yaml", to: "node.yaml", puts: []put{
			{1, "- --mapper=krbd\n", "- --mapper={{ .Values.node.mapper | default (ternary \"auto\" \"krbd\" .Values.mounter.enabled) }}\n"},
			{1, "        - --require-pod-info\n        - --v=2\n        env:\n", "        - --require-pod-info\n        - --v=2\n" + withMounter + "        - --mounter-socket=/run/sdp-csi/mounter/socket\n" + end +
				withMetrics + "        - --metrics-address=$(HOST_IP):9812\n        ports:\n        - name: metrics\n          containerPort: 9812\n" + end + "        env:\n" + hostIP},
			{1, "      hostNetwork: true\n", "      hostNetwork: true\n" + withMounter + "      hostPID: true\n" + end},
			{1, nodeTolerations, "      tolerations:\n      {{- toYaml .Values.node.tolerations | nindent 6 }}\n"},
		}},
		{from: "base/networkpolicy.yaml", to: "networkpolicy.yaml", puts: []put{
			{1, "  ingress: []\n", "{{- if .Values.metrics.enabled }}\n  ingress:\n  - ports:\n    - {protocol: TCP, port: 9808}\n{{- else }}\n  ingress: []\n{{- end }}\n"},
		}},
		{from: "components/mounter/mounter.yaml", to: "mounter.yaml", when: ".Values.mounter.enabled", puts: []put{
			{1, "        - --state-dir=/run/sdp-csi\n        - --v=2\n", "        - --state-dir=/run/sdp-csi\n        - --v=2\n" + withMetrics +
				"        - --metrics-address=$(HOST_IP):9813\n        ports:\n        - name: metrics\n          containerPort: 9813\n        env:\n" + hostAddress + end},
			{1, nodeTolerations, "      tolerations:\n      {{- toYaml .Values.node.tolerations | nindent 6 }}\n"},
		}},
		{from: "components/metrics/metrics.yaml", to: "metrics.yaml", when: ".Values.metrics.enabled"},
		{from: "components/inline/inline.yaml", to: "inline.yaml", when: ".Values.inline.everywhere"},
	}
}

// hostAddress is the variable that tells a pod its node's address.
const hostAddress = "        - name: HOST_IP\n          valueFrom:\n            fieldRef:\n              fieldPath: status.hostIP\n"

const hostIP = withMetrics + hostAddress + end

// controllersMetrics is behind the arguments of a controller's driver.
const controllersMetrics = withMetrics + "        - --metrics-address=:9808\n" + end

// controllers are the replacements in both of them.
func controllers() []put {
	return []put{{1, "        - name: healthz\n          containerPort: 9809\n",
		"        - name: healthz\n          containerPort: 9809\n" + withMetrics + "        - name: metrics\n          containerPort: 9808\n" + end}}
}
