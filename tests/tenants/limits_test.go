package tenants

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// TestLimitsAtOnce has two controllers make 60 volumes at once where 11 are
// allowed.
func TestLimitsAtOnce(t *testing.T) {
	s := newScene(t)
	s.limits = "volumes: 20, bytes: 11Gi"
	s.under()
	at := s.place(s.a)
	controllers := [2]*rbd.Provisioner{rbd.NewProvisioner(s.cluster, s.library), rbd.NewProvisioner(s.second(), s.library)}
	var made atomic.Int64
	var group sync.WaitGroup
	for i := range 60 {
		group.Go(func() {
			name := fmt.Sprint("v", i)
			spec := volume.Spec{Name: name, Size: volume.Size{Required: 1 << 30}}
			_, err := controllers[i%2].Create(t.Context(), at, tenant.Place{}, at.VolumeID(volume.RBD, name), spec)
			if err == nil {
				made.Add(1)
			} else if !errors.Is(err, volume.ErrNoSpace) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	used, err := s.cluster.Used(t.Context(), at)
	must(t, err)
	all, _, err := controllers[0].List(t.Context(), at, "", 100)
	must(t, err)
	if want := (tenant.Usage{Volumes: 11, Bytes: 11 << 30}); used != want || len(all) != 11 || made.Load() != 11 {
		t.Errorf("%d calls succeeded, %d volumes are there, used %+v; want 11", made.Load(), len(all), used)
	}
	for _, v := range all {
		must(t, controllers[1].Delete(t.Context(), at, v.ID))
	}
	if used, err = s.cluster.Used(t.Context(), at); err != nil || used != (tenant.Usage{}) {
		t.Errorf("used %+v, %v when all volumes are gone", used, err)
	}
}
