package ceph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ceph/go-ceph/rados"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// keysSuffix and the tenant's name make the RADOS namespace of its volumes'
// keys. The tenant's readers cannot read it.
const keysSuffix = ".keys"

func keysSpace(tenant string) string { return tenant + keysSuffix }

const keyPrefix = "sdp.key."

// writerKey is a volume's user as it lies in the tenant's keys: the one that
// nodes use, and what of the subvolume it may write, for the next one.
type writerKey struct {
	User      string `json:"user"`
	Key       string `json:"key"`
	Directory string `json:"directory"`
}

// AddWriter implements cephfs.Writers.
func (f FileSystem) AddWriter(ctx context.Context, at tenant.Place, name, directory string) error {
	u := tenant.User{Tenant: at.Tenant(), Volume: name, Generation: 1}
	key, err := f.makeWriter(ctx, at, u, directory)
	if err == nil {
		err = f.putKey(ctx, at, u, key, nil)
	}
	return about("make the writer of", at, name, err)
}

// makeWriter makes a volume's user. Present is success.
func (f FileSystem) makeWriter(ctx context.Context, at tenant.Place, u tenant.User, directory string) (writerKey, error) {
	fs, err := fileSystemOf(at)
	if err != nil {
		return writerKey{}, err
	}
	var answer []account
	err = f.ask(ctx, at, &answer, map[string]any{
		"prefix": "auth get-or-create", "entity": entityPrefix + u.String(),
		"caps": []string{
			"mon", monReader + monFiles,
			"mds", fmt.Sprintf("allow rw fsname=%s path=%s/%s", fs, cephfs.Root(u.Tenant, u.Volume), directory),
			"osd", fmt.Sprintf("allow rw namespace=%s%s tag cephfs data=%s", isolated, subvolume(u.Tenant, u.Volume), fs),
		},
	})
	if err == nil && len(answer) != 1 {
		err = fmt.Errorf("the monitors made %d users: %w", len(answer), volume.ErrUnavailable)
	}
	if err != nil {
		return writerKey{}, err
	}
	return writerKey{User: u.String(), Key: answer[0].Key, Directory: directory}, nil
}

// putKey leaves a key where the tenant's writers look. guard, where there is
// one, adds a condition to the write.
func (f FileSystem) putKey(ctx context.Context, at tenant.Place, u tenant.User, key writerKey, guard func(*rados.WriteOp)) error {
	data, err := json.Marshal(key)
	if err != nil {
		return err
	}
	return f.inKeys(ctx, at, func(ioctx *rados.IOContext) error {
		op := rados.CreateWriteOp()
		defer op.Release()
		if guard != nil {
			guard(op)
		}
		op.WriteFull(data)
		return op.Operate(ioctx, keyOf(u), rados.OperationNoFlag)
	})
}

func (f FileSystem) inKeys(ctx context.Context, at tenant.Place, call func(*rados.IOContext) error) error {
	return f.connections.use(ctx, ownLogin(at.Cluster()), func(conn *connection) error {
		ioctx, err := conn.in(at.Pool(), keysSpace(at.Tenant()))
		if err != nil {
			return noPool(at, err)
		}
		return classify(call(ioctx))
	})
}

// RemoveWriter implements cephfs.Writers. The key goes last: it tells how many
// generations of the user there can be. One more can have been begun.
func (f FileSystem) RemoveWriter(ctx context.Context, at tenant.Place, name string) error {
	u := tenant.User{Tenant: at.Tenant(), Volume: name, Generation: 1}
	last, err := f.lastWriter(ctx, at, u)
	for ; err == nil && u.Generation <= last+1; u.Generation++ {
		err = f.Remove(ctx, at, u)
	}
	if err == nil {
		err = f.inKeys(ctx, at, func(ioctx *rados.IOContext) error { return absentIsDone(ioctx.Delete(keyOf(u))) })
	}
	return about("remove the writer of", at, name, err)
}

// lastWriter returns the generation of a volume's user that nodes use; 0
// without one.
func (f FileSystem) lastWriter(ctx context.Context, at tenant.Place, u tenant.User) (int, error) {
	var key writerKey
	err := f.inKeys(ctx, at, func(ioctx *rados.IOContext) (err error) {
		key, err = readWriterKey(ioctx, keyOf(u))
		return err
	})
	if errors.Is(err, volume.ErrNotFound) {
		return 0, nil
	}
	now, _ := tenant.ParseUser(key.User)
	return now.Generation, err
}

// Writer returns the writing user of a subvolume, read with the key of one
// request. A key that may only read the tenant's data wraps volume.ErrDenied.
func (r *Reader) Writer(ctx context.Context, at tenant.Place, c volume.Credentials, name string) (volume.Credentials, error) {
	var key writerKey
	err := r.connections.use(ctx, requestLogin(at.Cluster(), c), func(conn *connection) error {
		ioctx, err := conn.in(at.Pool(), keysSpace(at.Tenant()))
		if err == nil {
			key, err = readWriterKey(ioctx, keyPrefix+subvolume(at.Tenant(), name))
		}
		return classify(err)
	})
	return volume.Credentials{User: key.User, Key: volume.Secret(key.Key)}, about("read the key of the writer of", at, name, err)
}
