package driver_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/sdp-csi/sdp-csi/pkg/driver"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// hung is a node whose file systems have lost their server.
type hung struct {
	driver.Stager
	driver.Mounter
	ends chan struct{}
}

func (h hung) Shown(context.Context, tenant.Place, volume.ID, string) error { return nil }

func (h hung) Usage(ctx context.Context, _ string) (volume.Usage, error) {
	<-ctx.Done()
	return volume.Usage{}, context.Cause(ctx)
}

// Publish is in a system call.
func (h hung) Publish(context.Context, volume.Publication) error {
	<-h.ends
	return nil
}

// TestHungFileSystem: no call waits for ever, whatever its caller says.
func TestHungFileSystem(t *testing.T) {
	policy, err := tenant.Parse([]byte(policyFile))
	if err != nil {
		t.Fatal(err)
	}
	id := volume.ID{Backend: volume.CephFS, Cluster: "main", Tenant: "acme", Hash: someHash}.String()
	for name, call := range map[string]func(context.Context, *driver.Node) error{
		"stats": func(ctx context.Context, n *driver.Node) error {
			_, err := n.NodeGetVolumeStats(ctx, &csi.NodeGetVolumeStatsRequest{VolumeId: id, VolumePath: "/target"})
			return err
		},
		"health": func(ctx context.Context, n *driver.Node) error {
			got, err := n.NodeGetVolumeHealth(ctx, &csi.NodeGetVolumeHealthRequest{VolumeId: id, VolumePublishPath: "/target"})
			if all := got.GetVolumeHealth().GetHealthStatuses(); len(all) == 1 && all[0].GetStatus() == csi.VolumeHealthErrorType_INACCESSIBLE {
				return context.DeadlineExceeded
			}
			return err
		},
		"publish": func(ctx context.Context, n *driver.Node) error {
			_, err := n.NodePublishVolume(ctx, &csi.NodePublishVolumeRequest{
				VolumeId: id, StagingTargetPath: "/staging", TargetPath: "/target", VolumeCapability: mounted(multiWriter),
			})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := hung{ends: make(chan struct{})}
				defer close(h.ends)
				n := driver.NewNode(driver.NodeOptions{Policy: func() *tenant.Policy { return policy }, Stager: h, Mounter: h})
				start := time.Now()
				if err := call(t.Context(), n); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("answered %v", err)
				}
				if took := time.Since(start); took > 2*driver.DefaultOperation {
					t.Errorf("answered after %v", took)
				}
			})
		})
	}
}
