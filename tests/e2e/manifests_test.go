//go:build e2e

package e2e

import "github.com/sdp-csi/sdp-csi/tests/cluster"

// The classes of the tests. Some are of deploy/kubernetes/classes.
const (
	classGolden       = "resnet50"
	classWaiting      = "resnet50-waiting"
	classGranted      = "resnet50-v2"
	classCephFSGolden = "resnet50-fs"
	classXFS          = "writable-xfs"
	classWritable     = "sdp-writable"
	classCephFS       = "sdp-cephfs-writable"
)

// classes are made once, by the scene.
func classes() []string {
	return []string{
		cluster.Class(classGolden, "Immediate", `golden: "resnet50:v1"`),
		cluster.Class(classWaiting, "WaitForFirstConsumer", `golden: "resnet50:v1"`),
		cluster.Class(classGranted, "Immediate", `golden: "public/resnet50:v2"`),
		cluster.Class(classCephFSGolden, "Immediate", `backend: cephfs, golden: "resnet50-fs:v1"`),
		cluster.Class(classXFS, "Immediate", "csi.storage.k8s.io/fstype: xfs"),
	}
}
