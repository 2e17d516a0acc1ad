package ceph

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

// newGroup returns a real file system and a place of it, whose tenant is of the
// test alone: directories are of the whole file system.
func newGroup(t *testing.T) (FileSystem, tenant.Place, *realceph.Ceph) {
	t.Helper()
	t.Parallel()
	c := realceph.New(t)
	name := "t" + strings.ToLower(rand.Text()[:8])
	row := strings.Replace(c.Cluster("test", c.Pool()), "{", "{fileSystem: cephfs, ", 1)
	p, err := tenant.Parse([]byte(fmt.Sprintf("clusters: [%s]\ntenants: [{name: %s, namespaces: [%[2]s]}]\n", row, name)))
	ok(t, err)
	f := NewFileSystem(NewCluster(Options{}))
	t.Cleanup(f.Close)
	at := place(t, p, name)
	ok(t, f.MakeNamespace(t.Context(), at))
	ok(t, f.MakeNamespace(t.Context(), at))
	return f, at, c
}

// wantLimit checks that room was made for one more MiB where there is a limit,
// and that the golden is pinned.
func wantLimit(t *testing.T, f FileSystem, at tenant.Place, before int64) {
	t.Helper()
	tree, err := f.open(t.Context(), at, groupsPath)
	ok(t, err)
	got, _ := tree.mount.GetXattr("/"+at.Tenant(), quotaAttribute)
	pin, err := tree.mount.GetXattr("/"+at.Tenant()+"/"+at.Tenant()+".golden.m.v1", pinAttribute)
	if err != nil || string(pin) != "0" {
		t.Errorf("the golden is pinned to %q (%v), want 0", pin, err)
	}
	ok(t, tree.Close())
	want := ""
	if before > 0 {
		want = strconv.FormatInt(before+1<<20, 10)
	}
	if string(got) != want {
		t.Errorf("with room for 1 MiB the limit is %q, want %q", got, want)
	}
}

func TestRealGroupIsLimited(t *testing.T) {
	f, at, _ := newGroup(t)
	ctx := t.Context()
	for _, limit := range []int64{5 << 30, 1 << 20, 0} {
		ok(t, f.LimitFiles(ctx, at, map[string]int64{at.Tenant(): limit, "nobody": 1}))
		tree, err := f.open(ctx, at, groupsPath)
		ok(t, err)
		got, err := tree.mount.GetXattr("/"+at.Tenant(), quotaAttribute)
		if limit != 0 && (err != nil || string(got) != strconv.FormatInt(limit, 10)) || limit == 0 && err == nil {
			t.Errorf("the limit is %q (%v), want %d", got, err, limit)
		}
		ok(t, tree.Close())
		ok(t, f.CreateImage(ctx, at, "golden.m.v1", 1<<20))
		wantLimit(t, f, at, limit)
	}
	ok(t, f.RemoveImage(ctx, at, "golden.m.v1"))
	_, err := f.CreateSubvolume(ctx, at, "vol.1", 1<<20)
	ok(t, err)
	wants(t, f.RemoveNamespace(ctx, at), volume.ErrInUse)
	ok(t, f.RemoveSubvolume(ctx, at, "vol.1"))
	for range 2 {
		ok(t, f.RemoveNamespace(ctx, at))
	}
}

// TestRealVolumeUsers rotates the user of a volume, removes it as Revoke does,
// makes it again, and removes it with the volume.
func TestRealVolumeUsers(t *testing.T) {
	f, at, c := newGroup(t)
	ctx := t.Context()
	u := tenant.User{Tenant: at.Tenant(), Volume: "vol.0123456789abcdef0123456789abcdef.ABCDEFGHIJKLMNOPQRSTUVWXYZ", Generation: 1}
	users := func(want ...tenant.User) {
		t.Helper()
		got, err := f.Users(ctx, at)
		ok(t, err)
		// Other tests have users of their own in the same Ceph.
		got = slices.DeleteFunc(got, func(one tenant.User) bool { return one.Tenant != at.Tenant() })
		if !slices.Equal(got, want) {
			t.Errorf("users %v, want %v", got, want)
		}
	}
	inForce := func(want ...tenant.User) {
		t.Helper()
		got, err := f.VolumeUsers(ctx, at)
		ok(t, err)
		if !slices.Equal(got, want) {
			t.Errorf("users in force %v, want %v", got, want)
		}
	}
	second := u
	second.Generation = 2
	ok(t, f.AddWriter(ctx, at, u.Volume, "0d"))
	inForce(u)
	ok(t, f.PutVolumeUser(ctx, at, second))
	users(u, second)
	inForce(second)
	if one, two := c.Admin("auth", "get", "client."+u.String()), c.Admin("auth", "get", "client."+second.String()); capsOnly(one) != capsOnly(two) || !strings.Contains(one, u.Volume+"/0d") {
		t.Errorf("the two generations may do:\n%s%s", one, two)
	}
	ok(t, f.Remove(ctx, at, u))
	ok(t, f.Remove(ctx, at, second))
	ok(t, f.PutVolumeUser(ctx, at, second))
	users(second)
	ok(t, f.PutVolumeUser(ctx, at, u)) // as if a rotation had got so far
	ok(t, f.RemoveWriter(ctx, at, u.Volume))
	users()
	inForce()
	wants(t, f.PutVolumeUser(ctx, at, second), volume.ErrNotFound)
	ok(t, f.AddWriter(ctx, at, u.Volume, "0d"))
	ok(t, f.RemoveNamespace(ctx, at))
	inForce()
	ok(t, f.Remove(ctx, at, u))
}

// capsOnly is an entity as the monitors print one, without its name and key.
func capsOnly(entity string) string {
	var lines []string
	for line := range strings.Lines(entity) {
		if strings.Contains(line, "caps") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
