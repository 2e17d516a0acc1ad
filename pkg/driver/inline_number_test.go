package driver_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// pod is the inline request of another pod.
func (r *rig) pod(n int) *csi.NodePublishVolumeRequest {
	req := r.inlineRequest("own:v1")
	req.VolumeId, req.TargetPath = fmt.Sprintf("csi-%d", n), fmt.Sprintf("%s%d", req.GetTargetPath(), n)
	return req
}

func (r *rig) show(t *testing.T, req *csi.NodePublishVolumeRequest, want codes.Code) string {
	t.Helper()
	_, err := r.NodePublishVolume(t.Context(), req)
	wantCode(t, err, want)
	return status.Convert(err).Message()
}

// newLimited is newInlineRig with a tenant limited to two inline volumes, beside
// another that is not.
func newLimited(t *testing.T, limits string) *rig {
	t.Helper()
	r := newInlineRig(t)
	r.edit(t, "  goldens: [\"public/*\"]\n- name: globex", "  goldens: [\"public/*\"]\n  inline: true\n"+limits+
		"- name: globex\n  goldens: [\"acme/*\"]\n  inline: true")
	r.ceph.Allow("globex", userKey, "acme")
	return r
}

// One volume over the limit is refused, with what to do, until another is gone;
// what is shown already is success, and other tenants have their own limit.
func TestInlineNumber(t *testing.T) {
	r := newLimited(t, "  limits: {inlinePerNode: 2}\n")
	for _, n := range []int{1, 2, 1, 2} {
		r.show(t, r.pod(n), codes.OK)
	}
	for range 2 {
		if s := r.show(t, r.pod(3), codes.ResourceExhausted); !strings.Contains(s, "2 of 2 inline volumes on this node") || !strings.Contains(s, "inlinePerNode") {
			t.Errorf("says %q", s)
		}
	}
	if left := strings.Join(r.host.Contents(), "\n"); strings.Contains(left, r.pod(3).GetTargetPath()) {
		t.Errorf("refused, and left %s", left)
	}
	other := r.pod(4)
	other.VolumeContext["golden"], other.VolumeContext[podNamespace], other.Secrets["userID"] = "acme/own:v1", "globex", "globex"
	r.show(t, other, codes.OK)
	_, err := r.NodeUnpublishVolume(t.Context(), &csi.NodeUnpublishVolumeRequest{VolumeId: "csi-1", TargetPath: r.pod(1).GetTargetPath()})
	wantCode(t, err, codes.OK)
	r.show(t, r.pod(3), codes.OK)
	r.show(t, r.pod(1), codes.ResourceExhausted)
}

func TestInlineNumberOfAPolicy(t *testing.T) {
	for name, tc := range map[string]struct {
		limits string
		most   int // 0: no limit
	}{
		"left out":                 {"", 100},
		"left out of other limits": {"  limits: {volumes: 1}\n", 100},
		"one":                      {"  limits: {inlinePerNode: 1}\n", 1},
		"none":                     {"  limits: {inlinePerNode: 0}\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newLimited(t, tc.limits)
			most, last := tc.most, codes.ResourceExhausted
			if most == 0 {
				most, last = 101, codes.OK
			}
			for n := range most {
				r.show(t, r.pod(n), codes.OK)
			}
			r.show(t, r.pod(most), last)
		})
	}
}

// A manifest's volumes come all at once: as many as are allowed are shown.
func TestInlineNumberAtOnce(t *testing.T) {
	r := newLimited(t, "  limits: {inlinePerNode: 3}\n")
	answers := make([]codes.Code, 30)
	var all sync.WaitGroup
	for n := range answers {
		all.Go(func() {
			_, err := r.NodePublishVolume(t.Context(), r.pod(n))
			answers[n] = status.Code(err)
		})
	}
	all.Wait()
	got := map[codes.Code]int{}
	for _, code := range answers {
		got[code]++
	}
	if got[codes.OK] != 3 || got[codes.ResourceExhausted] != 27 {
		t.Errorf("answers %v, want 3 successes", got)
	}
}
