package mount

import (
	"testing"
	"time"
)

// A change is told to who has begun to look before it, once.
func TestChanges(t *testing.T) {
	w := newWorld(t)
	c, err := w.Changes()
	must(t, err)
	defer c.Close()
	must(t, w.Publish(t.Context(), publication(w.golden, w.target("p"), true)))
	start := time.Now()
	must(t, c.Next(10*time.Minute))
	if took := time.Since(start); took >= 10*time.Minute {
		t.Error("a mount was not told")
	}
	must(t, c.Next(time.Millisecond)) // without a change it ends, too
	must(t, w.Unpublish(t.Context(), w.target("p")))
	must(t, c.Next(10*time.Minute))
}
