package ceph

import (
	"context"
	"fmt"
	"strings"

	"github.com/ceph/go-ceph/cephfs/admin"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// FileSystem is a Cluster whose volumes and goldens are subvolumes of the
// CephFS file system of the policy's row. It implements cephfs.Cluster,
// golden.Store and golden.Trees. Its records lie in the tenant's namespace of
// the pool, with a prefix of their own but for goldens.
type FileSystem struct{ *Cluster }

var (
	_ cephfs.Cluster = FileSystem{}
	_ golden.Store   = FileSystem{}
	_ golden.Trees   = FileSystem{}
)

// NewFileSystem returns the file systems of the same clusters.
func NewFileSystem(c *Cluster) FileSystem { return FileSystem{c} }

// filesPrefix is what this backend's records have before their names: those of
// volumes and snapshots. A tenant's goldens have names in common with the other
// backend's, so that one name is one golden.
const filesPrefix = "fs."

// goldenPrefix begins the names of goldens' records.
const goldenPrefix = "golden."

func recordName(name string) string {
	if strings.HasPrefix(name, goldenPrefix) {
		return name
	}
	return filesPrefix + name
}

// CreateRecord implements record.Store.
func (f FileSystem) CreateRecord(ctx context.Context, at tenant.Place, name string, data []byte) error {
	return f.Cluster.CreateRecord(ctx, at, recordName(name), data)
}

// ReadRecord implements record.Store.
func (f FileSystem) ReadRecord(ctx context.Context, at tenant.Place, name string) ([]byte, error) {
	return f.Cluster.ReadRecord(ctx, at, recordName(name))
}

// SwapRecord implements record.Store.
func (f FileSystem) SwapRecord(ctx context.Context, at tenant.Place, name string, old, data []byte) error {
	return f.Cluster.SwapRecord(ctx, at, recordName(name), old, data)
}

// RemoveRecord implements record.Store.
func (f FileSystem) RemoveRecord(ctx context.Context, at tenant.Place, name string) error {
	return f.Cluster.RemoveRecord(ctx, at, recordName(name))
}

// DropRecord implements record.Store.
func (f FileSystem) DropRecord(ctx context.Context, at tenant.Place, name string, old []byte) error {
	return f.Cluster.DropRecord(ctx, at, recordName(name), old)
}

// ListRecords implements record.Store.
func (f FileSystem) ListRecords(ctx context.Context, at tenant.Place, prefix, after string, limit int) ([]string, error) {
	names, err := f.Cluster.ListRecords(ctx, at, recordName(prefix), recordName(after), limit)
	for i, name := range names {
		names[i] = strings.TrimPrefix(name, filesPrefix)
	}
	return names, err
}

// LockRecord implements golden.Store.
func (f FileSystem) LockRecord(ctx context.Context, at tenant.Place, name string) (unlock func(), err error) {
	return f.Cluster.LockRecord(ctx, at, recordName(name))
}

// Free implements cephfs.Cluster.
func (f FileSystem) Free(ctx context.Context, at tenant.Place) (int64, error) {
	name, err := fileSystemOf(at)
	if err != nil {
		return 0, err
	}
	var all []struct {
		Name  string   `json:"name"`
		Pools []string `json:"data_pools"`
	}
	if err := f.ask(ctx, at, &all, map[string]any{"prefix": "fs ls"}); err != nil {
		return 0, err
	}
	for _, fs := range all {
		if fs.Name == name && len(fs.Pools) > 0 {
			return f.freeIn(ctx, at, fs.Pools[0])
		}
	}
	return 0, fmt.Errorf("cluster %s has no file system %s: %w", at.Cluster().ID, name, volume.ErrUnavailable)
}

// fileSystemOf returns the name of the cluster's file system.
func fileSystemOf(at tenant.Place) (string, error) {
	if at.Cluster().FileSystem == "" {
		return "", fmt.Errorf("cluster %s has no fileSystem in the policy: set one, or use backend rbd: %w", at.Cluster().ID, volume.ErrInvalid)
	}
	return at.Cluster().FileSystem, nil
}

// manage asks Ceph's manager.
func (f FileSystem) manage(ctx context.Context, at tenant.Place, call func(fsa *admin.FSAdmin, fs string) error) error {
	name, err := fileSystemOf(at)
	if err != nil {
		return err
	}
	return f.manager.ask(ctx, ownLogin(at.Cluster()), func(conn *connection) error {
		return classify(call(admin.NewFromConn(conn.conn), name))
	})
}
