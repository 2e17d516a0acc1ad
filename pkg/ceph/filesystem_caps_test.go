package ceph

import (
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// filesPolicy has a cluster with a file system and one without.
func filesPolicy(t *testing.T) *tenant.Policy {
	t.Helper()
	p, err := tenant.Parse([]byte("clusters: [{id: main, monitors: [\"10.0.0.1:3300\"], pool: rbd, fileSystem: files}, {id: plain, monitors: [\"10.0.0.2:3300\"], pool: rbd}]\n" +
		"tenants: [{name: acme}, {name: public}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFileCapsOf(t *testing.T) {
	policy := filesPolicy(t)
	at := func(name, cluster string) tenant.Place {
		place, err := policy.Default(name, cluster)
		if err != nil {
			t.Fatal(err)
		}
		return place
	}
	shared := func(cluster string) []tenant.SharedImage {
		return []tenant.SharedImage{{Place: at("public", cluster), Backend: volume.CephFS, Name: "golden.m.v1", ImageID: "1f-2e"}}
	}
	const ownPath, goldenPath = "allow r fsname=files path=/volumes/acme", "allow r fsname=files path=/volumes/public/public.golden.m.v1"
	const ownSpace, goldenSpace = `allow r namespace="fsvolumens_acme.*" tag cephfs data=files`, `allow r namespace="fsvolumens_public.golden.m.v1" tag cephfs data=files`
	const record = "allow r pool=rbd namespace=public object_prefix sdp.golden.m.v1"
	const keys, lease = "allow r pool=rbd namespace=acme.keys", "allow w pool=rbd namespace=public object_prefix sdp.lease.1f-2e."
	tests := map[string]struct {
		access       tenant.Access
		mon, mds     string
		has, hasNone []string // grants of the OSDs
	}{
		"reader":               {tenant.Access{At: at("acme", "main"), Role: tenant.Reader}, monReader + monFiles, ownPath, []string{ownSpace}, []string{keys, goldenSpace}},
		"writer":               {tenant.Access{At: at("acme", "main"), Role: tenant.Writer}, monWriter + monFiles, ownPath, []string{ownSpace, keys}, []string{goldenSpace}},
		"reader with a golden": {tenant.Access{At: at("acme", "main"), Role: tenant.Reader, Goldens: shared("main")}, monReader + monFiles, ownPath + ", " + goldenPath, []string{ownSpace, goldenSpace}, []string{keys, lease, record}},
		"golden's reader":      {tenant.Access{At: at("public", "main"), Goldens: shared("main")}, monReader + monFiles, goldenPath, []string{goldenSpace, lease, record}, []string{ownSpace, keys}},
		// A record in the tenant's hands says that there is such a golden.
		"golden's reader, no file system": {tenant.Access{At: at("public", "plain"), Goldens: shared("plain")}, monReader, "", nil, []string{goldenSpace, lease}},
		"reader, no file system":          {tenant.Access{At: at("acme", "plain"), Role: tenant.Reader, Goldens: shared("plain")}, monReader, "", nil, []string{ownSpace, goldenSpace}},
	}
	for name, tt := range tests {
		got := capsOf(tt.access, names{pool: "rbd", poolID: 3})
		if got.mon != tt.mon || got.mds != tt.mds {
			t.Errorf("%s:\nmon %s\nmds %s\nwant:\nmon %s\nmds %s", name, got.mon, got.mds, tt.mon, tt.mds)
		}
		for _, grant := range tt.has {
			if !strings.Contains(got.osd+", ", grant+", ") {
				t.Errorf("%s: osd %s, want %s in it", name, got.osd, grant)
			}
		}
		for _, grant := range tt.hasNone {
			if strings.Contains(got.osd, grant) {
				t.Errorf("%s: osd %s, want no %s in it", name, got.osd, grant)
			}
		}
		if !isOfPool(got.osd, "rbd") || strings.Contains(got.osd, "rbd_header.1f-2e") || strings.Contains(got.mds, "rw") {
			t.Errorf("%s: osd %s, mds %s", name, got.osd, got.mds)
		}
	}
}
