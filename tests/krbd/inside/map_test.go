//go:build krbd

package inside

import (
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/krbd/scene"
)

// sealed names the golden's snapshot, with all that Ceph calls it.
func (n *node) sealed() rbd.Mapping {
	n.t.Helper()
	m := n.mapping(scene.Function)
	m.Image, m.Snapshot, m.ReadOnly = n.scene.Golden.Image, n.scene.Golden.Snapshot, true
	m.ImageID, m.SnapshotID = n.scene.Golden.ImageID, n.scene.Golden.SnapshotID
	return m
}

func (n *node) mapAs(m rbd.Mapping, user string) rbd.Device {
	n.t.Helper()
	dev, err := n.mapper.Map(n.t.Context(), m, n.credentials(user))
	if err != nil {
		n.t.Fatal(err)
	}
	return dev
}

func (n *node) unmap(m rbd.Mapping) {
	n.t.Helper()
	if err := n.mapper.Unmap(n.t.Context(), m); err != nil {
		n.t.Fatal(err)
	}
}

// TestSealed maps a golden's snapshot and finds it by what Ceph calls it.
func TestSealed(t *testing.T) {
	n := newNode(t)
	m := n.sealed()
	dev := n.mapAs(m, scene.Reader)
	n.check("map again", func(n *node) {
		if again := n.mapAs(m, scene.Reader); again != dev {
			n.t.Fatalf("%v, then %v", dev, again)
		}
	})
	n.check("list", func(n *node) { n.listsAs(m, dev) })
	n.check("find", func(n *node) { n.finds(m, dev) })
	n.check("find by names", func(n *node) {
		m := m
		m.Identity = rbd.Identity{}
		n.finds(m, dev)
	})
	for name, edit := range others() {
		n.check("not another "+name, func(n *node) {
			m := m
			edit(&m)
			_, err := n.mapper.Find(n.t.Context(), m)
			n.wants(err, volume.ErrNotFound)
		})
	}
	n.check("unmap another", func(n *node) {
		m := m
		m.ImageID = "0123456789ab"
		n.unmap(m)
		n.finds(n.sealed(), dev)
	})
	n.check("unmap", func(n *node) { n.unmap(m); n.isEmpty("unmapped") })
	n.check("unmap again", func(n *node) { n.unmap(m) })
}

// listsAs demands that the kernel shows m as it was asked for.
func (n *node) listsAs(m rbd.Mapping, dev rbd.Device) {
	n.t.Helper()
	all, err := n.mapper.List(n.t.Context())
	if err != nil || len(all) != 1 {
		n.t.Fatalf("devices %+v, %v", all, err)
	}
	got := all[0]
	if got.Device != dev || got.Identity != m.Identity || !got.ReadOnly || got.Pool != m.Pool ||
		got.Namespace != m.Namespace || got.Image != m.Image || got.Snapshot != m.Snapshot {
		n.t.Fatalf("listed as %+v, want %+v", got, m)
	}
}

func (n *node) finds(m rbd.Mapping, dev rbd.Device) {
	n.t.Helper()
	if got, err := n.mapper.Find(n.t.Context(), m); err != nil || got != dev {
		n.t.Fatalf("found %v, %v, want %v", got, err, dev)
	}
}

// others make a mapping of the same names another one's.
func others() map[string]func(*rbd.Mapping) {
	return map[string]func(*rbd.Mapping){
		"cluster":  func(m *rbd.Mapping) { m.FSID = "00000000-0000-0000-0000-000000000000" },
		"pool":     func(m *rbd.Mapping) { m.PoolID += 1000 },
		"image":    func(m *rbd.Mapping) { m.ImageID = "0123456789ab" },
		"snapshot": func(m *rbd.Mapping) { m.SnapshotID += 1000 },
	}
}

// TestIdentity: an image that is not the record's is not left mapped, and the
// mapping of the one that is stays.
func TestIdentity(t *testing.T) {
	n := newNode(t)
	for name, edit := range others() {
		n.check("another "+name, func(n *node) {
			m := n.sealed()
			edit(&m)
			_, err := n.mapper.Map(n.t.Context(), m, n.credentials(scene.Reader))
			n.wants(err, volume.ErrNotFound)
			n.isEmpty("undone")
		})
		n.check("another "+name+" beside the right one", func(n *node) {
			m := n.sealed()
			dev := n.mapAs(m, scene.Reader)
			edit(&m)
			_, err := n.mapper.Map(n.t.Context(), m, n.credentials(scene.Reader))
			n.wants(err, volume.ErrNotFound)
			n.hasOneDevice()
			n.finds(n.sealed(), dev)
			n.unmap(n.sealed())
		})
	}
}

// TestRefusals: what the kernel answers has a meaning.
func TestRefusals(t *testing.T) {
	n := newNode(t)
	for name, c := range map[string]struct {
		user string
		edit func(*rbd.Mapping, *volume.Credentials)
		want error
	}{
		"another tenant's key":    {scene.Stranger, nil, volume.ErrDenied},
		"a wrong key":             {scene.Reader, func(_ *rbd.Mapping, c *volume.Credentials) { c.Key = n.credentials(scene.Writer).Key }, volume.ErrDenied},
		"no key":                  {scene.Reader, func(_ *rbd.Mapping, c *volume.Credentials) { c.Key = "" }, volume.ErrInvalid},
		"a key that is none":      {scene.Reader, func(_ *rbd.Mapping, c *volume.Credentials) { c.Key = "hunter2!" }, volume.ErrInvalid},
		"a key cut short":         {scene.Reader, func(_ *rbd.Mapping, c *volume.Credentials) { c.Key = "AQAAAAAA" }, volume.ErrInvalid},
		"an unknown user":         {scene.Reader, func(_ *rbd.Mapping, c *volume.Credentials) { c.User = "nobody" }, volume.ErrDenied},
		"no such image":           {scene.Reader, func(m *rbd.Mapping, _ *volume.Credentials) { m.Image = "golden.none.v1" }, volume.ErrNotFound},
		"no such snapshot":        {scene.Reader, func(m *rbd.Mapping, _ *volume.Credentials) { m.Snapshot = "none" }, volume.ErrNotFound},
		"no such pool":            {scene.Reader, func(m *rbd.Mapping, _ *volume.Credentials) { m.Pool = "none" }, volume.ErrNotFound},
		"no monitor":              {scene.Reader, func(m *rbd.Mapping, _ *volume.Credentials) { m.Monitors = []string{"192.0.2.1:9"} }, volume.ErrUnavailable},
		"an option in a name":     {scene.Reader, func(m *rbd.Mapping, _ *volume.Credentials) { m.Namespace = "acme,noshare" }, volume.ErrInvalid},
		"a second word in a name": {scene.Reader, func(m *rbd.Mapping, _ *volume.Credentials) { m.Image = "a b" }, volume.ErrInvalid},
	} {
		n.check(name, func(n *node) {
			m, creds := n.sealed(), n.credentials(c.user)
			if c.edit != nil {
				c.edit(&m, &creds)
			}
			_, err := n.mapper.Map(n.t.Context(), m, creds)
			n.wants(err, c.want)
			n.isEmpty("refused")
		})
	}
}
