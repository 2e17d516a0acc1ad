package tenants

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// TestForgedFileRecords is TestForgedRecords for CephFS: B writes over the
// record of its own volume, and changes the names in its Secret.
func TestForgedFileRecords(t *testing.T) {
	s := newFilesScene(t)
	s.shares = "\"" + s.public + "/" + granted + "\""
	s.under(s.public + "/*")
	s.seed(s.public, granted)
	v10 := s.golden("", s.seed(s.public, private))
	theirs := s.written("theirs", s.volume(s.a, "written", volume.GoldenRef{}))
	n := newNode(s.scene, "--cephfs-mounter=fuse")
	p := n.pod(s.b, "forged", s.public+"/"+granted, "backend", "cephfs")
	field := "golden." + s.public + "."
	p.secrets[field+"model.v10"] = p.secrets[field+"model.v1"]
	name := "sdp.fs.vol." + p.id[strings.LastIndexByte(p.id, '.')+1:]
	original := s.record(s.b, name)
	refused := []codes.Code{codes.PermissionDenied, codes.NotFound}
	tests := map[string]struct {
		change func(record, parent map[string]any)
		want   []codes.Code
	}{
		"as it was":                    {func(map[string]any, map[string]any) {}, []codes.Code{codes.OK}},
		"a golden not granted":         {func(_, p map[string]any) { p["subvolume"], p["directory"] = v10.subvolume, v10.directory }, refused},
		"its name":                     {func(_, p map[string]any) { p["subvolume"] = v10.subvolume }, refused},
		"its directory":                {func(_, p map[string]any) { p["directory"] = v10.directory }, refused},
		"it in a path":                 {func(_, p map[string]any) { p["directory"] = "../../../" + v10.subvolume + "/" + v10.directory }, refused},
		"the live content":             {func(_, p map[string]any) { p["snapshot"] = ".." }, refused},
		"another snapshot":             {func(_, p map[string]any) { p["snapshot"] = "snap.0" }, refused},
		"another tenant":               {func(_, p map[string]any) { p["tenant"] = s.a }, refused},
		"a tenant of no name":          {func(_, p map[string]any) { p["tenant"] = "../" + s.a }, refused},
		"another tenant's snapshot":    {func(_, p map[string]any) { theirs.into(p) }, refused},
		"another tenant's as a volume": {func(r, _ map[string]any) { r["subvolume"] = theirs.subvolume; r["directory"] = theirs.directory }, refused},
	}
	for what, tt := range tests {
		var forged map[string]any
		must(t, json.Unmarshal(original, &forged))
		tt.change(forged, forged["parent"].(map[string]any))
		s.forge(name, forged)
		n.tryForged(what, p, tt.want)
		honest := n.show(s.a, "honest", n.makeIn("cephfs", s.a, "honest"), true)
		must(t, honest.stage(t.Context()))
		must(t, honest.publish(t.Context(), s.a))
		wantModel(t, "A's function after "+what, honest, granted)
		honest.end()
	}
}

// into makes a record's parent the tree's snapshot.
func (tr tree) into(parent map[string]any) {
	parent["tenant"], parent["subvolume"], parent["directory"], parent["snapshot"] = tr.owner, tr.subvolume, tr.directory, tr.snapshot
}
