package mount

import (
	"path/filepath"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// A volume that is to be published alone has one target; that one can be
// published again, and another one when it has gone.
func TestPublishAlone(t *testing.T) {
	w := newWorld(t)
	alone := func(name string) volume.Publication {
		p := publication(w.ext4, w.target(name), false)
		p.Alone = true
		return p
	}
	for range 2 {
		must(t, w.Publish(t.Context(), alone("a")))
	}
	wants(t, w.Publish(t.Context(), alone("b")), volume.ErrInUse)
	wants(t, exists(filepath.Dir(w.target("a"))), nil)
	if n := mountsOn(t, w.target("b")); n != 0 {
		t.Fatalf("%d mounts on the refused target", n)
	}
	// Another volume does not count.
	must(t, w.Publish(t.Context(), publication(w.golden, w.target("c"), true)))
	must(t, w.Unpublish(t.Context(), w.target("a")))
	must(t, w.Publish(t.Context(), alone("b")))
}
