package ceph

import (
	"fmt"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
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
	if fs == "" {
		return nil
	}
	var paths []string
	if a.Role != "" {
		paths = append(paths, readPath(fs, groupPath(a.At.Tenant())))
		// All subvolumes of the tenant, whose name has no dot itself.
		grants = append(grants, readSpace(fs, a.At.Tenant()+".*"))
	}
	if a.Role == tenant.Writer {
		grants = append(grants, fmt.Sprintf("allow r pool=%s namespace=%s", n.pool, keysSpace(a.At.Tenant())))
	}
	for _, g := range a.Goldens {
		if g.Backend != volume.CephFS {
			continue
		}
		paths = append(paths, readPath(fs, cephfs.Root(g.Place.Tenant(), g.Name)))
		grants = append(grants, readSpace(fs, subvolume(g.Place.Tenant(), g.Name)))
		if a.Role == "" {
			grants = append(grants, recordGrant(n, g), leaseGrant(n, g.Place.Namespace(), g.ImageID+"."))
		}
	}
	if len(paths) > 0 {
		c.mon += monFiles
		c.mds = strings.Join(paths, ", ")
	}
	return grants
}

// groupPath is the directory of a tenant's subvolumes.
func groupPath(tenant string) string { return "/volumes/" + tenant }

// readPath grants a directory and what is below. Ceph compares whole names, so
// a golden's v1 is no v10.
func readPath(fs, path string) string { return fmt.Sprintf("allow r fsname=%s path=%s", fs, path) }

// readSpace grants the data of a subvolume in whatever pool: a path alone would
// not do, for the OSDs know of no paths, nor would the file system's pool, in
// which all tenants' data are. Nothing in it has an object class. Ceph takes a
// name as it is but for a star at its end.
func readSpace(fs, name string) string {
	return fmt.Sprintf("allow r namespace=\"%s%s\" tag cephfs data=%s", isolated, name, fs)
}
