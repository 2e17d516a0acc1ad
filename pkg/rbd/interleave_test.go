package rbd_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// meeting is two requests that run at once, one whole between two steps of
// the other.
type meeting struct {
	prepare     func(w *world)
	outer       func(w *world) error
	inner       func(w *world) error
	mayNotExist bool // what one makes may need what the other removes
}

var meetings = map[string]meeting{
	"delete volume, delete its last snapshot": {
		prepare: func(w *world) { w.run(w.blank("v"), w.snapshot("s", "v")) },
		outer:   func(w *world) error { return w.delete("v") },
		inner:   func(w *world) error { return w.deleteSnapshot("s") },
	},
	"delete volume, delete its clone": {
		prepare: func(w *world) { w.run(w.blank("v"), w.from("c", "volume", "v")) },
		outer:   func(w *world) error { return w.delete("v") },
		inner:   func(w *world) error { return w.delete("c") },
	},
	"delete volume, copy it": {
		prepare:     func(w *world) { w.run(w.blank("v")) },
		outer:       func(w *world) error { return w.delete("v") },
		inner:       func(w *world) error { return w.from("c", "volume", "v") },
		mayNotExist: true,
	},
	"delete volume, take a snapshot": {
		prepare:     func(w *world) { w.run(w.blank("v")) },
		outer:       func(w *world) error { return w.delete("v") },
		inner:       func(w *world) error { return w.snapshot("s", "v") },
		mayNotExist: true,
	},
	"delete volume with a snapshot, copy it": {
		prepare:     func(w *world) { w.run(w.blank("v"), w.snapshot("s", "v")) },
		outer:       func(w *world) error { return w.delete("v") },
		inner:       func(w *world) error { return w.from("c", "volume", "v") },
		mayNotExist: true,
	},
	"delete volume, use its snapshot": {
		prepare: func(w *world) { w.run(w.blank("v"), w.snapshot("s", "v")) },
		outer:   func(w *world) error { return w.delete("v") },
		inner:   func(w *world) error { return w.from("c", "snapshot", "s") },
	},
	"delete snapshot of a deleted volume, use it": {
		prepare:     func(w *world) { w.run(w.blank("v"), w.snapshot("s", "v"), w.delete("v")) },
		outer:       func(w *world) error { return w.deleteSnapshot("s") },
		inner:       func(w *world) error { return w.from("c", "snapshot", "s") },
		mayNotExist: true,
	},
	"delete the two last clones of a deleted volume": {
		prepare: func(w *world) {
			w.run(w.blank("v"), w.from("c", "volume", "v"), w.from("d", "volume", "v"), w.delete("v"))
		},
		outer: func(w *world) error { return w.delete("c") },
		inner: func(w *world) error { return w.delete("d") },
	},
	"copy volume, make it again": {
		prepare: func(w *world) { w.run(w.blank("v")) },
		outer:   func(w *world) error { return w.from("c", "volume", "v") },
		inner: func(w *world) error {
			return errors.Join(w.delete("v"), w.blank("v"))
		},
		mayNotExist: true,
	},
	"take a snapshot, make the volume again": {
		prepare: func(w *world) { w.run(w.blank("v")) },
		outer:   func(w *world) error { return w.snapshot("s", "v") },
		inner: func(w *world) error {
			return errors.Join(w.delete("v"), w.blank("v"))
		},
		mayNotExist: true,
	},
	"sweep, delete": {
		prepare: func(w *world) { w.run(w.blank("v"), w.from("c", "volume", "v"), w.delete("v")) },
		outer:   func(w *world) error { return w.fresh().Sweep(w.t.Context(), w.at) },
		inner:   func(w *world) error { return w.delete("c") },
	},
}

// meet runs inner within outer, before its n-th effect.
func (m meeting) meet(w *world, n int, outer, inner func(w *world) error) (outerErr, innerErr error, met bool) {
	m.prepare(w)
	nested := false
	w.ceph.Reset(func(c fake.Call) fake.Fault {
		if c.N == n && !nested {
			nested, met = true, true
			innerErr = inner(w)
		}
		return fake.Fault{}
	})
	outerErr = outer(w)
	w.ceph.Reset(nil)
	return outerErr, innerErr, met
}

// TestMeetings lets every request of a pair run between any two steps of the
// other. Both succeed, but where one needs what the other removes; and when
// all is deleted nothing is left.
func TestMeetings(t *testing.T) {
	for name, m := range meetings {
		t.Run(name, func(t *testing.T) {
			m.all(t, m.outer, m.inner)
			m.all(t, m.inner, m.outer)
		})
	}
}

func (m meeting) all(t *testing.T, outer, inner func(w *world) error) {
	for n := 1; ; n++ {
		w := newWorld(t)
		outerErr, innerErr, met := m.meet(w, n, outer, inner)
		if !met {
			return
		}
		for _, err := range []error{outerErr, innerErr} {
			w.checkSentinel(err)
			if err != nil && !(m.mayNotExist && errors.Is(err, volume.ErrNotFound)) {
				t.Fatalf("met at effect %d: %v", n, err)
			}
		}
		w.volumes()
		w.emptied(fmt.Sprintf("met at effect %d", n))
	}
}

// TestCrashBetween lets the process end within a request of a pair, and the
// other request run before the first one is sent again.
func TestCrashBetween(t *testing.T) {
	for name, m := range meetings {
		t.Run(name, func(t *testing.T) {
			m.crash(t, m.outer, m.inner)
			m.crash(t, m.inner, m.outer)
		})
	}
}

func (m meeting) crash(t *testing.T, first, other func(w *world) error) {
	for n := 1; ; n++ {
		w := newWorld(t)
		m.prepare(w)
		w.ceph.Reset(fake.At(n, fake.Fault{When: fake.After, Crash: true}))
		if first(w) == nil {
			return
		}
		w.ceph.Restart()
		for _, err := range []error{other(w), first(w)} {
			w.checkSentinel(err)
			if err != nil && !(m.mayNotExist && errors.Is(err, volume.ErrNotFound)) {
				t.Fatalf("crash after effect %d: %v", n, err)
			}
		}
		w.volumes()
		w.emptied(fmt.Sprintf("crash after effect %d", n))
	}
}

// emptied deletes all that tests make, children last, and expects nothing.
func (w *world) emptied(what string) {
	w.t.Helper()
	for _, v := range []string{"v", "c", "d", "new"} {
		w.must(w.delete(v))
	}
	w.must(w.deleteSnapshot("s"))
	w.expect(what, nil)
}

// TestTwoControllers lets two controllers, of which one does not know as yet
// that it leads no more, work on one volume, one between any two steps of the
// other. Whatever succeeded is there, and nothing is left after a deletion.
// (A name that one deletes and the other makes again is not among this: a CO
// does not use a name again.)
func TestTwoControllers(t *testing.T) {
	for name, v := range verbs {
		if v.undo == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			m := meeting{prepare: func(w *world) {
				if v.prepare != nil {
					v.prepare(w)
				}
			}}
			m.twice(t, "make twice", v.do, v.do)
			m.twice(t, "make and remove", v.do, v.undo)
			m.twice(t, "remove twice", v.undo, v.undo)
		})
	}
}

func (m meeting) twice(t *testing.T, what string, outer, inner func(w *world) error) {
	for n := 1; ; n++ {
		w := newWorld(t)
		outerErr, innerErr, met := m.meet(w, n, outer, inner)
		if !met {
			return
		}
		if innerErr != nil {
			t.Fatalf("%s, met at effect %d: the later one's answer is %v", what, n, innerErr)
		}
		w.checkSentinel(outerErr)
		if removed := errors.Is(outerErr, volume.ErrNotFound) && what == "make and remove"; outerErr != nil && !isRetry(outerErr) && !removed {
			t.Fatalf("%s, met at effect %d: the answer is %v, not to try again", what, n, outerErr)
		}
		all := w.volumes()
		if _, ok := all["new"]; what == "make twice" && !ok && len(w.snapshots()) == 0 {
			t.Fatalf("%s, met at effect %d: both answered and nothing is there", what, n)
		}
		w.emptied(fmt.Sprintf("%s, met at effect %d", what, n))
	}
}

func isRetry(err error) bool {
	return errors.Is(err, volume.ErrUnavailable) || errors.Is(err, volume.ErrPending)
}

func (w *world) snapshots() []volume.Snapshot {
	all, _, err := w.fresh().ListSnapshots(w.t.Context(), w.at, "", 100)
	w.must(err)
	return all
}

// TestCrowd lets many requests for a few names run at once; each name has one
// request at a time, as the driver sees to. At the end all is deleted and
// nothing is left.
func TestCrowd(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t)
			w.ceph.Reset(func(fake.Call) fake.Fault {
				runtime.Gosched()
				return fake.Fault{}
			})
			var group sync.WaitGroup
			for i, name := range []string{"v", "c", "d", "new", "s"} {
				group.Go(func() { w.wander(rand.New(rand.NewPCG(seed, uint64(i))), name) })
			}
			group.Wait()
			w.emptied("a crowd")
		})
	}
}

// wander makes and deletes the name again and again, from whatever is there.
func (w *world) wander(r *rand.Rand, name string) {
	others := []string{"v", "c", "d", "new"}
	for range 40 {
		err := w.anything(r, name, others[r.IntN(len(others))])
		if err != nil && !errors.Is(err, volume.ErrNotFound) {
			w.t.Errorf("%s: %v", name, err)
		}
	}
}

func (w *world) anything(r *rand.Rand, name, other string) error {
	switch r.IntN(5) {
	case 0:
		if name == "s" {
			return w.snapshot("s", other)
		}
		return w.blank(name)
	case 1, 2:
		if name == "s" {
			return w.deleteSnapshot("s")
		}
		return w.delete(name)
	case 3:
		if name == "s" || other == name {
			return nil
		}
		return w.from(name, "volume", other)
	}
	if name == "s" {
		return w.snapshot("s", other)
	}
	return w.from(name, "snapshot", "s")
}
