package sanity

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

const (
	// functions is how many volumes the storm makes.
	functions = 60
	// stormPatience bounds one call. A CO's own time-out is shorter; here the
	// point is that no call is refused, however slow the machine.
	stormPatience = 5 * time.Minute
)

// TestStorm asks for 60 read-only volumes of one golden at once, for each
// twice: there are 60 volumes, and no call was told to try again. Then all are
// deleted at once, each twice, and nothing is left.
func TestStorm(t *testing.T) {
	for backend, fsType := range map[string]string{"rbd": "erofs", "cephfs": volume.FilesType} {
		t.Run(backend, func(t *testing.T) { storm(t, backend, fsType) })
	}
}

func storm(t *testing.T, backend, fsType string) {
	r := newRig(t)
	r.golden(t, "storm:v1", fsType)
	volumes := csi.NewControllerClient(r.start(t, "controller").Conn)
	ids := make([]string, 2*functions)
	atOnce(t, len(ids), func(ctx context.Context, i int) error {
		v, err := volumes.CreateVolume(ctx, reader(backend, i%functions), grpc.WaitForReady(true))
		ids[i] = v.GetVolume().GetVolumeId()
		return err
	})
	distinct := map[string]bool{}
	for i, id := range ids[:functions] {
		if distinct[id] = true; id != ids[i+functions] {
			t.Errorf("one name got the volumes %q and %q", id, ids[i+functions])
		}
	}
	if len(distinct) != functions {
		t.Errorf("%d distinct volumes, want %d", len(distinct), functions)
	}
	atOnce(t, len(ids), func(ctx context.Context, i int) error {
		_, err := volumes.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: ids[i]}, grpc.WaitForReady(true))
		return err
	})
	if left := r.contents(); len(left) > 0 {
		t.Errorf("left in Ceph: %v", left)
	}
}

// reader is the request for the i-th function's volume.
func reader(backend string, i int) *csi.CreateVolumeRequest {
	return &csi.CreateVolumeRequest{
		Name:          fmt.Sprintf("function-%d", i),
		CapacityRange: &csi.CapacityRange{RequiredBytes: 1 << 30},
		Parameters:    map[string]string{namespaceKey: "acme", "golden": "storm:v1", "backend": backend},
		VolumeCapabilities: []*csi.VolumeCapability{{
			AccessMode: &csi.VolumeCapability_AccessMode{Mode: csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY},
			AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}},
		}},
	}
}

// atOnce runs n calls at once, all of which have to succeed.
func atOnce(t *testing.T, n int, call func(ctx context.Context, i int) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stormPatience)
	defer cancel()
	start, failed := make(chan struct{}), make(chan error, n)
	for i := range n {
		go func() {
			<-start
			failed <- call(ctx, i)
		}()
	}
	close(start)
	for range n {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}
