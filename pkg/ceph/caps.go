package ceph

import (
	"fmt"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// caps are a user's capabilities in Ceph's words.
type caps struct{ mon, osd, mds string }

// The monitors' rights. Both profiles, rbd-read-only too, may blocklist any
// one client instance. Who maps an image for writing must be able to shut its
// dead predecessor out; who only reads gets the cluster's maps and no more.
const (
	monReader = "allow service mon r, allow service osd r"
	monWriter = "profile rbd"
)

// The OSDs' rights. `r class-read` calls the read methods of an object's
// class; `rx`, which looks like it, calls the writing ones too, without any w:
// who has it on an image's header can set its size or drop its snapshots. The
// profile rbd-read-only may detach clones from their parents, so it is not
// used either.
const (
	osdRead  = "allow r class-read"
	osdData  = "allow r"
	osdWrite = "allow rwx"
	// osdLease lets a reader note itself, and no more: not even read.
	osdLease = "allow w"
)

// names are how a pool's rights are told to Ceph.
type names struct {
	pool   string
	poolID int64
	data   string // the pool of the images' data; empty: pool
}

// capsOf writes an access as caps. The policy lets only such names of pools,
// tenants and goldens pass as need no quotes.
func capsOf(a tenant.Access, n names) caps {
	// Opening any image reads the pool's settings.
	grants := []string{fmt.Sprintf(`allow class rbd metadata_list pool=%s namespace="" object_prefix rbd_info`, n.pool)}
	c := caps{mon: monReader}
	switch a.Role {
	case tenant.Writer:
		c.mon = monWriter
		// Making an image looks whether the pool can be overwritten.
		grants = append(grants, poolInfo(n)...)
		grants = append(grants, whole(osdWrite, n, a.At.Namespace())...)
	case tenant.Reader:
		grants = append(grants, whole(osdRead, n, a.At.Namespace())...)
		grants = append(grants, leaseGrant(n, a.At.Namespace(), ""))
	}
	for _, g := range a.Goldens {
		if g.Backend != volume.CephFS {
			grants = append(grants, oneImage(g, n, a.Role == "")...)
		}
	}
	grants = append(grants, c.addFiles(a, n)...)
	c.osd = strings.Join(unique(grants), ", ")
	return c
}

// poolInfo grants what RBD notes about the pools as a whole.
func poolInfo(n names) []string {
	grants := []string{fmt.Sprintf(`allow r pool=%s namespace="" object_prefix rbd_info`, n.pool)}
	if n.data != "" {
		grants = append(grants, fmt.Sprintf(`allow r pool=%s namespace="" object_prefix rbd_info`, n.data))
	}
	return grants
}

// whole grants a namespace of the pool and of the data pool.
func whole(right string, n names, namespace string) []string {
	grants := []string{fmt.Sprintf("%s pool=%s namespace=%s", right, n.pool, namespace)}
	if n.data != "" {
		grants = append(grants, fmt.Sprintf("%s pool=%s namespace=%s", right, n.data, namespace))
	}
	return grants
}

// oneImage grants the objects of one image. Its directory, which has the names
// of the namespace's images and nothing else, cannot be had in part. byName
// is for whoever maps the image itself rather than a clone of it.
func oneImage(g tenant.SharedImage, n names, byName bool) []string {
	in := func(right, pool, prefix string) string {
		return fmt.Sprintf("%s pool=%s namespace=%s object_prefix %s", right, pool, g.Place.Namespace(), prefix)
	}
	grants := []string{
		in(osdRead, n.pool, "rbd_directory"),
		in(osdRead, n.pool, "rbd_header."+g.ImageID),
		in(osdRead, n.pool, "rbd_object_map."+g.ImageID),
	}
	if byName {
		grants = append(grants, in(osdRead, n.pool, "rbd_id."+g.Name), recordGrant(n, g), leaseGrant(n, g.Place.Namespace(), g.ImageID+"."))
	}
	if n.data != "" {
		return append(grants, in(osdData, n.data, fmt.Sprintf("rbd_data.%d.%s.", n.poolID, g.ImageID)))
	}
	return append(grants, in(osdData, n.pool, "rbd_data."+g.ImageID+"."))
}

// recordGrant lets a golden's reader read the golden's record, by which a node
// shows the golden without a volume. Like all that is granted by a name, it
// covers the records of goldens whose version begins alike; no content is there.
func recordGrant(n names, g tenant.SharedImage) string {
	return fmt.Sprintf("%s pool=%s namespace=%s object_prefix %s%s", osdData, n.pool, g.Place.Namespace(), recordPrefix, g.Name)
}

// leaseGrant lets a reader tell that it reads an image, or any image of the
// namespace: an open for reading leaves no trace in Ceph.
func leaseGrant(n names, namespace, image string) string {
	return fmt.Sprintf("%s pool=%s namespace=%s object_prefix %s%s", osdLease, n.pool, namespace, leasePrefix, image)
}

func unique(grants []string) []string {
	seen := map[string]bool{}
	var kept []string
	for _, g := range grants {
		if !seen[g] {
			seen[g] = true
			kept = append(kept, g)
		}
	}
	return kept
}
