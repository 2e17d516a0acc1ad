package volume_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

const hash = "0123456789abcdef0123456789abcdef"

func TestParseID(t *testing.T) {
	tests := map[string]struct {
		text string
		err  error
	}{
		"rbd":                      {text: "sdp1.rbd.main.acme." + hash},
		"cephfs":                   {text: "sdp1.cephfs.main.acme." + hash},
		"longest":                  {text: "sdp1.cephfs." + strings.Repeat("c", 16) + "." + strings.Repeat("t", 32) + "." + hash},
		"empty":                    {text: "", err: volume.ErrInvalid},
		"a name":                   {text: "fake-vol-id-1", err: volume.ErrNotFound},
		"a snapshot":               {text: "sdp1s.rbd.main.acme." + hash, err: volume.ErrNotFound},
		"another version":          {text: "sdp2.rbd.main.acme." + hash, err: volume.ErrNotFound},
		"unknown backend":          {text: "sdp1.nfs.main.acme." + hash, err: volume.ErrNotFound},
		"no cluster":               {text: "sdp1.rbd..acme." + hash, err: volume.ErrNotFound},
		"no tenant":                {text: "sdp1.rbd.main.." + hash, err: volume.ErrNotFound},
		"cluster too long":         {text: "sdp1.rbd." + strings.Repeat("c", 17) + ".acme." + hash, err: volume.ErrNotFound},
		"tenant too long":          {text: "sdp1.rbd.main." + strings.Repeat("t", 33) + "." + hash, err: volume.ErrNotFound},
		"hash too short":           {text: "sdp1.rbd.main.acme." + hash[1:], err: volume.ErrNotFound},
		"hash too long":            {text: "sdp1.rbd.main.acme." + hash + "0", err: volume.ErrNotFound},
		"hash in capitals":         {text: "sdp1.rbd.main.acme." + strings.ToUpper(hash), err: volume.ErrNotFound},
		"a part too many":          {text: "sdp1.rbd.main.acme." + hash + ".", err: volume.ErrNotFound},
		"a part too few":           {text: "sdp1.rbd.main." + hash, err: volume.ErrNotFound},
		"slash in the tenant":      {text: "sdp1.rbd.main.a/b." + hash, err: volume.ErrNotFound},
		"at in the tenant":         {text: "sdp1.rbd.main.a@b." + hash, err: volume.ErrNotFound},
		"dots for a tenant":        {text: "sdp1.rbd.main....." + hash, err: volume.ErrNotFound},
		"NUL in the tenant":        {text: "sdp1.rbd.main.a\x00b." + hash, err: volume.ErrNotFound},
		"other letters":            {text: "sdp1.rbd.main.τέναντ." + hash, err: volume.ErrNotFound},
		"digits of other scripts":  {text: "sdp1.rbd.main.acme." + strings.Repeat("٣", 16), err: volume.ErrNotFound},
		"hyphen first":             {text: "sdp1.rbd.main.-acme." + hash, err: volume.ErrNotFound},
		"hyphen last":              {text: "sdp1.rbd.main.acme-." + hash, err: volume.ErrNotFound},
		"space around":             {text: " sdp1.rbd.main.acme." + hash, err: volume.ErrNotFound},
		"path":                     {text: "../../etc/passwd", err: volume.ErrNotFound},
		"a million dots":           {text: strings.Repeat(".", 1_000_000), err: volume.ErrNotFound},
		"longer than CSI's limits": {text: "sdp1.rbd.main.acme." + strings.Repeat("a", 110), err: volume.ErrNotFound},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			id, err := volume.ParseID(tc.text)
			if !errors.Is(err, tc.err) {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			if err != nil {
				if len(err.Error()) > 400 {
					t.Errorf("the message has %d bytes", len(err.Error()))
				}
				return
			}
			if id.String() != tc.text {
				t.Errorf("%q became %q", tc.text, id)
			}
		})
	}
}

func TestParseSnapshotID(t *testing.T) {
	want := volume.NewSnapshotID(volume.RBD, "main", "acme", "nightly")
	got, err := volume.ParseSnapshotID(want.String())
	if err != nil || got != want {
		t.Errorf("ParseSnapshotID(%q) = %v, %v", want, got, err)
	}
	if _, err := volume.ParseSnapshotID(volume.ID(want).String()); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("a volume's ID gives %v, want ErrNotFound", err)
	}
	if _, err := volume.ParseSnapshotID(""); !errors.Is(err, volume.ErrInvalid) {
		t.Errorf("an empty ID gives %v, want ErrInvalid", err)
	}
}

// An ID is stored by the CO, so the same request must give it for ever.
func TestNewIDIsStable(t *testing.T) {
	const want = "sdp1.rbd.main.acme.f2868e1aa7cab669517cd9f5ab1b7957"
	if got := volume.NewID(volume.RBD, "main", "acme", "pvc-1").String(); got != want {
		t.Errorf("NewID gives %q, want %q", got, want)
	}
}

func FuzzParseID(f *testing.F) {
	for _, seed := range []string{
		"", "sdp1.rbd.main.acme." + hash, "sdp1s.rbd.main.acme." + hash, "sdp1.rbd.main.a/b." + hash,
		"sdp1.rbd.main.a@b." + hash, "sdp1.rbd.main.a\x00." + hash, "sdp1.rbd...." + hash, "sdp1.rbd.ü.ж." + hash,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := volume.ParseID(s)
		if err == nil && (id.String() != s || len(s) > volume.MaxID || strings.ContainsAny(s, "/@\x00 ")) {
			t.Errorf("%q was read as %q", s, id)
		}
		if err != nil && !errors.Is(err, volume.ErrInvalid) && !errors.Is(err, volume.ErrNotFound) {
			t.Errorf("%q: %v wraps no sentinel", s, err)
		}
		snap, serr := volume.ParseSnapshotID(s)
		if serr == nil && (snap.String() != s || err == nil) {
			t.Errorf("%q was read as %q and as %q", s, snap, id)
		}
	})
}
