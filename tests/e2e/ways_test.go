//go:build e2e

package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/tests/cluster"
)

// readsModel has a function read all of the golden, and write nothing.
func (s *scene) readsModel(t testing.TB, namespace, pod string) {
	t.Helper()
	if sum := cluster.Shell(t, namespace, pod, "sha256sum </data/model.h5"); !strings.HasPrefix(sum, s.model) {
		t.Errorf("%s reads %s, not %s", pod, sum, s.model)
	}
	if out, err := cluster.Try("-n", namespace, "exec", pod, "--", "touch", "/data/more"); err == nil {
		t.Errorf("%s could write: %s", pod, out)
	}
}

// golden: a claim of a golden's class has its volume at once, and several pods
// read it.
func (s *scene) golden(t *testing.T) {
	cluster.Bound(t, cluster.Claim{Namespace: "acme", Name: "model", Class: classGolden})
	cluster.Ready(t,
		cluster.Function{Namespace: "acme", Name: "reader-1", Volume: cluster.Of("model")},
		cluster.Function{Namespace: "acme", Name: "reader-2", Volume: cluster.Of("model")})
	s.readsModel(t, "acme", "reader-1")
	s.readsModel(t, "acme", "reader-2")
}

// granted: so has a claim of another tenant's golden.
func (s *scene) granted(t *testing.T) {
	cluster.Bound(t, cluster.Claim{Namespace: "acme", Name: "shared", Class: classGranted})
	cluster.Ready(t, cluster.Function{Namespace: "acme", Name: "grantee", Volume: cluster.Of("shared")})
	s.readsModel(t, "acme", "grantee")
}

// waiting: a claim of a class that waits has its volume with the first pod.
func (s *scene) waiting(t *testing.T) {
	cluster.Apply(t, cluster.Claim{Namespace: "acme", Name: "later", Class: classWaiting}.String())
	if phase := cluster.Kubectl(t, "-n", "acme", "get", "pvc", "later", "-o", "jsonpath={.status.phase}"); phase != "Pending" {
		t.Errorf("without a pod the claim is %s", phase)
	}
	cluster.Ready(t, cluster.Function{Namespace: "acme", Name: "first-consumer", Volume: cluster.Of("later")})
	s.readsModel(t, "acme", "first-consumer")
}

// ephemeral: a pod brings its claim along, which goes with it.
func (s *scene) ephemeral(t *testing.T) {
	t.Run("pod", func(t *testing.T) {
		cluster.Ready(t, cluster.Function{Namespace: "acme", Name: "own", Volume: fmt.Sprintf(
			"ephemeral: {volumeClaimTemplate: {spec: {storageClassName: %s, accessModes: [ReadOnlyMany], resources: {requests: {storage: 1Gi}}}}}", classGolden)})
		s.readsModel(t, "acme", "own")
	})
	cluster.WaitFor(t, "acme", "delete", "pvc/own-data")
}

// pipeline is how data gets into a golden's place with Kubernetes' own means: a
// Job fills a writable volume, its snapshot is what functions read.
func (s *scene) pipeline(t *testing.T) {
	cluster.Bound(t, cluster.Claim{Namespace: "acme", Name: "fill", Class: classWritable, Mode: "ReadWriteOnce", Size: "128Mi"})
	cluster.Apply(t, cluster.Job("acme", "filler", "echo trained >/data/weights", cluster.Of("fill")))
	cluster.WaitFor(t, "acme", "condition=Complete", "job/filler")
	cluster.Apply(t, cluster.Snapshot("acme", "trained", "fill"))
	cluster.WaitFor(t, "acme", "jsonpath={.status.readyToUse}=true", "volumesnapshot/trained")
	cluster.Bound(t, cluster.Claim{Namespace: "acme", Name: "weights", Class: classWritable, Source: "VolumeSnapshot/trained", Size: "128Mi"})
	cluster.Ready(t, cluster.Function{Namespace: "acme", Name: "inference", Volume: cluster.Of("weights")})
	if got := cluster.Shell(t, "acme", "inference", "cat /data/weights"); got != "trained" {
		t.Errorf("the function reads %q", got)
	}
}

// clone: a claim is made of another, and goes its own way.
func (s *scene) clone(t *testing.T) {
	cluster.Bound(t, cluster.Claim{Namespace: "acme", Name: "original", Class: classWritable, Mode: "ReadWriteOnce", Size: "128Mi"})
	cluster.Ready(t, cluster.Function{Namespace: "acme", Name: "writer", Volume: cluster.Of("original")})
	cluster.Shell(t, "acme", "writer", "echo one >/data/f && sync")
	cluster.Bound(t, cluster.Claim{Namespace: "acme", Name: "copy", Class: classWritable, Mode: "ReadWriteOnce", Size: "128Mi", Source: "PersistentVolumeClaim/original"})
	cluster.Ready(t, cluster.Function{Namespace: "acme", Name: "copier", Volume: cluster.Of("copy")})
	if got := cluster.Shell(t, "acme", "copier", "cat /data/f; echo two >/data/f"); got != "one" {
		t.Errorf("the copy has %q", got)
	}
	if got := cluster.Shell(t, "acme", "writer", "cat /data/f"); got != "one" {
		t.Errorf("the original has %q", got)
	}
}

// resize: a volume grows while a pod uses it. It is XFS, as growing a mounted
// ext4 takes CAP_SYS_RESOURCE, which root of a machine for tests may lack.
func (s *scene) resize(t *testing.T) {
	cluster.Bound(t, cluster.Claim{Namespace: "acme", Name: "growing", Class: classXFS, Mode: "ReadWriteOnce", Size: "512Mi"})
	cluster.Ready(t, cluster.Function{Namespace: "acme", Name: "user", Volume: cluster.Of("growing")})
	before := megabytes(t, "acme", "user")
	cluster.Kubectl(t, "-n", "acme", "patch", "pvc", "growing", "--patch", `{"spec": {"resources": {"requests": {"storage": "2Gi"}}}}`)
	cluster.WaitFor(t, "acme", "jsonpath={.status.capacity.storage}=2Gi", "pvc/growing")
	after := megabytes(t, "acme", "user")
	t.Logf("the pod saw %d MiB and sees %d MiB", before, after)
	if before > 512 || after < 1536 {
		t.Errorf("the pod saw %d MiB of 512 and sees %d of 2048", before, after)
	}
}

// megabytes returns the size of what a function sees at /data.
func megabytes(t testing.TB, namespace, pod string) int {
	t.Helper()
	n, err := strconv.Atoi(cluster.Shell(t, namespace, pod, "df -m /data | awk 'END { print $2 }'"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// block: a volume is a device.
func (s *scene) block(t *testing.T) {
	cluster.Bound(t, cluster.Claim{Namespace: "acme", Name: "raw", Class: classWritable, Mode: "ReadWriteOnce", Size: "64Mi", Block: true})
	cluster.Ready(t, cluster.Function{Namespace: "acme", Name: "database", Volume: cluster.Of("raw"), Device: true})
	got := cluster.Shell(t, "acme", "database", "printf sdp | dd of=/dev/data bs=512 seek=7 conv=sync,fsync 2>/dev/null; dd if=/dev/data bs=512 skip=7 count=1 2>/dev/null | head -c 3")
	if got != "sdp" {
		t.Errorf("the device has %q", got)
	}
}
