package fake_test

import (
	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/driver"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// The fakes are what the ports ask for.
var (
	_ rbd.Cluster    = (*fake.Ceph)(nil)
	_ rbd.Reader     = (*fake.Ceph)(nil)
	_ golden.Store   = (*fake.Ceph)(nil)
	_ rbd.Mapper     = (*fake.Host)(nil)
	_ rbd.Host       = (*fake.Host)(nil)
	_ driver.Mounter = (*fake.Host)(nil)
	_ cephfs.Reader  = fake.FileReader{}
	_ cephfs.Mounter = (*fake.FileNode)(nil)
	_ cephfs.Host    = (*fake.FileNode)(nil)
)
