package tenant_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

const written = "vol.0123456789abcdef0123456789abcdef.ABCDEFGHIJKLMNOPQRSTUVWXYZ"

const limited = row + `tenants:
- {name: acme, limits: {bytes: 100}}
- {name: globex}
`

// TestDirectoriesAreLimited gives each tenant's directory what the policy says
// and, beside that, its goldens.
func TestDirectoriesAreLimited(t *testing.T) {
	o := newOffice(t)
	r, place := o.under(limited)
	o.create(r, place("acme"), place("globex"))
	wantLimits := func(acme, globex int64) {
		t.Helper()
		if a, g := o.ceph.Limit("acme"), o.ceph.Limit("globex"); a != acme || g != globex {
			t.Errorf("limits of acme %d and globex %d, want %d and %d", a, g, acme, globex)
		}
	}
	wantLimits(100, 0)
	files := volume.Golden{FsType: volume.FilesType, DataBytes: 20, ImageID: "1f"}
	o.shelf.goldens["acme"] = []volume.Golden{files, files, files, {FsType: "erofs", DataBytes: 1000, ImageID: "2f"}}
	for i, state := range []volume.GoldenState{volume.GoldenReady, volume.GoldenRetired, volume.GoldenCreating, volume.GoldenReady} {
		o.shelf.goldens["acme"][i].State = state
		o.shelf.goldens["acme"][i].Ref = volume.GoldenRef{Tenant: "acme", Name: "m", Version: fmt.Sprint("v", i)}
	}
	o.sync(r, place("acme"))
	wantLimits(160, 0)
	if _, ok := o.ceph.Access(tenant.User{Tenant: "acme", Golden: volume.GoldenRef{Name: "m", Version: "v2"}, Generation: 1}); ok {
		t.Error("a golden that is not sealed has a reader")
	}
	o.shelf.goldens["acme"][0].DataBytes = -1 << 62
	o.sync(r, place("acme"))
	wantLimits(140, 0)
	r, place = o.under(limited[:len(limited)-len("- {name: globex}\n")] + "- {name: globex, limits: {bytes: 7}}\n")
	o.sync(r, place("acme"))
	wantLimits(140, 7)
}

// wantUsers checks which users of a tenant's volumes there are.
func (o *office) wantUsers(r *tenant.Registrar, at tenant.Place, want ...string) {
	o.t.Helper()
	st, err := r.Standing(o.t.Context(), at)
	if err != nil {
		o.t.Fatal(err)
	}
	var got []string
	for _, u := range st.VolumeUsers {
		got = append(got, u.String())
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		o.t.Errorf("users of the volumes of %s: %v, want %v", at, got, want)
	}
}

// TestUsersOfVolumes leads a volume's user through what its tenant's go
// through.
func TestUsersOfVolumes(t *testing.T) {
	o := newOffice(t)
	r, place := o.under(granting)
	ctx, at := t.Context(), place("acme")
	o.create(r, at, place("globex"))
	first, theirs := o.ceph.AddVolumeUser(at, written), o.ceph.AddVolumeUser(place("globex"), written)
	o.ceph.Connect(first, "10.0.0.9:0/1")
	o.ceph.Connect(theirs, "10.0.0.9:0/2")
	_, err := r.Rotate(ctx, at)
	ok(t, err)
	o.sync(r, at) // takes none of them for a golden's reader
	o.wantUsers(r, at, "sdpfs.acme."+written+".1", "sdpfs.acme."+written+".2")
	inUse, err := r.Finish(ctx, at)
	ok(t, err)
	if fmt.Sprint(inUse) != "["+first.String()+"]" {
		t.Errorf("in use: %v", inUse)
	}
	cut, err := r.Revoke(ctx, at)
	ok(t, err)
	if cut != 1 || !o.ceph.Blocked("10.0.0.9:0/1") || o.ceph.Blocked("10.0.0.9:0/2") {
		t.Errorf("%d clients were shut out", cut)
	}
	o.wantUsers(r, at)
	o.wantUsers(r, place("globex"), theirs.String())
	o.create(r, at)
	o.wantUsers(r, at, "sdpfs.acme."+written+".2")
	ok(t, r.Delete(ctx, at))
	o.wantUsers(r, at)
	o.wantUsers(r, place("globex"), theirs.String())
}

// TestRotationOfVolumesAfterACrash interrupts a rotation anywhere: the user
// whose key nodes find is never taken for an old one.
func TestRotationOfVolumesAfterACrash(t *testing.T) {
	for n := 1; ; n++ {
		o := newOffice(t)
		r, place := o.under(granting)
		at := place("acme")
		o.create(r, at)
		o.ceph.AddVolumeUser(at, written)
		o.ceph.Reset(fake.At(n, fake.Fault{When: fake.After, Crash: true}))
		_, err := r.Rotate(t.Context(), at)
		o.ceph.Restart()
		if _, err := r.Finish(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		if !o.ceph.FindsVolumeUsers() {
			t.Errorf("crash after step %d: the key that nodes find is of no user", n)
		}
		if err == nil {
			return
		}
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
