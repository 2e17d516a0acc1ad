//go:build e2e

package e2e

import (
	"fmt"
	"strings"
)

// functionImage is the busybox of hack/kube/images.
const functionImage = "localhost/function:e2e"

// claim is a PersistentVolumeClaim.
type claim struct {
	namespace, name, class string
	mode                   string // of access; ReadOnlyMany if empty
	size                   string // 1Gi if empty
	source                 string // kind/name of what it is made of
	block                  bool
}

func (c claim) String() string {
	var extra strings.Builder
	if kind, name, ok := strings.Cut(c.source, "/"); ok {
		group := ""
		if kind == "VolumeSnapshot" {
			group = "apiGroup: snapshot.storage.k8s.io, "
		}
		fmt.Fprintf(&extra, "  dataSource: {%skind: %s, name: %s}\n", group, kind, name)
	}
	if c.block {
		extra.WriteString("  volumeMode: Block\n")
	}
	return fmt.Sprintf(`apiVersion: v1
kind: PersistentVolumeClaim
metadata: {namespace: %s, name: %s}
spec:
  storageClassName: %s
  accessModes: [%s]
  resources: {requests: {storage: %s}}
%s`, c.namespace, c.name, c.class, or(c.mode, "ReadOnlyMany"), or(c.size, "1Gi"), extra.String())
}

// function is a pod with one volume.
type function struct {
	namespace, name string
	script          string // what its shell runs; it sleeps on if empty
	volume          string // the volume's source in YAML's flow style
	device          bool   // whether the volume is shown as /dev/data, not at /data
	once            bool   // whether it ends with its script
}

// of is the volume of a claim.
func of(claim string) string {
	return "persistentVolumeClaim: {claimName: " + claim + "}"
}

func (f function) String() string {
	shown := "volumeMounts: [{name: data, mountPath: /data}]"
	restart := "Always"
	if f.once {
		restart = "Never"
	}
	if f.device {
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
`, f.namespace, f.name, restart, functionImage, or(f.script, "exec sleep 2147483647"), shown, f.volume)
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// job runs a script once over a volume.
func job(namespace, name, script, volume string) string {
	return fmt.Sprintf(`apiVersion: batch/v1
kind: Job
metadata: {namespace: %s, name: %s}
spec:
  template:
    spec:
      restartPolicy: OnFailure
      containers:
      - name: job
        image: %s
        imagePullPolicy: Never
        command: [sh, -c, %q]
        volumeMounts: [{name: data, mountPath: /data}]
      volumes:
      - {name: data, %s}
`, namespace, name, functionImage, script, volume)
}

// snapshot is a VolumeSnapshot of a claim.
func snapshot(namespace, name, claim string) string {
	return fmt.Sprintf(`apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {namespace: %s, name: %s}
spec: {volumeSnapshotClassName: %s, source: {persistentVolumeClaimName: %s}}
`, namespace, name, classSnapshot, claim)
}

// The classes of the tests. Some are of deploy/kubernetes/classes.
const (
	classGolden       = "resnet50"
	classWaiting      = "resnet50-waiting"
	classGranted      = "resnet50-v2"
	classCephFSGolden = "resnet50-fs"
	classXFS          = "writable-xfs"
	classWritable     = "sdp-writable"
	classCephFS       = "sdp-cephfs-writable"
	classSnapshot     = "sdp"
)

// classes are made once, by the scene.
func classes() []string {
	return []string{
		class(classGolden, "Immediate", `golden: "resnet50:v1"`),
		class(classWaiting, "WaitForFirstConsumer", `golden: "resnet50:v1"`),
		class(classGranted, "Immediate", `golden: "public/resnet50:v2"`),
		class(classCephFSGolden, "Immediate", `backend: cephfs, golden: "resnet50-fs:v1"`),
		class(classXFS, "Immediate", "csi.storage.k8s.io/fstype: xfs"),
	}
}

func namespace(name string) string {
	return "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name + "}"
}

// class is a StorageClass of the driver. Its parameters are in YAML's flow
// style.
func class(name, binding, parameters string) string {
	return fmt.Sprintf(`apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: %s}
provisioner: %s
volumeBindingMode: %s
allowVolumeExpansion: true
reclaimPolicy: Delete
parameters: {%s, csi.storage.k8s.io/node-stage-secret-name: "sdp-node-${pvc.namespace}", csi.storage.k8s.io/node-stage-secret-namespace: %s}
`, name, driverName, binding, parameters, driverNamespace)
}
