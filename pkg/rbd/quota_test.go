package rbd_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// limited returns a place with limits, and what provisions it.
func limited(t *testing.T, c *fake.Ceph, limits string) (*rbd.Provisioner, tenant.Place) {
	t.Helper()
	policy, err := tenant.Parse([]byte(strings.Replace(policyFile, "namespaces: [acme],", "namespaces: [acme], limits: {"+limits+"},", 1)))
	if err != nil {
		t.Fatal(err)
	}
	at, err := policy.Admit("acme", "")
	if err != nil {
		t.Fatal(err)
	}
	return rbd.NewProvisioner(c, goldens{}), at
}

func blank(t *testing.T, p *rbd.Provisioner, at tenant.Place, name string, size int64) error {
	t.Helper()
	_, err := p.Create(t.Context(), at, tenant.Place{}, at.VolumeID(volume.RBD, name), volume.Spec{Name: name, Size: volume.Size{Required: size}})
	return err
}

// TestLimitsAtOnce makes far more volumes at once than the tenant may have.
func TestLimitsAtOnce(t *testing.T) {
	for name, limits := range map[string]string{"number": "volumes: 7", "bytes": "bytes: 7Gi"} {
		t.Run(name, func(t *testing.T) {
			c := fake.NewCeph()
			p, at := limited(t, c, limits)
			var made atomic.Int64
			var group sync.WaitGroup
			for i := range 60 {
				group.Go(func() {
					err := blank(t, p, at, fmt.Sprint(i), gib)
					if err == nil {
						made.Add(1)
					} else if !errors.Is(err, volume.ErrNoSpace) {
						t.Error(err)
					}
				})
			}
			group.Wait()
			if used, err := c.Used(t.Context(), at); made.Load() != 7 || err != nil || used != (tenant.Usage{Volumes: 7, Bytes: 7 * gib}) {
				t.Errorf("%d volumes were made, used %+v, %v; want 7", made.Load(), used, err)
			}
			if all, _, err := p.List(t.Context(), at, "", 100); err != nil || len(all) != 7 {
				t.Errorf("%d volumes are there, %v; want 7", len(all), err)
			}
		})
	}
}

func TestLimitsOfOneTenant(t *testing.T) {
	c := fake.NewCeph()
	p, at := limited(t, c, "volumes: 3, bytes: 10Gi, largest: 6Gi")
	ctx, a := t.Context(), at.VolumeID(volume.RBD, "a")
	refused := func(what string, err error, says string) {
		t.Helper()
		if !errors.Is(err, volume.ErrNoSpace) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want volume.ErrNoSpace that says %q", what, err, says)
		}
	}
	refused("too large", blank(t, p, at, "a", 7*gib), "6442450944")
	if left := c.Contents(at); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	for _, name := range []string{"a", "b", "a"} { // the third is a retry
		if err := blank(t, p, at, name, 4*gib); err != nil {
			t.Fatal(err)
		}
	}
	refused("too many bytes", blank(t, p, at, "c", 3*gib), "8589934592 of 10737418240")
	_, err := p.Expand(ctx, at, a, volume.Size{Required: 6*gib + mib})
	refused("expand, too large", err, "6442450944")
	if v, err := p.Expand(ctx, at, a, volume.Size{Required: 6 * gib}); err != nil || v.Capacity != 6*gib {
		t.Errorf("Expand = %+v, %v", v, err)
	}
	if free, err := p.Free(ctx, at); free != 0 || err != nil {
		t.Errorf("Free with all bytes used = %d, %v", free, err)
	}
	if err := p.Delete(ctx, at, at.VolumeID(volume.RBD, "b")); err != nil {
		t.Fatal(err)
	}
	if free, err := p.Free(ctx, at); free != 4*gib || err != nil {
		t.Errorf("Free = %d, %v; want 4 GiB", free, err)
	}
	for _, name := range []string{"c", "d"} {
		if err := blank(t, p, at, name, gib); err != nil {
			t.Fatal(err)
		}
	}
	refused("too many", blank(t, p, at, "e", gib), "3 of 3 volumes")
}

// TestQuotaAfterCrash stops Create, Expand and Delete before and after each
// step, and late. When the request was repeated, the sum is right.
func TestQuotaAfterCrash(t *testing.T) {
	verbs := map[string]struct {
		run  func(*testing.T, *rbd.Provisioner, tenant.Place) error
		want tenant.Usage
	}{
		"create": {func(t *testing.T, p *rbd.Provisioner, at tenant.Place) error { return blank(t, p, at, "new", gib) }, tenant.Usage{Volumes: 2, Bytes: 3 * gib}},
		"delete": {func(t *testing.T, p *rbd.Provisioner, at tenant.Place) error {
			return p.Delete(t.Context(), at, at.VolumeID(volume.RBD, "old"))
		}, tenant.Usage{}},
		"expand": {func(t *testing.T, p *rbd.Provisioner, at tenant.Place) error {
			_, err := p.Expand(t.Context(), at, at.VolumeID(volume.RBD, "old"), volume.Size{Required: 3 * gib})
			return err
		}, tenant.Usage{Volumes: 1, Bytes: 3 * gib}},
	}
	for name, verb := range verbs {
		for n, more := 1, true; more; n++ {
			for _, f := range []fake.Fault{{When: fake.Before, Crash: true}, {When: fake.After, Crash: true}, {When: fake.Late}, {When: fake.Before, Err: volume.ErrNoSpace}} {
				c := fake.NewCeph()
				p, at := limited(t, c, "volumes: 2, bytes: 3Gi")
				if err := blank(t, p, at, "old", 2*gib); err != nil {
					t.Fatal(err)
				}
				c.Reset(fake.At(n, f))
				first := verb.run(t, p, at)
				more = len(c.Trace()) >= n
				c.Restart()
				c.Reset(nil)
				err := verb.run(t, p, at)
				c.Settle()
				if errors.Is(err, volume.ErrUnavailable) || errors.Is(err, volume.ErrPending) {
					err = verb.run(t, p, at)
				}
				if used, uerr := c.Used(t.Context(), at); err != nil || uerr != nil || used != verb.want {
					t.Errorf("%s, fault %+v at step %d (first %v): %v, used %+v, %v; want %+v", name, f, n, first, err, used, uerr, verb.want)
				}
			}
		}
	}
}
