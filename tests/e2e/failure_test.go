//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

// tellOnFailure prints what Kubernetes knows where the test has failed. It is
// deferred, so that it comes before the test's cleanup.
func tellOnFailure(t *testing.T) {
	if t.Failed() {
		tell(t)
	}
}

func tell(t testing.TB) {
	for _, args := range [][]string{
		{"get", "pods,pvc,pv,volumesnapshots", "-A", "-o", "wide"},
		{"get", "events", "-A", "--sort-by=.lastTimestamp"},
	} {
		out, err := try(args...)
		t.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	pods, _ := try("-n", driverNamespace, "get", "pods", "-o", "name")
	for _, pod := range strings.Fields(pods) {
		logs, _ := try("-n", driverNamespace, "logs", "--all-containers", "--prefix", "--tail=40", pod)
		t.Logf("logs of %s:\n%s", pod, logs)
		if _, err := try("-n", driverNamespace, "wait", "--for=condition=Ready", "--timeout=1s", pod); err != nil {
			described, _ := try("-n", driverNamespace, "describe", pod)
			t.Logf("%s is not ready:\n%s", pod, described)
		}
	}
}
