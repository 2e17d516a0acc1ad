package tenants

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/sdp-csi/sdp-csi/tests/daemon"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

// TestPolicyOfARunningDriver edits the policy file of a driver that runs: good
// edits come into force, bad ones and one that drops a cluster with volumes do
// not, and it says so in its log and its metric.
func TestPolicyOfARunningDriver(t *testing.T) {
	s := newScene(t)
	s.seed(s.public, granted)
	metrics := daemon.FreeAddress(t)
	n := newNode(s, "--metrics-address="+metrics)
	good, golden := s.text, s.public+"/"+granted
	create := func(namespace, name, golden string) codes.Code {
		_, err := n.volumes.CreateVolume(t.Context(), creation(namespace, name, golden))
		return codeOf(err)
	}
	gauge := func(want string) func() bool {
		return func() bool { return strings.Contains(daemon.Scrape(t, metrics), "\nsdp_csi_policy_good "+want+"\n") }
	}
	if got := create(s.a, "before", golden); got != codes.OK || !gauge("1")() {
		t.Fatalf("a volume of a granted golden: %s", got)
	}

	n.writePolicy(strings.Replace(good, "goldens: [\""+golden+"\"]", "goldens: []", 1))
	eventually(t, "a withdrawn grant stops new clones", func() bool { return create(s.a, "after", golden) == codes.PermissionDenied })
	if got := create(s.a, "before", golden); got != codes.PermissionDenied {
		t.Errorf("a volume that is there, asked for again: %s", got)
	}

	n.writePolicy(good + "unknown: key\n")
	eventually(t, "the metric tells of a bad edit", gauge("0"))
	wantSaid(t, n, "field unknown not found")
	if got := create(s.a, "blank", ""); got != codes.OK {
		t.Errorf("a volume while the file is bad: %s", got)
	}

	n.writePolicy(strings.Replace(good, "id: test", "id: other", 1))
	eventually(t, "the log tells why a cluster must stay", func() bool { return strings.Contains(n.driver.Log(), "there are volumes in it") })
	if got := create(s.a, "blank too", ""); got != codes.OK || !gauge("0")() {
		t.Errorf("a volume while the file lacks its cluster: %s", got)
	}

	spare := fmt.Sprintf("clusters: [%s, %s]", s.row, realceph.New(t).Cluster("spare", s.ceph.Pool(s.a)))
	n.writePolicy(strings.Replace(good, "clusters: ["+s.row+"]", spare, 1))
	eventually(t, "a good edit is in force", gauge("1"))
	n.writePolicy(good)
	eventually(t, "a cluster without volumes can go", func() bool { return create(s.a, "again", golden) == codes.OK })
	if !gauge("1")() {
		t.Error("the metric tells of a bad file when it is good")
	}
}

func wantSaid(t *testing.T, n *node, text string) {
	t.Helper()
	log := n.driver.Log()
	if !strings.Contains(log, "the last good one stays in force") || !strings.Contains(log, text) || !strings.Contains(log, "line ") {
		t.Errorf("the log does not tell line and reason (%s):\n%s", text, log)
	}
}
