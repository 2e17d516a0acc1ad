package volume_test

import (
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// What the mount table tells of an inline volume is the volume's whatever the
// tenant, and counts for the tenant that it tells.
func TestInlineShown(t *testing.T) {
	in := volume.Inline{Handle: "csi-1", Tenant: "acme", Golden: volume.GoldenRef{Tenant: "public", Name: "m", Version: "v1"}}
	if s := in.String(); s != "inline:csi-1:public/m:v1@acme" {
		t.Errorf("the mount table tells %q", s)
	}
	for s, want := range map[string]struct {
		shown bool
		of    string // the handle
	}{
		"inline:csi-1:public/m:v1@acme":  {true, "csi-1"},
		"inline:csi-1:public/m:v1@acme2": {true, ""},
		"inline:csi-1:public/m:v1":       {true, ""}, // an older driver's
		"inline:csi-1:public/m:v2@acme":  {false, "csi-1"},
		"inline:csi-2:acme/m:v1@acme":    {false, "csi-2"},
		"inline:csi-2:acme/m:v1":         {false, ""},
		"sdp1.rbd.main.acme.0":           {false, ""},
		"":                               {false, ""},
	} {
		handle, ok := volume.InlineOf("acme", s)
		if shown := in.IsShown(s); shown != want.shown || handle != want.of && ok || ok != (want.of != "") {
			t.Errorf("%q: shown %t, handle %q, %t", s, shown, handle, ok)
		}
	}
}
