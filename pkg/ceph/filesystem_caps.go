package ceph

import (
	"fmt"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
)

// monFiles is what a client of a file system needs of the monitors besides:
// the servers' map, and how full the cluster is, without which statfs hangs.
const monFiles = ", allow service mds r, allow service pg r"

// isolated is what Ceph puts before a subvolume's name for the RADOS namespace
// of its data.
const isolated = "fsvolumens_"

// pairs are the caps as the monitors want them.
func (c caps) pairs() []string {
	all := []string{"mon", c.mon, "osd", c.osd}
	if c.mds != "" {
		all = append(all, "mds", c.mds)
	}
	return all
}

// addFiles adds the rights on a file system, where the cluster has one. They
// are a reader's: what is written is written with the key of a single volume,
// which the tenant's writer can read.
func (c *caps) addFiles(a tenant.Access, n names) (grants []string) {
	fs := a.At.Cluster().FileSystem
	if fs == "" || a.Role == "" {
		return nil
	}
	c.mon += monFiles
	c.mds = fmt.Sprintf("allow r fsname=%s path=/volumes/%s", fs, a.At.Tenant())
	// All subvolumes of the tenant, whose name has no dot itself.
	grants = append(grants, fmt.Sprintf(`allow r namespace="%s%s.*" tag cephfs data=%s`, isolated, a.At.Tenant(), fs))
	if a.Role == tenant.Writer {
		grants = append(grants, fmt.Sprintf("allow r pool=%s namespace=%s", n.pool, keysSpace(a.At.Tenant())))
	}
	return grants
}
