package cephfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/sharing"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// content is a subvolume that is mounted for what is in one of its snapshots.
// It implements sharing.Golden.
type content struct {
	key  string // the name of the directory where it is mounted
	root string // for people; empty where nothing is mounted
}

// Key implements sharing.Golden.
func (c content) Key() string { return c.key }

// String implements sharing.Golden.
func (c content) String() string {
	if c.root == "" {
		return c.key
	}
	return c.root
}

// newContent tells a snapshot from every other one that there ever was: the
// directory's name is not used again. All that the record says is in the key,
// so that a forged record finds no other one's mount. owner is empty where
// volumes share it.
func newContent(t Target, s Snapshot, owner string) content {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%s\x00%s\x00%s", t.FSID, t.FileSystem, t.Root, s.Directory, s.Name, owner))
	return content{key: hex.EncodeToString(sum[:12]), root: t.Root}
}

// inside is where a snapshot's content is in its mounted subvolume. What is
// beside it, the live content and other snapshots, no pod sees.
func (s Snapshot) inside() string { return path.Join(".snap", s.Name, s.Directory) }

// way is how a read-only volume is shown.
type way struct {
	target  Target
	node    *sharing.Node[content]
	content content
	key     volume.Credentials
}

// way finds out how a volume is to be shown. That another tenant has the golden
// mounted gives nobody a right to it: each time either the key of the golden's
// reader is tried, or the record lies with the tenant that owns the content,
// and so the tenant's key opens that. Any other volume gets a mount of its own,
// which Ceph allows or refuses.
func (s *Stager) way(ctx context.Context, at tenant.Place, st volume.Stage, rec volumeRecord, fsid string) (way, error) {
	t, err := target(at, fsid, Root(rec.Parent.Tenant, rec.Parent.Subvolume), true)
	if err != nil {
		return way{}, err
	}
	own := way{target: t, node: s.own, content: newContent(t, rec.Parent.Snapshot, st.ID.String()), key: st.Credentials}
	shared := way{target: t, node: s.goldens, content: newContent(t, rec.Parent.Snapshot, ""), key: st.Credentials}
	c, given := readerOf(st, rec.Parent.Snapshot)
	switch {
	case rec.Share == volume.ShareClone:
		return own, nil
	case given:
		shared.key = c
		return s.prove(ctx, at, rec.Parent.Snapshot, shared)
	case rec.Parent.Tenant == at.Tenant() && !rec.Parent.isGolden():
		return shared, nil
	}
	klog.FromContext(ctx).Info("the secret has no key of this golden's reader, the volume gets a mount of its own: write the secret again", "golden", t.Root)
	return own, nil
}

// prove tries the key of a golden's reader.
func (s *Stager) prove(ctx context.Context, at tenant.Place, of Snapshot, w way) (way, error) {
	node := s.goldens.Options.Node
	if node == "" {
		node = FUSESource
	}
	if err := s.reader.Prove(ctx, at, w.key, of, node); err != nil {
		return way{}, fmt.Errorf("read golden %s as %s: %w", w.content, w.key.User, err)
	}
	// Inline volumes that an earlier driver has shown may need a lease.
	s.leases.offer(lease{at: at, of: of, c: w.key, golden: w.content})
	return w, nil
}

// isGolden says that the snapshot is a golden's.
func (s Snapshot) isGolden() bool { return strings.HasPrefix(s.Subvolume, "golden.") }

// readerOf is the key of the golden's reader, where one was given with the
// request.
func readerOf(st volume.Stage, of Snapshot) (c volume.Credentials, given bool) {
	for ref, c := range st.Goldens {
		if ref.Tenant == of.Tenant && ref.Image() == of.Subvolume {
			return c, true
		}
	}
	return c, false
}

// stageContent shows a snapshot's content at the staging path.
func (s *Stager) stageContent(ctx context.Context, at tenant.Place, st volume.Stage, rec volumeRecord, fsid string) error {
	w, err := s.way(ctx, at, st, rec, fsid)
	if err != nil {
		return err
	}
	if kept, err := s.isKept(ctx, st, rec, w.target); err != nil || kept {
		return err
	}
	done, err := w.node.Use(ctx, w.content)
	if err != nil {
		return err
	}
	defer done()
	err = w.node.Mount(ctx, w.content, func(ctx context.Context) error {
		return s.mount(ctx, w.target, w.node.Path(w.content), nil, w.key)
	})
	if err != nil {
		done()
		return volume.Undone(err, w.node.GiveUp(ctx, w.content))
	}
	if err := w.node.Show(ctx, w.content, rec.Parent.inside(), st); err != nil {
		return err
	}
	w.node.Prefetch(ctx, w.content, rec.Parent.inside(), at.Tenant(), rec.Prefetch, rec.Parent.Size)
	return nil
}

// isKept says whether the path shows the volume already, also by a mount of its
// own where it could share one by now. An overlay of what has died goes: a pod
// that has it bound must be started again.
func (s *Stager) isKept(ctx context.Context, st volume.Stage, rec volumeRecord, t Target) (bool, error) {
	dead, err := s.host.IsDead(ctx, st.Path)
	if err != nil {
		return false, err
	}
	if dead {
		return false, s.host.Unmount(ctx, st.Path)
	}
	owner := ""
	for _, n := range s.nodes() {
		lower, err := n.Lower(ctx, st.Path)
		if err != nil || lower == n.Path(newContent(t, rec.Parent.Snapshot, owner)) {
			return err == nil, err
		}
		owner = st.ID.String()
	}
	return false, nil
}

// isVolume says whether a row of the mount table is a writable volume: the
// content of a subvolume that has the volume's hash in its name.
func isVolume(row volume.Mount, id volume.ID) bool {
	_, root, ok := rootOf(row)
	subvolume := path.Dir(root)
	return ok && strings.HasPrefix(subvolume, Root(id.Tenant, volumePrefix+id.Hash)+".") && path.Dir(subvolume) == path.Dir(Root(id.Tenant, ""))
}

// backend is what sharing asks of a stager. It implements sharing.Backend.
type backend struct {
	*Stager
	dir string
}

// Goldens implements sharing.Backend. A directory is enough: a killed driver may
// have got no further.
func (b backend) Goldens(ctx context.Context) ([]content, error) {
	all, err := b.host.Below(ctx, b.dir)
	if err != nil {
		return nil, err
	}
	found := make([]content, 0, len(all))
	for name, row := range all {
		_, root, _ := rootOf(row)
		found = append(found, content{key: name, root: root})
	}
	return found, nil
}

// Remove implements sharing.Backend.
func (b backend) Remove(ctx context.Context, c content) error {
	place := filepath.Join(b.dir, c.key)
	if err := b.mounter.Unmount(ctx, place); err != nil {
		return err
	}
	return b.host.Unpublish(ctx, place)
}
