package record

import (
	"errors"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func TestDecode(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		ok   bool
		want error
	}{
		"ours":              {`{"v":1,"state":"ready","attempt":"A","name":"pvc-1","capacity":5,"created":"2026-01-01T00:00:00Z"}`, true, nil},
		"more than we know": {`{"v":1,"state":"ready","colour":"blue","created":"2026-01-01T00:00:00Z"}`, true, nil},
		"newer":             {`{"v":2,"state":"ready"}`, false, volume.ErrUnsupported},
		"no version":        {`{"state":"ready"}`, false, volume.ErrUnsupported},
		"cut":               {`{"v":1,"state":"rea`, false, nil},
		"of another kind":   {`{"v":1,"capacity":"much"}`, false, nil},
		"empty":             {``, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var rec Volume
			err := Decode("vol.x", []byte(c.data), &rec)
			if (err == nil) != c.ok || (c.want != nil && !errors.Is(err, c.want)) {
				t.Fatalf("got %v", err)
			}
			if c.ok && rec.State != Ready {
				t.Fatalf("read %+v", rec)
			}
		})
	}
}

func TestSource(t *testing.T) {
	id := volume.NewID(volume.RBD, "test", "acme", "pvc-1")
	for name, s := range map[string]volume.Source{
		"nothing":  {},
		"golden":   {Golden: volume.GoldenRef{Tenant: "public", Name: "resnet50", Version: "v1"}},
		"volume":   {Volume: id},
		"snapshot": {Snapshot: volume.SnapshotID(id)},
	} {
		if got, err := NewSource(s).Parse(); err != nil || got != s {
			t.Errorf("%s: %v became %v, %v", name, s, got, err)
		}
	}
	if _, err := (Source{Golden: "NOT one"}).Parse(); err == nil {
		t.Error("a damaged source was read")
	}
}

// TestLayout keeps records readable that earlier versions wrote.
func TestLayout(t *testing.T) {
	old := `{"v":1,"state":"ready","attempt":"A","name":"pvc-1","capacity":5,"readOnly":true,"fsType":"erofs","share":"clone","prefetch":"all",` +
		`"source":{"golden":"public/m:v1"},"parent":{"tenant":"public"},"imageID":"7f","created":"2026-01-02T03:04:05Z"}`
	var rec Volume
	if err := Decode("vol.x", []byte(old), &rec); err != nil {
		t.Fatal(err)
	}
	data, err := Encode(&rec)
	want := `{"v":1,"state":"ready","attempt":"A","name":"pvc-1","capacity":5,"readOnly":true,"share":"clone","prefetch":"all","source":{"golden":"public/m:v1"},"created":"2026-01-02T03:04:05Z"}`
	if err != nil || string(data) != want {
		t.Fatalf("%s, %v", data, err)
	}
}
