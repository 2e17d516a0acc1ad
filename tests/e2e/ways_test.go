//go:build e2e

package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// bound makes claims and waits until each has its volume.
func bound(t testing.TB, claims ...claim) {
	t.Helper()
	manifests, names := make([]string, len(claims)), make([]string, len(claims))
	for i, c := range claims {
		manifests[i], names[i] = c.String(), "pvc/"+c.name
	}
	apply(t, manifests...)
	waitFor(t, claims[0].namespace, "jsonpath={.status.phase}=Bound", names...)
}

// ready makes functions and waits until each runs.
func ready(t testing.TB, functions ...function) {
	t.Helper()
	start(t, functions...)
	names := make([]string, len(functions))
	for i, f := range functions {
		names[i] = "pod/" + f.name
	}
	waitFor(t, functions[0].namespace, "condition=Ready", names...)
}

func start(t testing.TB, functions ...function) {
	t.Helper()
	manifests := make([]string, len(functions))
	for i, f := range functions {
		manifests[i] = f.String()
	}
	apply(t, manifests...)
}

// shell runs a command in a function.
func shell(t testing.TB, namespace, pod, script string) string {
	t.Helper()
	return strings.TrimSpace(kubectl(t, "-n", namespace, "exec", pod, "--", "sh", "-c", script))
}

// readsModel has a function read all of the golden, and write nothing.
func (s *scene) readsModel(t testing.TB, namespace, pod string) {
	t.Helper()
	if sum := shell(t, namespace, pod, "sha256sum </data/model.h5"); !strings.HasPrefix(sum, s.model) {
		t.Errorf("%s reads %s, not %s", pod, sum, s.model)
	}
	if out, err := try("-n", namespace, "exec", pod, "--", "touch", "/data/more"); err == nil {
		t.Errorf("%s could write: %s", pod, out)
	}
}

// golden: a claim of a golden's class has its volume at once, and several pods
// read it.
func (s *scene) golden(t *testing.T) {
	bound(t, claim{namespace: "acme", name: "model", class: classGolden})
	ready(t,
		function{namespace: "acme", name: "reader-1", volume: of("model")},
		function{namespace: "acme", name: "reader-2", volume: of("model")})
	s.readsModel(t, "acme", "reader-1")
	s.readsModel(t, "acme", "reader-2")
}

// granted: so has a claim of another tenant's golden.
func (s *scene) granted(t *testing.T) {
	bound(t, claim{namespace: "acme", name: "shared", class: classGranted})
	ready(t, function{namespace: "acme", name: "grantee", volume: of("shared")})
	s.readsModel(t, "acme", "grantee")
}

// waiting: a claim of a class that waits has its volume with the first pod.
func (s *scene) waiting(t *testing.T) {
	apply(t, claim{namespace: "acme", name: "later", class: classWaiting}.String())
	if phase := kubectl(t, "-n", "acme", "get", "pvc", "later", "-o", "jsonpath={.status.phase}"); phase != "Pending" {
		t.Errorf("without a pod the claim is %s", phase)
	}
	ready(t, function{namespace: "acme", name: "first-consumer", volume: of("later")})
	s.readsModel(t, "acme", "first-consumer")
}

// ephemeral: a pod brings its claim along, which goes with it.
func (s *scene) ephemeral(t *testing.T) {
	t.Run("pod", func(t *testing.T) {
		ready(t, function{namespace: "acme", name: "own", volume: fmt.Sprintf(
			"ephemeral: {volumeClaimTemplate: {spec: {storageClassName: %s, accessModes: [ReadOnlyMany], resources: {requests: {storage: 1Gi}}}}}", classGolden)})
		s.readsModel(t, "acme", "own")
	})
	waitFor(t, "acme", "delete", "pvc/own-data")
}

// pipeline is how data gets into a golden's place with Kubernetes' own means: a
// Job fills a writable volume, its snapshot is what functions read.
func (s *scene) pipeline(t *testing.T) {
	bound(t, claim{namespace: "acme", name: "fill", class: classWritable, mode: "ReadWriteOnce", size: "128Mi"})
	apply(t, job("acme", "filler", "echo trained >/data/weights", of("fill")))
	waitFor(t, "acme", "condition=Complete", "job/filler")
	apply(t, snapshot("acme", "trained", "fill"))
	waitFor(t, "acme", "jsonpath={.status.readyToUse}=true", "volumesnapshot/trained")
	bound(t, claim{namespace: "acme", name: "weights", class: classWritable, source: "VolumeSnapshot/trained", size: "128Mi"})
	ready(t, function{namespace: "acme", name: "inference", volume: of("weights")})
	if got := shell(t, "acme", "inference", "cat /data/weights"); got != "trained" {
		t.Errorf("the function reads %q", got)
	}
}

// clone: a claim is made of another, and goes its own way.
func (s *scene) clone(t *testing.T) {
	bound(t, claim{namespace: "acme", name: "original", class: classWritable, mode: "ReadWriteOnce", size: "128Mi"})
	ready(t, function{namespace: "acme", name: "writer", volume: of("original")})
	shell(t, "acme", "writer", "echo one >/data/f && sync")
	bound(t, claim{namespace: "acme", name: "copy", class: classWritable, mode: "ReadWriteOnce", size: "128Mi", source: "PersistentVolumeClaim/original"})
	ready(t, function{namespace: "acme", name: "copier", volume: of("copy")})
	if got := shell(t, "acme", "copier", "cat /data/f; echo two >/data/f"); got != "one" {
		t.Errorf("the copy has %q", got)
	}
	if got := shell(t, "acme", "writer", "cat /data/f"); got != "one" {
		t.Errorf("the original has %q", got)
	}
}

// resize: a volume grows while a pod uses it. It is XFS, as growing a mounted
// ext4 takes CAP_SYS_RESOURCE, which root of a machine for tests may lack.
func (s *scene) resize(t *testing.T) {
	bound(t, claim{namespace: "acme", name: "growing", class: classXFS, mode: "ReadWriteOnce", size: "512Mi"})
	ready(t, function{namespace: "acme", name: "user", volume: of("growing")})
	before := megabytes(t, "acme", "user")
	kubectl(t, "-n", "acme", "patch", "pvc", "growing", "--patch", `{"spec": {"resources": {"requests": {"storage": "2Gi"}}}}`)
	waitFor(t, "acme", "jsonpath={.status.capacity.storage}=2Gi", "pvc/growing")
	after := megabytes(t, "acme", "user")
	t.Logf("the pod saw %d MiB and sees %d MiB", before, after)
	if before > 512 || after < 1536 {
		t.Errorf("the pod saw %d MiB of 512 and sees %d of 2048", before, after)
	}
}

// megabytes returns the size of what a function sees at /data.
func megabytes(t testing.TB, namespace, pod string) int {
	t.Helper()
	n, err := strconv.Atoi(shell(t, namespace, pod, "df -m /data | awk 'END { print $2 }'"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// block: a volume is a device.
func (s *scene) block(t *testing.T) {
	bound(t, claim{namespace: "acme", name: "raw", class: classWritable, mode: "ReadWriteOnce", size: "64Mi", block: true})
	ready(t, function{namespace: "acme", name: "database", volume: of("raw"), device: true})
	got := shell(t, "acme", "database", "printf sdp | dd of=/dev/data bs=512 seek=7 conv=sync,fsync 2>/dev/null; dd if=/dev/data bs=512 skip=7 count=1 2>/dev/null | head -c 3")
	if got != "sdp" {
		t.Errorf("the device has %q", got)
	}
}
