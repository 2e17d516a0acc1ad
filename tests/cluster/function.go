package cluster

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
)

// FunctionImage is the busybox of hack/kube/images.
const FunctionImage = "localhost/function:e2e"

// Function is a pod with one volume.
type Function struct {
	Namespace, Name string
	Script          string // what its shell runs; it sleeps on if empty
	Volume          string // the volume's source in YAML's flow style
	Device          bool   // whether the volume is shown as /dev/data, not at /data
	Once            bool   // whether it ends with its script
}

func (f Function) String() string {
	shown := "volumeMounts: [{name: data, mountPath: /data}]"
	restart := "Always"
	if f.Once {
		restart = "Never"
	}
	if f.Device {
		shown = "volumeDevices: [{name: data, devicePath: /dev/data}]"
	}
	return fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {namespace: %s, name: %s}
spec:
  terminationGracePeriodSeconds: 1
  restartPolicy: %s
  automountServiceAccountToken: false
  containers:
  - name: function
    image: %s
    imagePullPolicy: Never
    command: [sh, -c, %q]
    %s
  volumes:
  - {name: data, %s}
`, f.Namespace, f.Name, restart, FunctionImage, cmp.Or(f.Script, "exec sleep 2147483647"), shown, f.Volume)
}

// Ready makes functions and waits until each runs.
func Ready(t testing.TB, functions ...Function) {
	t.Helper()
	Start(t, functions...)
	names := make([]string, len(functions))
	for i, f := range functions {
		names[i] = "pod/" + f.Name
	}
	WaitFor(t, functions[0].Namespace, "condition=Ready", names...)
}

// Start makes functions.
func Start(t testing.TB, functions ...Function) {
	t.Helper()
	manifests := make([]string, len(functions))
	for i, f := range functions {
		manifests[i] = f.String()
	}
	Apply(t, manifests...)
}

// Shell runs a command in a function.
func Shell(t testing.TB, namespace, pod, script string) string {
	t.Helper()
	return strings.TrimSpace(Kubectl(t, "-n", namespace, "exec", pod, "--", "sh", "-c", script))
}
