package conformance

import (
	"testing"

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
