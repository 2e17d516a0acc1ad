package tenant

import (
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func TestUserNames(t *testing.T) {
	tests := map[string]User{
		"sdp.acme.ro.1":                      {Tenant: "acme", Role: Reader, Generation: 1},
		"sdp.golden.rw.12":                   {Tenant: "golden", Role: Writer, Generation: 12},
		"sdp.golden.public.resnet50.v1.3":    {Tenant: "public", Golden: volume.GoldenRef{Name: "resnet50", Version: "v1"}, Generation: 3},
		"sdp.golden.public.resnet50.1.2.3.4": {Tenant: "public", Golden: volume.GoldenRef{Name: "resnet50", Version: "1.2.3"}, Generation: 4},
		"sdp.golden.ro.rw.ro.1":              {Tenant: "ro", Golden: volume.GoldenRef{Name: "rw", Version: "ro"}, Generation: 1},
	}
	const hash, attempt = "0123456789abcdef0123456789abcdef", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	tests["sdpfs.acme.vol."+hash+"."+attempt+".2"] = User{Tenant: "acme", Volume: "vol." + hash + "." + attempt, Generation: 2}
	for text, want := range tests {
		if got, ok := ParseUser(text); !ok || got != want || want.String() != text {
			t.Errorf("ParseUser(%q) = %+v, %t; want %+v, which is %s", text, got, ok, want, want)
		}
	}
	others := []string{
		"", "admin", "sdp", "sdp.", "sdp.acme", "sdp.acme.ro", "sdp.acme.ro.", "sdp.acme.ro.0", "sdp.acme.ro.-1", "sdp.acme.ro.01", "sdp.acme.ro.+1",
		"sdp.acme.rx.1", "sdp.Acme.ro.1", "sdp..ro.1", "sdp.acme.x.ro.1", "sdp.golden.public.resnet50.1", "sdp.golden.public.1", "client.sdp.acme.ro.1",
		"sdp.acme.ro.99999999999999999999", "sdp.other.public.resnet50.v1.3",
		"sdpfs.acme.1", "sdpfs.acme.golden.m.v1.1", "sdpfs.acme.vol.x/y.1", "sdpfs.Acme.vol.x.1", "sdpfs..vol.x.1", "sdpfs.acme.vol.x.01", "sdpfs.acme.vol.x",
	}
	for _, text := range others {
		if got, ok := ParseUser(text); ok {
			t.Errorf("ParseUser(%q) = %+v, want none", text, got)
		}
	}
}

// FuzzParseUser checks that no two names are one user.
func FuzzParseUser(f *testing.F) {
	f.Add("sdp.acme.ro.1")
	f.Add("sdp.golden.public.resnet50.1.2.3.4")
	f.Add("sdpfs.acme.vol.0123.ABC.2")
	f.Fuzz(func(t *testing.T, s string) {
		if u, ok := ParseUser(s); ok && u.String() != s {
			t.Fatalf("ParseUser(%q) is %s", s, u)
		}
	})
}
