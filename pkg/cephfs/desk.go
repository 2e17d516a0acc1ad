package cephfs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// WriterRequest asks for the writer of a subvolume, or that it be removed. It
// names no rights: they follow from the names.
type WriterRequest struct {
	Tenant    string `json:"tenant"`
	Subvolume string `json:"subvolume"`
	Directory string `json:"directory,omitempty"` // of the content
	Remove    bool   `json:"remove,omitempty"`
}

// WriterMaker is Ceph for a Desk, with a key that may make users.
type WriterMaker interface {
	record.Store
	Writers
}

// Desk makes and removes writers for controllers whose key has no right on
// users. It keeps nothing. What it goes by is the volume's record, which a
// controller writes before it asks and drops after it was answered: a request
// that was lost is made again by whoever finishes or undoes what the record
// tells. Safe for concurrent use.
type Desk struct {
	maker   WriterMaker
	book    record.Book
	policy  func() *tenant.Policy
	revoked func(context.Context, tenant.Place) (bool, error)

	mu   sync.Mutex
	busy map[string]chan struct{} // by subvolume; closed at the end
}

// NewDesk returns a Desk. revoked says whether a tenant was cut off.
func NewDesk(m WriterMaker, policy func() *tenant.Policy, revoked func(context.Context, tenant.Place) (bool, error)) *Desk {
	return &Desk{maker: m, book: record.NewBook(m), policy: policy, revoked: revoked, busy: map[string]chan struct{}{}}
}

// Serve serves a request of a cluster. Done before is success. What it refuses
// wraps volume.ErrDenied and nothing that passes (volume.IsOpen): no controller
// asks for it but one that is late, or is not ours. Who asked is another process,
// so the answer is logged here as well.
func (d *Desk) Serve(ctx context.Context, cluster string, r WriterRequest) error {
	err := d.serve(ctx, cluster, r)
	log := klog.FromContext(ctx).WithValues("tenant", fmt.Sprintf("%.64s", r.Tenant), "subvolume", fmt.Sprintf("%.96s", r.Subvolume), "remove", r.Remove)
	switch {
	case isRefusal(err):
		log.Error(err, "a request for a volume's user was refused")
	case err != nil:
		log.Error(err, "a request for a volume's user could not be served")
	default:
		log.V(2).Info("a request for a volume's user was served")
	}
	return err
}

func (d *Desk) serve(ctx context.Context, cluster string, r WriterRequest) error {
	id, err := r.volume(cluster)
	if err != nil {
		return err
	}
	leave, err := d.enter(ctx, r.Subvolume)
	if err != nil {
		return err
	}
	defer leave()
	if r.Remove {
		return d.remove(ctx, id, r)
	}
	return d.add(ctx, id, r)
}

// volume returns the volume whose subvolume is meant. Only names that this
// driver gives pass, so no name can lead out of the tenant's directory or say
// more in a capability than one name.
func (r WriterRequest) volume(cluster string) (volume.ID, error) {
	hash, _, _ := strings.Cut(strings.TrimPrefix(r.Subvolume, volumePrefix), ".")
	id, err := volume.ParseID(volume.ID{Backend: volume.CephFS, Cluster: cluster, Tenant: r.Tenant, Hash: hash}.String())
	u := tenant.User{Tenant: r.Tenant, Volume: r.Subvolume, Generation: 1}
	_, ours := tenant.ParseUser(u.String())
	if err != nil || !ours || !isSubvolumeOf(r.Subvolume, hash) || !r.Remove && !isDirectory(r.Directory) {
		return volume.ID{}, fmt.Errorf("it names what no volume of this driver has: %w", volume.ErrDenied)
	}
	return id, nil
}

// isDirectory says that s can be the directory of a content: what Ceph's
// manager calls it is a UUID.
func isDirectory(s string) bool {
	return len(s) > 0 && len(s) <= 36 && strings.Trim(s, "0123456789abcdef-") == ""
}

// enter waits until no other request for the subvolume is being served: a
// removal that is answered must find no writer afterwards.
func (d *Desk) enter(ctx context.Context, subvolume string) (leave func(), err error) {
	for {
		d.mu.Lock()
		other, taken := d.busy[subvolume]
		if !taken {
			mine := make(chan struct{})
			d.busy[subvolume] = mine
			d.mu.Unlock()
			return func() { d.leave(subvolume, mine) }, nil
		}
		d.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, fmt.Errorf("another request for it is being served: %w: %w", ctx.Err(), volume.ErrUnavailable)
		}
	}
}

func (d *Desk) leave(subvolume string, mine chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.busy, subvolume)
	close(mine)
}

// add makes a writer. Whether it may is asked once more when the writer is
// there: meanwhile a controller may have given the volume up, and another Desk
// told it that there is no writer, or the tenant may have been cut off.
func (d *Desk) add(ctx context.Context, id volume.ID, r WriterRequest) error {
	at, err := d.policy().Open(id)
	if errors.Is(err, volume.ErrNotFound) {
		// The controller may have read a newer policy file.
		err = fmt.Errorf("the policy file as it was last read here has no tenant %s: %w", r.Tenant, volume.ErrUnavailable)
	}
	if err == nil {
		err = d.admit(ctx, at, id, r)
	}
	if err == nil {
		err = ofKey(d.maker.AddWriter(ctx, at, r.Subvolume, r.Directory))
	}
	if err != nil {
		return err
	}
	late := d.admit(ctx, at, id, r)
	if !isRefusal(late) {
		return late
	}
	if err := ofKey(d.maker.RemoveWriter(context.WithoutCancel(ctx), at, r.Subvolume)); err != nil {
		return err
	}
	return late
}

// admit refuses subvolumes that no volume has, and tenants that were cut off:
// their volumes get no users until they are let in again.
func (d *Desk) admit(ctx context.Context, at tenant.Place, id volume.ID, r WriterRequest) error {
	has, err := d.has(ctx, at, id, r)
	if err == nil && !has {
		err = fmt.Errorf("no volume has this subvolume: %w", volume.ErrDenied)
	}
	if err != nil {
		return err
	}
	out, err := d.revoked(ctx, at)
	if err == nil && out {
		return fmt.Errorf("tenant %s was revoked: `sdpctl tenant create %s` lets it in again: %w", at.Tenant(), at.Tenant(), volume.ErrDenied)
	}
	return ofKey(err)
}

// has says whether the volume has the subvolume and is not being deleted.
func (d *Desk) has(ctx context.Context, at tenant.Place, id volume.ID, r WriterRequest) (bool, error) {
	var rec volumeRecord
	err := d.book.Read(ctx, at, volumePrefix+id.Hash, &rec)
	if errors.Is(err, volume.ErrNotFound) {
		return false, nil
	}
	return err == nil && rec.Subvolume == r.Subvolume && rec.State != record.Deleting, ofKey(err)
}

// remove removes a writer, unless a volume has the subvolume and is not being
// deleted. The tenant may be gone from the policy.
func (d *Desk) remove(ctx context.Context, id volume.ID, r WriterRequest) error {
	at, err := d.policy().Release(id)
	if err != nil {
		return err
	}
	has, err := d.has(ctx, at, id, r)
	if err == nil && has {
		err = fmt.Errorf("a volume has this subvolume, and is not being deleted: %w", volume.ErrDenied)
	}
	if err != nil {
		return err
	}
	return ofKey(d.maker.RemoveWriter(ctx, at, r.Subvolume))
}

// ofKey is what Ceph answered to this process. That it refuses the key of this
// process says nothing of the request, and passes: a controller must not undo a
// volume for it.
func ofKey(err error) error {
	if errors.Is(err, volume.ErrDenied) {
		return fmt.Errorf("%w: %w", err, volume.ErrUnavailable)
	}
	return err
}

// isRefusal says that it is no use to ask again.
func isRefusal(err error) bool {
	return errors.Is(err, volume.ErrDenied) && !volume.IsOpen(err)
}
