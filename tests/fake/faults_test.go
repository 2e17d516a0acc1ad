package fake_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

func place(t *testing.T) tenant.Place {
	t.Helper()
	policy, err := tenant.Parse([]byte(`{clusters: [{id: test, monitors: ["127.0.0.1:3300"], pool: rbd}], tenants: [{name: acme, namespaces: [acme]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	at, err := policy.Admit("acme", "")
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestFaults breaks the two effects of CreateRecord in each way.
func TestFaults(t *testing.T) {
	const index, record = "index vol.a", "record vol.a"
	for name, c := range map[string]struct {
		n       int
		fault   fake.Fault
		want    error
		has     []string // then
		settled []string // after Settle
	}{
		"none":          {0, fake.Fault{}, nil, []string{index, record}, []string{index, record}},
		"before first":  {1, fake.Fault{When: fake.Before}, volume.ErrUnavailable, nil, nil},
		"after first":   {1, fake.Fault{When: fake.After}, volume.ErrUnavailable, []string{index}, []string{index}},
		"before second": {2, fake.Fault{When: fake.Before, Err: volume.ErrDenied}, volume.ErrDenied, []string{index}, []string{index}},
		"after second":  {2, fake.Fault{When: fake.After}, volume.ErrUnavailable, []string{index, record}, []string{index, record}},
		"late second":   {2, fake.Fault{When: fake.Late}, volume.ErrUnavailable, []string{index}, []string{index, record}},
	} {
		t.Run(name, func(t *testing.T) {
			ceph, at := fake.NewCeph(), place(t)
			ceph.Reset(fake.At(c.n, c.fault))
			if err := ceph.CreateRecord(t.Context(), at, "vol.a", []byte("x")); !errors.Is(err, c.want) {
				t.Fatalf("got %v", err)
			}
			if got := ceph.Contents(at); !slices.Equal(got, c.has) {
				t.Fatalf("there is %q", got)
			}
			ceph.Settle()
			if got := ceph.Contents(at); !slices.Equal(got, c.settled) {
				t.Fatalf("at last there is %q", got)
			}
		})
	}
}

// TestCrash lets nothing happen until the restart, which frees what the
// process held.
func TestCrash(t *testing.T) {
	ceph, at := fake.NewCeph(), place(t)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(ceph.CreateImage(ctx, at, "vol.a", 1))
	image, err := ceph.OpenImage(ctx, at, "vol.a")
	must(err)
	unlock, err := ceph.LockRecord(ctx, at, "vol.a")
	must(err)
	ceph.Reset(fake.At(1, fake.Fault{When: fake.After, Crash: true}))
	for range 2 {
		if err := ceph.CreateRecord(ctx, at, "vol.a", []byte("x")); !errors.Is(err, volume.ErrUnavailable) {
			t.Fatalf("got %v", err)
		}
	}
	if !ceph.Crashed() {
		t.Fatal("no crash")
	}
	if got := ceph.Contents(at); !slices.Contains(got, "index vol.a") || slices.Contains(got, "record vol.a") {
		t.Fatalf("there is %q", got)
	}
	ceph.Restart()
	must(ceph.CreateRecord(ctx, at, "vol.a", []byte("x")))
	if _, err := image.WriteAt([]byte("x"), 0); err == nil {
		t.Fatal("an image of the life before was written")
	}
	again, err := ceph.LockRecord(ctx, at, "vol.a")
	must(err)
	unlock() // of the life before: nothing happens
	if _, err := ceph.LockRecord(ctx, at, "vol.a"); !errors.Is(err, volume.ErrPending) {
		t.Fatalf("got %v", err)
	}
	again()
	must(ceph.RemoveImage(ctx, at, "vol.a"))
}
