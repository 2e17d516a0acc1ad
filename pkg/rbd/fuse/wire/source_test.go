package wire

import (
	"errors"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func sealed() rbd.Mapping {
	return rbd.Mapping{
		Pool: "rbd", Namespace: "acme", Image: "golden.m.v1", Snapshot: "sealed", ReadOnly: true,
		Identity: rbd.Identity{FSID: "5d0f", PoolID: 5, ImageID: "10cc17", SnapshotID: 4},
	}
}

func TestSource(t *testing.T) {
	odd := sealed()
	odd.Pool, odd.Namespace, odd.Image = "a b/c", "", "ü%:@\\\n#"
	head := sealed()
	head.Snapshot, head.SnapshotID, head.ReadOnly = "", 0, false
	for name, m := range map[string]rbd.Mapping{"sealed": sealed(), "odd": odd, "head": head} {
		t.Run(name, func(t *testing.T) {
			source, err := Source(m)
			if err != nil || strings.ContainsAny(source, " \t\n\\#") {
				t.Fatalf("%q, %v", source, err)
			}
			m.Monitors = nil
			if back, ours := ParseSource(source); !ours || !same(back, m) {
				t.Fatalf("%q became %+v", source, back)
			}
		})
	}
}

func same(a, b rbd.Mapping) bool {
	return a.Identity == b.Identity && a.Pool == b.Pool && a.Namespace == b.Namespace &&
		a.Image == b.Image && a.Snapshot == b.Snapshot && a.ReadOnly == b.ReadOnly
}

func TestSourceTooLong(t *testing.T) {
	m := sealed()
	m.Image = strings.Repeat("ü", 1000)
	if _, err := Source(m); !errors.Is(err, volume.ErrInvalid) {
		t.Fatal(err)
	}
}

func TestSourceOfOthers(t *testing.T) {
	for _, source := range []string{"", "tmpfs", "sdp:", "sdp:a/b", "sdp:f/x/p/n/i/id/s/4/ro", "sdp:f/5/p/n/i/id/s/x/ro", "sdp:f/5/p/n/i/id/s/4/xx", "sdp:%zz/5/p/n/i/id/s/4/ro"} {
		if m, ours := ParseSource(source); ours {
			t.Errorf("%q is %+v", source, m)
		}
	}
}

func FuzzParseSource(f *testing.F) {
	seed, _ := Source(sealed())
	f.Add(seed)
	f.Add("sdp:f/5/p/n/i/id/s/4/rw")
	f.Fuzz(func(t *testing.T, source string) {
		m, ours := ParseSource(source)
		if !ours {
			return
		}
		again, err := Source(m)
		if err != nil {
			return
		}
		if back, ours := ParseSource(again); !ours || !same(back, m) {
			t.Fatalf("%q became %q", source, again)
		}
	})
}
