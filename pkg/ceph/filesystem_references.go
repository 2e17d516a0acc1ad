package ceph

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"strings"
	"syscall"

	"github.com/ceph/go-ceph/rados"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// referencesSpace is the RADOS namespace of the references of a pool. No
// tenant's name has a dot, so no tenant's key can write in it.
const referencesSpace = "sdp.refs"

// The first byte of a snapshot's object. The users are the keys of its omap. A
// user is added only while the byte is open; who wants to remove the snapshot
// closes it and then looks for users. So of an addition and a removal at once
// one sees the other. Behind closed stands who closed it: of two removals at
// once one must not open again what the other takes for closed. What is gone
// stays so: the snapshot is to be removed, whoever does it.
const (
	openByte   = 0
	closedByte = 1
	goneByte   = 2
)

func referencesOf(s cephfs.Snapshot) string {
	return subvolume(s.Tenant, s.Subvolume) + "@" + s.Name
}

func (f FileSystem) inReferences(ctx context.Context, at tenant.Place, call func(*rados.IOContext) error) error {
	return f.connections.use(ctx, ownLogin(at.Cluster()), func(conn *connection) error {
		ioctx, err := conn.in(at.Pool(), referencesSpace)
		if err != nil {
			return noPool(at, err)
		}
		return classify(call(ioctx))
	})
}

// AddReference implements cephfs.References.
func (f FileSystem) AddReference(ctx context.Context, at tenant.Place, to cephfs.Snapshot, user string) error {
	err := f.inReferences(ctx, at, func(ioctx *rados.IOContext) error {
		op := rados.CreateWriteOp()
		defer op.Release()
		op.Create(rados.CreateIdempotent)
		op.CmpExt([]byte{openByte}, 0)
		op.SetOmap(map[string][]byte{user: nil})
		err := op.Operate(ioctx, referencesOf(to), rados.OperationNoFlag)
		if errnoOf(err) >= mismatch {
			return fmt.Errorf("it is being removed: %w", volume.ErrNotFound)
		}
		return err
	})
	return about("add a reference to", at, referencesOf(to), err)
}

// HasReference implements cephfs.References.
func (f FileSystem) HasReference(ctx context.Context, at tenant.Place, to cephfs.Snapshot, user string) (bool, error) {
	found := false
	err := f.inReferences(ctx, at, func(ioctx *rados.IOContext) error {
		got, err := ioctx.GetOmapValues(referencesOf(to), "", user, 1)
		_, found = got[user]
		return absentIsDone(err)
	})
	return found, about("look for a reference to", at, referencesOf(to), err)
}

// RemoveReference implements cephfs.References.
func (f FileSystem) RemoveReference(ctx context.Context, at tenant.Place, to cephfs.Snapshot, user string) error {
	err := f.inReferences(ctx, at, func(ioctx *rados.IOContext) error {
		return absentIsDone(ioctx.RmOmapKeys(referencesOf(to), []string{user}))
	})
	return about("remove a reference to", at, referencesOf(to), err)
}

// references returns up to limit users of a snapshot.
func (f FileSystem) references(ctx context.Context, at tenant.Place, to cephfs.Snapshot, limit int) (users []string, err error) {
	err = f.inReferences(ctx, at, func(ioctx *rados.IOContext) (err error) {
		users, err = listKeys(ioctx, referencesOf(to), "", "", limit)
		return absentIsDone(err)
	})
	return users, err
}

// referrers returns whose volumes and snapshots refer to a golden. A reference
// is called <tenant>/<record>.
func (f FileSystem) referrers(ctx context.Context, at tenant.Place, g volume.Golden) ([]tenant.Clone, error) {
	to := cephfs.Snapshot{Tenant: at.Tenant(), Subvolume: g.Ref.Image(), Name: volume.SealedSnapshot}
	users, err := f.references(ctx, at, to, math.MaxInt)
	if err != nil {
		return nil, about("list the references to", at, referencesOf(to), err)
	}
	clones := make([]tenant.Clone, len(users))
	for i, user := range users {
		owner, record, _ := strings.Cut(user, "/")
		clones[i] = tenant.Clone{Tenant: owner, Image: recordName(record)}
	}
	return clones, nil
}

// closings bounds how often a removal begins anew because another one came
// between: with two of them once is the rule.
const closings = 16

// CloseReferences implements cephfs.References.
func (f FileSystem) CloseReferences(ctx context.Context, at tenant.Place, to cephfs.Snapshot) error {
	var err error
	for range closings {
		if err = f.closeOnce(ctx, at, to); !errors.Is(err, volume.ErrPending) {
			break
		}
	}
	return about("close the references to", at, referencesOf(to), err)
}

// closeOnce wraps volume.ErrPending where another removal came between.
func (f FileSystem) closeOnce(ctx context.Context, at tenant.Place, to cephfs.Snapshot) error {
	was, err := f.referencesState(ctx, at, to)
	if err != nil || was[0] == goneByte {
		return err
	}
	mine := append([]byte{closedByte}, rand.Text()...)
	if err := f.swapReferences(ctx, at, to, was, mine); err != nil {
		return err
	}
	users, err := f.references(ctx, at, to, 1)
	if err != nil {
		return err
	}
	if len(users) == 0 {
		return f.swapReferences(ctx, at, to, mine, []byte{goneByte})
	}
	if err := f.swapReferences(ctx, at, to, mine, []byte{openByte}); err != nil {
		return err
	}
	return fmt.Errorf("%s uses it: %w", users[0], volume.ErrInUse)
}

func (f FileSystem) referencesState(ctx context.Context, at tenant.Place, to cephfs.Snapshot) (state []byte, err error) {
	err = f.inReferences(ctx, at, func(ioctx *rados.IOContext) (err error) {
		state, err = readObject(ioctx, referencesOf(to))
		return absentIsDone(err)
	})
	if len(state) == 0 {
		state = []byte{openByte}
	}
	return state, err
}

// swapReferences changes the state that was seen. No state is another one's
// beginning, and an object without bytes compares as open.
func (f FileSystem) swapReferences(ctx context.Context, at tenant.Place, to cephfs.Snapshot, was, state []byte) error {
	return f.inReferences(ctx, at, func(ioctx *rados.IOContext) error {
		err := write(ioctx, referencesOf(to), state, func(op *rados.WriteOp) {
			op.Create(rados.CreateIdempotent)
			op.CmpExt(was, 0)
		})
		if errnoOf(err) >= mismatch {
			return fmt.Errorf("another removal of it came between: %w", volume.ErrPending)
		}
		return err
	})
}

// dropReferences forgets a snapshot that is no more. Whoever adds a reference
// after that finds out by its look at the source.
func (f FileSystem) dropReferences(ctx context.Context, at tenant.Place, to cephfs.Snapshot) error {
	return f.inReferences(ctx, at, func(ioctx *rados.IOContext) error {
		err := ioctx.Delete(referencesOf(to))
		if is(err, syscall.ENOENT) {
			return nil
		}
		return err
	})
}
