package driver

import (
	"errors"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/proto"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// seeds are requests on the wire, from which the fuzzer makes others.
func seeds(f *testing.F) {
	f.Helper()
	use := &csi.VolumeCapability{
		AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{FsType: "ext4", MountFlags: []string{"noatime"}}},
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY},
	}
	id := "sdp1.rbd.main.acme.0123456789abcdef0123456789abcdef"
	for _, m := range []proto.Message{
		&csi.CreateVolumeRequest{},
		&csi.CreateVolumeRequest{Name: "a/b@c..\u00e4", VolumeCapabilities: []*csi.VolumeCapability{use, use}, Parameters: map[string]string{
			"golden": "public/resnet50:v1", paramNamespace: "acme", "share": "clone", "backend": "rbd", "cluster": "main",
		}, CapacityRange: &csi.CapacityRange{RequiredBytes: 1, LimitBytes: 1 << 40}},
		&csi.CreateVolumeRequest{Name: "a", VolumeCapabilities: []*csi.VolumeCapability{use}, VolumeContentSource: &csi.VolumeContentSource{
			Type: &csi.VolumeContentSource_Volume{Volume: &csi.VolumeContentSource_VolumeSource{VolumeId: id}},
		}},
		&csi.NodeStageVolumeRequest{VolumeId: id, StagingTargetPath: "/a/../b", VolumeCapability: use, Secrets: map[string]string{tenant.FieldReaderUser: "acme", tenant.FieldReaderKey: "a2V5"}},
		&csi.NodePublishVolumeRequest{VolumeId: id, StagingTargetPath: "/s", TargetPath: "/t", VolumeCapability: use, Readonly: true},
	} {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
}

// read decodes a request as gRPC does.
func read[T proto.Message](data []byte, into T) (T, bool) {
	return into, proto.Unmarshal(data, into) == nil
}

func wrapsSentinel(err error) bool {
	return errors.Is(err, volume.ErrInvalid) || errors.Is(err, volume.ErrNotFound) || errors.Is(err, volume.ErrOutOfRange) || errors.Is(err, volume.ErrPrecondition)
}

func FuzzParseCreation(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		req, ok := read(data, &csi.CreateVolumeRequest{})
		if !ok {
			return
		}
		c, err := parseCreation(req)
		if err != nil {
			if !wrapsSentinel(err) || len(err.Error()) > 2000 {
				t.Errorf("%d bytes: %.2000v", len(err.Error()), err)
			}
			return
		}
		s := c.spec
		if s.Name == "" || len(s.Name) > maxField || s.Size.Check() != nil || (s.ReadOnly && s.Source.IsZero()) || (s.Block && s.FsType != "") {
			t.Errorf("accepted %+v", c)
		}
	})
}

func FuzzParseNode(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if req, ok := read(data, &csi.NodeStageVolumeRequest{}); ok {
			st, err := parseStage(req)
			checkParsed(t, err, st.ID, st.Path)
			if err == nil && strings.ContainsAny(st.Credentials.User, ", =\n") {
				t.Errorf("accepted user %q", st.Credentials.User)
			}
			if key := req.GetSecrets()[tenant.FieldReaderKey]; err != nil && len(key) > 12 && strings.Contains(err.Error(), key) {
				t.Errorf("the message has the key: %v", err)
			}
		}
		if req, ok := read(data, &csi.NodePublishVolumeRequest{}); ok {
			p, err := parsePublication(req)
			checkParsed(t, err, p.ID, p.Target, p.Staging)
		}
	})
}

func checkParsed(t *testing.T, err error, id volume.ID, paths ...string) {
	t.Helper()
	if err != nil {
		if !wrapsSentinel(err) || len(err.Error()) > 2000 {
			t.Errorf("%d bytes: %.2000v", len(err.Error()), err)
		}
		return
	}
	for _, p := range paths {
		if !strings.HasPrefix(p, "/") || p == "/" || strings.Contains(p+"/", "/../") || strings.ContainsRune(p, 0) {
			t.Errorf("volume %s: accepted path %q", id, p)
		}
	}
}

func FuzzToken(f *testing.F) {
	for _, seed := range []string{"", "invalid-token", "sdp1.rbd.main.acme." + firstHash, "sdp1s.rbd.main.acme." + firstHash, "\x00", "sdp1.rbd...."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		l := listing[volume.Volume]{controller: emptyController(t), parse: volume.ParseID, token: volume.ID.String}
		stops, err := l.from(t.Context(), token)
		if err != nil {
			if !errors.Is(err, volume.ErrBadToken) {
				t.Errorf("%q: %v", token, err)
			}
			return
		}
		if token != "" && l.tokenOf(stops[0]) != token {
			t.Errorf("%q was read as %q", token, l.tokenOf(stops[0]))
		}
	})
}

// emptyController serves RBD for one tenant, and has nothing behind it.
func emptyController(t *testing.T) *Controller {
	t.Helper()
	policy, err := tenant.Parse([]byte(`{clusters: [{id: main, monitors: ["192.0.2.1:3300"], pool: rbd}], tenants: [{name: acme, namespaces: [acme]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return NewController(ControllerOptions{Policy: func() *tenant.Policy { return policy }, Backends: map[volume.Backend]Backend{volume.RBD: nil}})
}
