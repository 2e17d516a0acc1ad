package tenants

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// TestForgedRecords has B, with its writer's key, write over the record of its
// own volume, which the node reads: it gets nothing that it could not have, and
// A's functions see what they should.
func TestForgedRecords(t *testing.T) {
	s := newScene(t)
	s.shares = "\"" + s.public + "/" + granted + "\""
	s.under(s.public + "/*")
	v1, v10 := s.seed(s.public, granted), s.seed(s.public, private)
	n := newNode(s)
	ids := map[string]string{}
	for _, ref := range []string{v1.Image(), v10.Image()} {
		id, err := s.cluster.ImageID(t.Context(), s.place(s.public), ref)
		must(t, err)
		ids[ref] = id
	}
	p := n.pod(s.b, "forged", s.public+"/"+granted)
	name := "sdp.vol." + p.id[strings.LastIndexByte(p.id, '.')+1:]
	record := s.record(s.b, name)
	whatever := []codes.Code{codes.OK, codes.PermissionDenied, codes.NotFound, codes.InvalidArgument, codes.FailedPrecondition, codes.Internal}
	tests := map[string]struct {
		change func(record, parent map[string]any)
		want   []codes.Code
	}{
		"as it was":                  {func(map[string]any, map[string]any) {}, []codes.Code{codes.OK}},
		"a golden not granted":       {func(_, parent map[string]any) { parent["golden"], parent["imageID"] = v10.Image(), ids[v10.Image()] }, []codes.Code{codes.PermissionDenied}},
		"its name, a granted one":    {func(_, parent map[string]any) { parent["golden"] = v10.Image() }, whatever},
		"its identity":               {func(_, parent map[string]any) { parent["imageID"] = ids[v10.Image()] }, []codes.Code{codes.PermissionDenied}},
		"another tenant's place":     {func(_, parent map[string]any) { parent["tenant"] = s.a }, []codes.Code{codes.PermissionDenied}},
		"the default namespace":      {func(_, parent map[string]any) { parent["tenant"] = "" }, []codes.Code{codes.PermissionDenied}},
		"another snapshot":           {func(_, parent map[string]any) { parent["snapshotID"] = 1 << 40 }, []codes.Code{codes.NotFound}},
		"a file system of no device": {func(record, _ map[string]any) { record["fsType"] = "proc" }, []codes.Code{codes.InvalidArgument}},
		"a longer path":              {func(_, parent map[string]any) { parent["golden"] = "../../" + v10.Image() }, whatever},
	}
	for what, tt := range tests {
		var forged map[string]any
		must(t, json.Unmarshal(record, &forged))
		tt.change(forged, forged["parent"].(map[string]any))
		s.forge(name, forged)
		n.tryForged(what, p, tt.want)
		honest := n.show(s.a, "honest", n.make(s.a, "honest"), true)
		must(t, honest.stage(t.Context()))
		must(t, honest.publish(t.Context(), s.a))
		wantModel(t, "A's function after "+what, honest, granted)
		honest.end()
	}
}

// TestForgedGoldenRecord has B write rights to all that A has into the record
// of its own golden, where sdpctl looks for what the golden's readers may read.
func TestForgedGoldenRecord(t *testing.T) {
	s := newScene(t)
	theirs := s.volume(s.a, "theirs", volume.GoldenRef{})
	own := s.seed(s.b, granted)
	name, pool := "sdp."+own.Image(), s.place(s.a).Pool()
	var forged map[string]any
	must(t, json.Unmarshal(s.record(s.b, name), &forged))
	honest := forged["imageID"].(string)
	for _, id := range []string{
		honest + ", allow rwx pool=" + pool + " namespace=" + s.a, honest + ",allow * pool=" + pool, "x pool=" + pool + " namespace=" + s.a + ", allow rwx", "", "../" + honest,
	} {
		forged["imageID"] = id
		s.forge(name, forged)
		s.sync()
		for user, key := range s.keysOf(s.b) {
			conn, err := s.connect(key)
			if err != nil {
				continue // the reader of a golden that is none any more
			}
			_, err = s.in(conn, s.a).Read("sdp."+theirs, make([]byte, 16), 0)
			conn.Shutdown()
			if !isRefusal(err) {
				t.Errorf("with the id %q, %s reads A's record: %v", id, user, err)
			}
		}
	}
}

// keysOf are all keys that a tenant has, by user.
func (s *scene) keysOf(name string) map[string]volume.Credentials {
	k := s.keys(name)
	all := map[string]volume.Credentials{k.Reader.User: k.Reader, k.Writer.User: *k.Writer}
	for _, c := range k.Goldens {
		all[c.User] = c
	}
	return all
}

// tryForged runs a function of B on a forged record. Where it is let through, it
// shows what B may see.
func (n *node) tryForged(what string, p *pod, want []codes.Code) {
	n.t.Helper()
	defer p.end()
	err := p.stage(n.t.Context())
	met := false
	for _, code := range want {
		met = met || codeOf(err) == code
	}
	if !met {
		n.t.Errorf("%s: %v, want one of %v", what, err, want)
	}
	if err == nil {
		must(n.t, p.publish(n.t.Context(), p.owner))
		wantModel(n.t, what, p, granted)
	}
}

// make makes A's volume, which stays where it is there.
func (n *node) make(owner, name string) string { return n.makeIn("rbd", owner, name) }

func (n *node) makeIn(backend, owner, name string) string {
	n.t.Helper()
	r := creation(owner, name, n.public+"/"+granted)
	r.Parameters["backend"] = backend
	resp, err := n.volumes.CreateVolume(n.t.Context(), r)
	must(n.t, err)
	return resp.GetVolume().GetVolumeId()
}

func wantModel(t *testing.T, what string, p *pod, ref string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.target, "model"))
	if err != nil || strings.Trim(string(text), ref+"\n") != "" || !strings.HasPrefix(string(text), ref+"\n") {
		t.Errorf("%s shows %.40q, %v; want the content of %s", what, text, err, ref)
	}
}

// record reads an object with a tenant's writer's key.
func (s *scene) record(owner, name string) []byte {
	s.t.Helper()
	data := make([]byte, 1<<16)
	n, err := s.in(s.session(*s.keys(owner).Writer), owner).Read(name, data, 0)
	must(s.t, err)
	return data[:n]
}

// forge writes a record of B with B's own writer.
func (s *scene) forge(name string, record map[string]any) {
	s.t.Helper()
	data, err := json.Marshal(record)
	must(s.t, err)
	must(s.t, s.in(s.session(*s.keys(s.b).Writer), s.b).WriteFull(name, data))
}
