//go:build bench

package clone

import (
	"fmt"
	"testing"

	"github.com/ceph/go-ceph/rados"
	"github.com/ceph/go-ceph/rbd"
)

// raw is go-ceph used directly, in this process, on one connection: what a
// clone costs without a driver.
type raw struct {
	t     testing.TB
	ioctx *rados.IOContext
}

func newRaw(t testing.TB, conf, pool, namespace string) *raw {
	t.Helper()
	conn, err := rados.NewConn()
	if err == nil {
		err = conn.ReadConfigFile(conf)
	}
	if err == nil {
		err = conn.Connect()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Shutdown)
	ioctx, err := conn.OpenIOContext(pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ioctx.Destroy)
	ioctx.SetNamespace(namespace)
	return &raw{t: t, ioctx: ioctx}
}

// clone makes a clone with the features and format that the driver's have.
func (r *raw) clone(parent, name string) error {
	options := rbd.NewRbdImageOptions()
	defer options.Destroy()
	for option, value := range map[rbd.ImageOption]uint64{
		rbd.ImageOptionFormat: 2, rbd.ImageOptionCloneFormat: 2, rbd.ImageOptionOrder: 22,
		rbd.ImageOptionFeatures: rbd.FeatureLayering | rbd.FeatureExclusiveLock | rbd.FeatureObjectMap |
			rbd.FeatureFastDiff | rbd.FeatureDeepFlatten,
	} {
		if err := options.SetUint64(option, value); err != nil {
			return err
		}
	}
	if err := rbd.CloneImage(r.ioctx, parent, "sealed", r.ioctx, name, options); err != nil {
		return fmt.Errorf("raw clone %s: %w", name, err)
	}
	return nil
}

func (r *raw) remove(name string) error { return rbd.RemoveImage(r.ioctx, name) }
