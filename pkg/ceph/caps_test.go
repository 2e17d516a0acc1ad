package ceph

import (
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
)

func TestCapsOf(t *testing.T) {
	policy, err := tenant.Parse([]byte("clusters: [{id: main, monitors: [\"10.0.0.1:3300\"], pool: rbd}]\ntenants: [{name: acme}, {name: public}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	acme, err := policy.Default("acme", "")
	if err != nil {
		t.Fatal(err)
	}
	public, err := policy.Default("public", "")
	if err != nil {
		t.Fatal(err)
	}
	golden := tenant.SharedImage{Place: public, Name: "golden.m.v1", ImageID: "1f"}
	one, two := names{pool: "rbd", poolID: 3}, names{pool: "rbd", poolID: 3, data: "ec"}
	const open = `allow class rbd metadata_list pool=rbd namespace="" object_prefix rbd_info`
	const lease = ", allow w pool=rbd namespace="
	const record = ", allow r pool=rbd namespace=public object_prefix sdp.golden.m.v1"
	const shared = "allow r class-read pool=rbd namespace=public object_prefix "
	tests := map[string]struct {
		access   tenant.Access
		names    names
		mon, osd string
	}{
		"reader": {tenant.Access{At: acme, Role: tenant.Reader}, one, monReader, open + ", allow r class-read pool=rbd namespace=acme" + lease + "acme object_prefix sdp.lease."},
		"writer": {tenant.Access{At: acme, Role: tenant.Writer}, one, monWriter, open + `, allow r pool=rbd namespace="" object_prefix rbd_info, allow rwx pool=rbd namespace=acme`},
		"reader with a golden": {
			tenant.Access{At: acme, Role: tenant.Reader, Goldens: []tenant.SharedImage{golden}}, one, monReader,
			open + ", allow r class-read pool=rbd namespace=acme" + lease + "acme object_prefix sdp.lease., " + shared + "rbd_directory, " + shared + "rbd_header.1f, " + shared +
				"rbd_object_map.1f, allow r pool=rbd namespace=public object_prefix rbd_data.1f.",
		},
		"golden's reader": {
			tenant.Access{At: public, Goldens: []tenant.SharedImage{golden}}, one, monReader,
			open + ", " + shared + "rbd_directory, " + shared + "rbd_header.1f, " + shared + "rbd_object_map.1f, " + shared +
				"rbd_id.golden.m.v1" + record + lease + "public object_prefix sdp.lease.1f., allow r pool=rbd namespace=public object_prefix rbd_data.1f.",
		},
		"golden's reader, data pool": {
			tenant.Access{At: public, Goldens: []tenant.SharedImage{golden}}, two, monReader,
			open + ", " + shared + "rbd_directory, " + shared + "rbd_header.1f, " + shared + "rbd_object_map.1f, " + shared +
				"rbd_id.golden.m.v1" + record + lease + "public object_prefix sdp.lease.1f., allow r pool=ec namespace=public object_prefix rbd_data.3.1f.",
		},
		"writer, data pool": {
			tenant.Access{At: acme, Role: tenant.Writer}, two, monWriter,
			open + `, allow r pool=rbd namespace="" object_prefix rbd_info, allow r pool=ec namespace="" object_prefix rbd_info` +
				", allow rwx pool=rbd namespace=acme, allow rwx pool=ec namespace=acme",
		},
	}
	for name, tt := range tests {
		got := capsOf(tt.access, tt.names)
		if got.mon != tt.mon || got.osd != tt.osd {
			t.Errorf("%s:\nmon %s\nosd %s\nwant:\nmon %s\nosd %s", name, got.mon, got.osd, tt.mon, tt.osd)
		}
		if !isOfPool(got.osd, "rbd") || isOfPool(got.osd, "rb") || strings.Contains(got.osd, "allow rx") {
			t.Errorf("%s: %s", name, got.osd)
		}
	}
}

func TestSessionAddresses(t *testing.T) {
	var all []session
	text := `[{"entity_name":"client.sdp.acme.ro.2","addrs":{"addrvec":[{"type":"v1","addr":"10.0.0.9:0","nonce":42},{"type":"any","addr":"10.0.0.9:0","nonce":42}]}},
		{"entity_name":"client.admin","addrs":{"addrvec":[{"type":"any","addr":"10.0.0.9:0","nonce":43}]}}, {"entity_name":"","addrs":{}}]`
	if err := readAnswer("sessions", []byte(text), &all); err != nil {
		t.Fatal(err)
	}
	found := map[tenant.User][]string{}
	for _, s := range all {
		s.addTo(found)
	}
	acme := found[tenant.User{Tenant: "acme", Role: tenant.Reader, Generation: 2}]
	if len(found) != 1 || len(acme) != 1 || acme[0] != "10.0.0.9:0/42" {
		t.Errorf("found %v", found)
	}
	if err := readAnswer("auth get", []byte(`{"key":"AQsecret"`), &all); err == nil || strings.Contains(err.Error(), "AQsecret") {
		t.Errorf("a damaged answer: %v, want an error that does not quote it", err)
	}
}
