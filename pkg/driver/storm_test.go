package driver_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// Clones of one golden never wait for each other: all of them are in Ceph at
// once before the first may go on, and each name sent twice is one volume.
func TestStorm(t *testing.T) {
	const functions = 60
	r := newRig(t)
	r.golden(t, "acme-prod", "e:v1", "erofs", 8*mib)
	var mu sync.Mutex
	inside, all := map[string]bool{}, make(chan struct{})
	r.ceph.Reset(func(c fake.Call) fake.Fault {
		if c.Port != "CloneImage" {
			return fake.Fault{}
		}
		mu.Lock()
		first := !inside[c.Name]
		if inside[c.Name] = true; first && len(inside) == functions {
			close(all)
		}
		mu.Unlock()
		<-all
		return fake.Fault{}
	})
	ctx, cancel := context.WithTimeout(t.Context(), generous)
	defer cancel()
	ids, failed := make([]string, 2*functions), make(chan error, 2*functions)
	for i := range ids {
		go func() {
			req := blank(fmt.Sprintf("function-%d", i%functions))
			req.Parameters["golden"], req.VolumeCapabilities[0] = "e:v1", mounted(manyReaders)
			v, err := r.CreateVolume(ctx, req)
			ids[i] = v.GetVolume().GetVolumeId()
			failed <- err
		}()
	}
	for range ids {
		wantCode(t, <-failed, codes.OK)
	}
	distinct := map[string]bool{}
	for i := range functions {
		distinct[ids[i]] = true
		if ids[i] != ids[i+functions] {
			t.Errorf("one name got %q and %q", ids[i], ids[i+functions])
		}
	}
	if len(distinct) != functions {
		t.Errorf("%d distinct volumes, want %d", len(distinct), functions)
	}
}
