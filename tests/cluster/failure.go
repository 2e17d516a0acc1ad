package cluster

import (
	"strings"
	"testing"
)

// TellOnFailure prints what Kubernetes knows where the test has failed. It is
// deferred, so that it comes before the test's cleanup.
func TellOnFailure(t *testing.T) {
	if t.Failed() {
		tell(t)
	}
}

func tell(t testing.TB) {
	for _, args := range [][]string{
		{"get", "pods,pvc,pv,volumesnapshots", "-A", "-o", "wide"},
		{"get", "events", "-A", "--sort-by=.lastTimestamp"},
	} {
		out, err := Try(args...)
		t.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	pods, _ := Try("-n", DriverNamespace, "get", "pods", "-o", "name")
	for _, pod := range strings.Fields(pods) {
		logs, _ := Try("-n", DriverNamespace, "logs", "--all-containers", "--prefix", "--tail=40", pod)
		t.Logf("logs of %s:\n%s", pod, logs)
		if _, err := Try("-n", DriverNamespace, "wait", "--for=condition=Ready", "--timeout=1s", pod); err != nil {
			described, _ := Try("-n", DriverNamespace, "describe", pod)
			t.Logf("%s is not ready:\n%s", pod, described)
		}
	}
}
