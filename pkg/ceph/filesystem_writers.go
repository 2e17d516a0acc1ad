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

// writerPrefix begins the names of volumes' users. They are no users of
// pkg/tenant, whose names begin with another one.
const writerPrefix = "sdpfs."

const keyPrefix = "sdp.key."

// writerKey is a volume's user as it lies in the tenant's keys.
type writerKey struct {
	User string `json:"user"`
	Key  string `json:"key"`
}

// AddWriter implements cephfs.Writers.
func (f FileSystem) AddWriter(ctx context.Context, at tenant.Place, name, directory string) error {
	fs, err := fileSystemOf(at)
	if err != nil {
		return err
	}
	full := subvolume(at.Tenant(), name)
	var answer []account
	err = f.ask(ctx, at, &answer, map[string]any{
		"prefix": "auth get-or-create", "entity": entityPrefix + writerPrefix + full,
		"caps": []string{
			"mon", monReader + monFiles,
			"mds", fmt.Sprintf("allow rw fsname=%s path=%s/%s", fs, cephfs.Root(at.Tenant(), name), directory),
			"osd", fmt.Sprintf("allow rw namespace=%s%s tag cephfs data=%s", isolated, full, fs),
		},
	})
	if err == nil && len(answer) != 1 {
		err = fmt.Errorf("the monitors made %d users: %w", len(answer), volume.ErrUnavailable)
	}
	if err == nil {
		err = f.putKey(ctx, at, full, writerKey{User: writerPrefix + full, Key: answer[0].Key})
	}
	return about("make the writer of", at, name, err)
}

func (f FileSystem) putKey(ctx context.Context, at tenant.Place, full string, key writerKey) error {
	data, err := json.Marshal(key)
	if err != nil {
		return err
	}
	return f.inKeys(ctx, at, func(ioctx *rados.IOContext) error { return ioctx.WriteFull(keyPrefix+full, data) })
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

// RemoveWriter implements cephfs.Writers.
func (f FileSystem) RemoveWriter(ctx context.Context, at tenant.Place, name string) error {
	full := subvolume(at.Tenant(), name)
	err := f.inKeys(ctx, at, func(ioctx *rados.IOContext) error { return absentIsDone(ioctx.Delete(keyPrefix + full)) })
	if err == nil {
		err = f.ask(ctx, at, nil, map[string]any{"prefix": "auth rm", "entity": entityPrefix + writerPrefix + full})
	}
	if errors.Is(err, volume.ErrNotFound) {
		err = nil
	}
	return about("remove the writer of", at, name, err)
}

// Writer returns the writing user of a subvolume, read with the key of one
// request. A key that may only read the tenant's data wraps volume.ErrDenied.
func (r *Reader) Writer(ctx context.Context, at tenant.Place, c volume.Credentials, name string) (volume.Credentials, error) {
	var key writerKey
	err := r.connections.use(ctx, requestLogin(at.Cluster(), c), func(conn *connection) error {
		ioctx, err := conn.in(at.Pool(), keysSpace(at.Tenant()))
		if err != nil {
			return classify(err)
		}
		data, err := readObject(ioctx, keyPrefix+subvolume(at.Tenant(), name))
		if err != nil {
			return classify(err)
		}
		if json.Unmarshal(data, &key) != nil {
			// The decoder's error could quote the key.
			return fmt.Errorf("it is damaged: %w", volume.ErrUnavailable)
		}
		return nil
	})
	return volume.Credentials{User: key.User, Key: volume.Secret(key.Key)}, about("read the key of the writer of", at, name, err)
}
