package conformance

import (
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// TestReader reads with keys of users, who see their tenant only.
func TestReader(t *testing.T) {
	onEach(t, func(t *testing.T, s stand) {
		ctx := t.Context()
		acme, public := s.user("a", "acme"), s.user("p", "public")
		must(t, s.CreateRecord(ctx, s.acme, "vol.a", []byte("acme's")))
		must(t, s.CreateRecord(ctx, s.public, "vol.a", []byte("public's")))
		got, err := s.reader.Read(ctx, s.acme, acme, "vol.a")
		must(t, err)
		if string(got.Data) != "acme's" || got.FSID == "" || got.PoolID == 0 {
			t.Fatalf("read %q of cluster %q, pool %d", got.Data, got.FSID, got.PoolID)
		}
		other, err := s.reader.Read(ctx, s.public, public, "vol.a")
		must(t, err)
		if string(other.Data) != "public's" || other.FSID != got.FSID || other.PoolID != got.PoolID {
			t.Fatalf("read %+v beside %+v", other, got)
		}
		refused := map[string]struct {
			by   volume.Credentials
			name string
			want error
		}{
			"no record":        {acme, "vol.b", volume.ErrNotFound},
			"another tenant's": {public, "vol.a", volume.ErrDenied},
			"another's absent": {public, "vol.b", volume.ErrDenied},
			"another's key":    {volume.Credentials{User: acme.User, Key: public.Key}, "vol.a", volume.ErrDenied},
			"no such user":     {volume.Credentials{User: acme.User + "-not", Key: acme.Key}, "vol.a", volume.ErrDenied},
		}
		for name, r := range refused {
			_, err := s.reader.Read(ctx, s.acme, r.by, r.name)
			expect(t, name, err, r.want)
		}
		for _, err := range race(16, func(i int) error {
			by := []volume.Credentials{acme, public}[i%2]
			_, err := s.reader.Read(ctx, s.acme, by, "vol.a")
			if i%2 == 1 && err != nil {
				return nil
			}
			return err
		}) {
			must(t, err)
		}
	})
}

// TestMayRead finds an image by its id, with keys that open its namespace and
// with those that do not.
func TestMayRead(t *testing.T) {
	onEach(t, func(t *testing.T, s stand) {
		ctx := t.Context()
		acme, public := s.user("a", "acme"), s.user("p", "public")
		must(t, s.CreateImage(ctx, s.public, "golden.m.v1", mib))
		id, err := s.ImageID(ctx, s.public, "golden.m.v1")
		must(t, err)
		m := rbd.Mapping{Namespace: s.public.Namespace(), Image: "golden.m.v1", Identity: rbd.Identity{ImageID: id}}
		must(t, s.reader.MayRead(ctx, s.acme, public, m))
		expect(t, "another tenant's key", s.reader.MayRead(ctx, s.acme, acme, m), volume.ErrDenied)
		expect(t, "another key", s.reader.MayRead(ctx, s.acme, volume.Credentials{User: public.User, Key: acme.Key}, m), volume.ErrDenied)
		m.ImageID += "0"
		expect(t, "another id", s.reader.MayRead(ctx, s.acme, public, m), volume.ErrNotFound)
	})
}

// TestLeases notes nodes beside an image, replaces what a node said before,
// and forgets them all.
func TestLeases(t *testing.T) {
	onEach(t, func(t *testing.T, s stand) {
		ctx := t.Context()
		acme, public := s.user("a", "acme"), s.user("p", "public")
		m := rbd.Mapping{Namespace: s.public.Namespace(), Image: "golden.m.v1", Identity: rbd.Identity{ImageID: "1f"}}
		until := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
		found, err := s.Leases(ctx, s.public, "1f")
		if err != nil || len(found) != 0 {
			t.Fatalf("nobody's leases: %v, %v", found, err)
		}
		for i, node := range []string{"one", "two", "one"} {
			must(t, s.reader.Lease(ctx, s.acme, public, m, node, until.Add(time.Duration(i)*time.Hour)))
		}
		expect(t, "another tenant's lease", s.reader.Lease(ctx, s.acme, acme, m, "three", until), volume.ErrDenied)
		found, err = s.Leases(ctx, s.public, "1f")
		must(t, err)
		if len(found) != 2 || !found["one"].Equal(until.Add(2*time.Hour)) || !found["two"].Equal(until.Add(time.Hour)) {
			t.Fatalf("the leases are %v", found)
		}
		for range 2 {
			must(t, s.RemoveLeases(ctx, s.public, "1f"))
		}
		s.expectNothing(t, s.public)
	})
}
