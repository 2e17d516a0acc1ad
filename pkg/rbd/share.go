package rbd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/singleflight"
	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Sharing says how a node shares goldens. A zero field means its default.
type Sharing struct {
	// StateDir has the goldens' mounts (/run/sdp-csi). It must be the same one
	// each time the driver starts.
	StateDir string
	// Node names this node in leases. Without one it takes none.
	Node string
	// Linger is how long a golden stays mapped after its last volume.
	Linger time.Duration
	// PrefetchLimit bounds the bytes of the goldens that are read ahead of
	// their use; without one nothing is.
	PrefetchLimit int64
	// Observe is told what prefetching reads.
	Observe func(tenant string, bytes int64)
}

// sharing is a stager's part that maps goldens once for all their volumes. Its
// state is in the mount table and in what the mapper finds: a volume's overlay
// names the golden's mount as its lower, and the volume as what it shows. What
// is here is only what is going on, and since when nobody uses what is mapped.
type sharing struct {
	Sharing
	holds      holds              // by key or, for volumes' own, by names
	flights    singleflight.Group // by key: see mapped
	idle       idle
	owed       owed
	leases     leases
	prefetches prefetches
}

func newSharing(o Sharing) *sharing {
	if o.StateDir == "" {
		o.StateDir = "/run/sdp-csi"
	}
	if o.Observe == nil {
		o.Observe = func(string, int64) {}
	}
	return &sharing{Sharing: o}
}

// Share returns a stager that shares goldens as o says.
func (s *Stager) Share(o Sharing) *Stager {
	return &Stager{reader: s.reader, mapper: s.mapper, host: s.host, steps: s.steps, sharing: newSharing(o)}
}

// dir is where goldens are mounted.
func (s *sharing) dir() string { return filepath.Join(s.StateDir, "golden") }

// path is where the golden of a mapping is mounted.
func (s *sharing) path(m Mapping) string { return filepath.Join(s.dir(), m.key()) }

// key tells a mapped snapshot from every other one that there ever was: names
// can be used again, these cannot.
func (m Mapping) key() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%s\x00%s\x00%d", m.FSID, m.PoolID, m.Namespace, m.ImageID, m.SnapshotID))
	return hex.EncodeToString(sum[:12])
}

// isGolden says whether a mapping is one that volumes share.
func (m Mapping) isGolden() bool { return m.Snapshot == volume.SealedSnapshot && m.SnapshotID != 0 }

// isShared says whether the volume is shown by the golden's own mapping: it is
// the golden unchanged, and only read. A device of its own is what a block
// volume is, and what `share: clone` asks for.
func (r volumeRecord) isShared() bool {
	return r.ReadOnly && !r.Block && r.Share == volume.ShareNode && r.Parent.Golden != "" && r.Parent.SnapshotID != 0
}

// goldenOf is the mapping of the golden that a volume is a clone of.
func goldenOf(at tenant.Place, rec volumeRecord, where Reading) Mapping {
	return Mapping{
		Monitors: at.Cluster().Monitors, Pool: at.Pool(), Namespace: rec.Parent.Tenant, Image: rec.Parent.Golden,
		Snapshot: rec.Parent.Snapshot, ReadOnly: true,
		Identity: Identity{FSID: where.FSID, PoolID: where.PoolID, ImageID: rec.Parent.ImageID, SnapshotID: rec.Parent.SnapshotID},
	}
}

// stageShared shows the golden at the staging path. The tenant's own key must
// be able to read the golden, each time: that it is mapped already, perhaps by
// another tenant, gives nobody a right to it.
func (s *Stager) stageShared(ctx context.Context, at tenant.Place, st volume.Stage, rec volumeRecord, where Reading) error {
	m := goldenOf(at, rec, where)
	if err := s.reader.MayRead(ctx, at, st.Credentials, m); err != nil {
		return fmt.Errorf("read golden %s as %s: %w", rec.Parent, st.Credentials.User, err)
	}
	done, err := s.holds.use(ctx, m.key())
	if err != nil {
		return err
	}
	defer done()
	s.idle.end(m.key())
	c, given := readerOf(st, rec.Parent)
	if !given && rec.Parent.Tenant == at.Tenant() {
		if err := s.mustBeMapped(ctx, m); err != nil {
			return err
		}
	}
	err = s.mapped(ctx, at, m, rec.FsType, c)
	if !given && errors.Is(err, volume.ErrDenied) {
		klog.FromContext(ctx).Info("the secret has no key to map this golden with, the volume gets a device of its own: write the secret again", "golden", rec.Parent.String())
		return errNoKey
	}
	if err != nil {
		done()
		return undone(err, s.giveUpGolden(ctx, m))
	}
	if err := s.overlay(ctx, m, st); err != nil {
		return err
	}
	s.prefetch(ctx, at, m, rec)
	return nil
}

// mustBeMapped refuses to map a tenant's own golden with the tenant's own key,
// which could: cutting the tenant off would take the golden from all others.
func (s *Stager) mustBeMapped(ctx context.Context, m Mapping) error {
	_, err := s.mapper.Find(ctx, m)
	if errors.Is(err, volume.ErrNotFound) {
		klog.FromContext(ctx).Info("the secret has no key of this golden's reader, the volume gets a device of its own: write the secret again", "golden", m.Namespace+"/"+m.Image)
		return errNoKey
	}
	return err
}

// errNoKey says that the golden is not mapped and that the request has no key
// that maps it, only one that reads it as the parent of a clone: its secret is
// older than the golden.
var errNoKey = errors.New("no key to map the golden with")

// hasOwn says whether path shows a device of the volume's own already, as with
// a secret that has been written anew since. It stays so.
func (s *Stager) hasOwn(ctx context.Context, path string) bool {
	row, err := s.host.Mounted(ctx, path)
	return err == nil && row.FsType != volume.OverlayType
}

func (s *Stager) overlay(ctx context.Context, m Mapping, st volume.Stage) error {
	defer s.steps.Step("overlay")()
	return s.host.Overlay(ctx, volume.Overlay{Path: st.Path, Lower: s.sharing.path(m), Shows: st.ID.String()}, st.Options)
}

// mapTime bounds the mapping of a golden that its first caller has left.
const mapTime = 2 * time.Minute

// mapped sees to it that the golden is mapped and mounted. Calls at the same
// time for one golden do it once. Each waits as long as its own context
// allows; the mapping goes on, for the others and for the next call. One that
// failed because of somebody else's key is tried again with this one's.
func (s *Stager) mapped(ctx context.Context, at tenant.Place, m Mapping, fsType string, c volume.Credentials) error {
	for {
		mine := false
		flight := s.flights.DoChan(m.key(), func() (any, error) {
			mine = true
			own, cancel := context.WithTimeout(context.WithoutCancel(ctx), mapTime)
			defer cancel()
			return nil, s.mapGolden(own, at, m, fsType, c)
		})
		select {
		case result := <-flight:
			if mine || !errors.Is(result.Err, volume.ErrDenied) {
				return result.Err
			}
		case <-ctx.Done():
			return fmt.Errorf("golden %s is being mapped: %w: %w", m.Image, context.Cause(ctx), volume.ErrPending)
		}
	}
}

// mapGolden maps and mounts the golden, or finds that it is. Its caller may
// have gone, so it uses the mapping itself.
func (s *Stager) mapGolden(ctx context.Context, at tenant.Place, m Mapping, fsType string, c volume.Credentials) error {
	done, err := s.holds.use(ctx, m.key())
	if err != nil {
		return err
	}
	defer done()
	s.owed.remove(m)
	s.lease(ctx, at, m, c)
	dev, err := s.device(ctx, m, c)
	if errors.Is(err, volume.ErrInUse) {
		dev, err = s.revive(ctx, m, c, err)
	}
	if err != nil {
		return err
	}
	defer s.steps.Step("mount")()
	return s.host.Mount(ctx, dev.Path, s.sharing.path(m), fsType, true, nil)
}

// revive maps a golden anew whose mapping has died. What is mounted of it
// keeps the device, so it goes, if no volume shows it.
func (s *Stager) revive(ctx context.Context, m Mapping, c volume.Credentials, cause error) (Device, error) {
	sharers, err := s.sharers(ctx)
	if err != nil || len(sharers[s.sharing.path(m)]) > 0 {
		return Device{}, errors.Join(cause, err)
	}
	if err := s.host.Unpublish(ctx, s.sharing.path(m)); err != nil {
		return Device{}, errors.Join(cause, err)
	}
	return s.device(ctx, m, c)
}

// sharers returns the IDs of the volumes that show goldens, by the golden's
// path, as often as they are mounted.
func (s *Stager) sharers(ctx context.Context) (map[string][]string, error) {
	all, err := s.host.Overlays(ctx, s.sharing.dir())
	if err != nil {
		return nil, err
	}
	found := map[string][]string{}
	for _, o := range all {
		found[o.Lower] = append(found[o.Lower], o.Shows)
	}
	return found, nil
}

// shownShared is Shown for a volume that has no device of its own; cause is
// the mapper's word for that.
func (s *Stager) shownShared(ctx context.Context, id volume.ID, path string, cause error) error {
	if !errors.Is(cause, volume.ErrNotFound) {
		return cause
	}
	all, err := s.host.Overlays(ctx, s.sharing.dir())
	if err != nil {
		return err
	}
	for _, o := range all {
		if o.Shows == id.String() && (path == "" || o.Path == path) {
			return nil
		}
	}
	return fmt.Errorf("volume %s is not staged on this node: %w", id, cause)
}

// lower returns the golden's mount whose overlay path is; empty where it is
// none.
func (s *Stager) lower(ctx context.Context, path string) (string, error) {
	all, err := s.host.Overlays(ctx, s.sharing.dir())
	if err != nil {
		return "", err
	}
	for _, o := range all {
		if o.Path == path {
			return o.Lower, nil
		}
	}
	return "", nil
}

// readerOf is the key to map the volume's golden with: that of the golden's
// reader where one was given with the request, else the tenant's own.
func readerOf(st volume.Stage, parent parentRecord) (c volume.Credentials, given bool) {
	for ref, c := range st.Goldens {
		if ref.Tenant == parent.Tenant && ref.Image() == parent.Golden {
			return c, true
		}
	}
	return st.Credentials, false
}
