//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/tests/cluster"
)

const (
	sharingClaims    = 4
	sharingFunctions = 20
)

// sharing: many functions of several claims of one golden read it all, and
// Ceph sends it to the node once.
func (s *scene) sharing(t *testing.T) {
	cluster.Apply(t, cluster.Class("once", "Immediate", `golden: "once:v1"`))
	claims := make([]cluster.Claim, sharingClaims)
	for i := range claims {
		claims[i] = cluster.Claim{Namespace: "acme", Name: fmt.Sprint("many-", i), Class: "once"}
	}
	cluster.Bound(t, claims...)
	before := s.sent(t)
	functions := make([]cluster.Function, sharingFunctions)
	for i := range functions {
		functions[i] = cluster.Function{Namespace: "acme", Name: fmt.Sprint("function-", i), Volume: cluster.Of(claims[i%sharingClaims].Name), Once: true, Script: "sha256sum </data/model.h5"}
	}
	s.finish(t, functions...)
	sent := s.sent(t) - before
	t.Logf("%d functions of %d claims read %d MiB each: Ceph sent %d MiB", sharingFunctions, sharingClaims, modelBytes>>20, sent>>20)
	if sent > modelBytes*3/2 {
		t.Errorf("Ceph sent the golden %.1f times", float64(sent)/modelBytes)
	}
}

// finish runs functions to their end and holds what they printed to the model.
func (s *scene) finish(t testing.TB, functions ...cluster.Function) {
	t.Helper()
	cluster.Start(t, functions...)
	names := make([]string, len(functions))
	for i, f := range functions {
		names[i] = "pod/" + f.Name
	}
	cluster.WaitFor(t, "acme", "jsonpath={.status.phase}=Succeeded", names...)
	for _, name := range names {
		if sum := cluster.Kubectl(t, "-n", "acme", "logs", name); !strings.HasPrefix(sum, s.model) {
			t.Errorf("%s read %s", name, sum)
		}
	}
}

// sent returns how many bytes the OSD has sent to readers since it started.
func (s *scene) sent(t testing.TB) int64 {
	t.Helper()
	var counters struct {
		OSD struct {
			Sent int64 `json:"op_r_out_bytes"`
		} `json:"osd"`
	}
	s.must(t, json.Unmarshal([]byte(s.Ceph.Admin("tell", "osd.0", "perf", "dump")), &counters))
	return counters.OSD.Sent
}
