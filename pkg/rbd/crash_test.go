package rbd_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// verb is one request in a world that was prepared for it, and the request
// that takes its effect back, where there is one.
type verb struct {
	prepare func(w *world)
	do      func(w *world) error
	undo    func(w *world) error
}

func deleteNew(w *world) error { return w.delete("new") }

// verbs are the requests that change something, in each of the situations
// that make them go another way.
var verbs = map[string]verb{
	"create blank": {
		do: func(w *world) error { return w.blank("new") }, undo: deleteNew,
	},
	"create from golden, read-only": {
		do:   func(w *world) error { return w.create(w.spec("new", "golden", "resnet50", 2048, true)) },
		undo: deleteNew,
	},
	"create from golden, writable and larger": {
		do:   func(w *world) error { return w.create(w.spec("new", "golden", "squad", 128, false)) },
		undo: deleteNew,
	},
	"create from snapshot": {
		prepare: func(w *world) { w.run(w.blank("v"), w.snapshot("s", "v")) },
		do:      func(w *world) error { return w.from("new", "snapshot", "s") }, undo: deleteNew,
	},
	"create from snapshot of a deleted volume": {
		prepare: func(w *world) { w.run(w.blank("v"), w.snapshot("s", "v"), w.delete("v")) },
		do:      func(w *world) error { return w.from("new", "snapshot", "s") }, undo: deleteNew,
	},
	"create from volume": {
		prepare: func(w *world) { w.run(w.blank("v")) },
		do:      func(w *world) error { return w.from("new", "volume", "v") }, undo: deleteNew,
	},
	"create from volume, larger": {
		prepare: func(w *world) { w.run(w.blank("v")) },
		do:      func(w *world) error { return w.create(w.spec("new", "volume", "v", 64, false)) }, undo: deleteNew,
	},
	"create from read-only volume": {
		prepare: func(w *world) { w.run(w.create(w.spec("v", "golden", "resnet50", 0, true))) },
		do:      func(w *world) error { return w.create(w.spec("new", "volume", "v", 0, true)) }, undo: deleteNew,
	},
	"delete": {
		prepare: func(w *world) { w.run(w.blank("v")) },
		do:      func(w *world) error { return w.delete("v") },
	},
	"delete a golden's clone": {
		prepare: func(w *world) { w.run(w.from("v", "golden", "squad")) },
		do:      func(w *world) error { return w.delete("v") },
	},
	"delete with a snapshot": {
		prepare: func(w *world) { w.run(w.blank("v"), w.snapshot("s", "v")) },
		do:      func(w *world) error { return w.delete("v") },
	},
	"delete with a clone": {
		prepare: func(w *world) { w.run(w.blank("v"), w.from("c", "volume", "v")) },
		do:      func(w *world) error { return w.delete("v") },
	},
	"delete with a deleted snapshot's clone": {
		prepare: func(w *world) {
			w.run(w.blank("v"), w.snapshot("s", "v"), w.from("c", "snapshot", "s"), w.deleteSnapshot("s"))
		},
		do: func(w *world) error { return w.delete("v") },
	},
	"delete the last clone of a deleted volume": {
		prepare: func(w *world) { w.run(w.blank("v"), w.from("c", "volume", "v"), w.delete("v")) },
		do:      func(w *world) error { return w.delete("c") },
	},
	"delete the last of a chain of deleted volumes": {
		prepare: func(w *world) {
			w.run(w.blank("v"), w.from("c", "volume", "v"), w.from("d", "volume", "c"), w.delete("v"), w.delete("c"))
		},
		do: func(w *world) error { return w.delete("d") },
	},
	"delete what is not there": {
		do: func(w *world) error { return w.delete("v") },
	},
	"delete an image without a record": {
		prepare: func(w *world) { w.run(w.ceph.CreateImage(w.t.Context(), w.at, "vol."+w.id("v").Hash, mib)) },
		do:      func(w *world) error { return w.delete("v") },
	},
	"delete a share without a record": {
		prepare: func(w *world) { w.run(w.ceph.Reserve(w.t.Context(), w.at, "vol."+w.id("v").Hash, mib)) },
		do:      func(w *world) error { return w.delete("v") },
	},
	"delete a snapshot that is not there": {
		do: func(w *world) error { return w.deleteSnapshot("s") },
	},
	"take a snapshot": {
		prepare: func(w *world) { w.run(w.blank("v")) },
		do:      func(w *world) error { return w.snapshot("s", "v") },
		undo:    func(w *world) error { return w.deleteSnapshot("s") },
	},
	"delete a snapshot": {
		prepare: func(w *world) { w.run(w.blank("v"), w.snapshot("s", "v")) },
		do:      func(w *world) error { return w.deleteSnapshot("s") },
	},
	"delete a snapshot with a clone": {
		prepare: func(w *world) { w.run(w.blank("v"), w.snapshot("s", "v"), w.from("c", "snapshot", "s")) },
		do:      func(w *world) error { return w.deleteSnapshot("s") },
	},
	"delete the last snapshot of a deleted volume": {
		prepare: func(w *world) { w.run(w.blank("v"), w.snapshot("s", "v"), w.delete("v")) },
		do:      func(w *world) error { return w.deleteSnapshot("s") },
	},
	"expand": {
		prepare: func(w *world) { w.run(w.blank("v")) },
		do:      func(w *world) error { return w.expand("v", 100) },
	},
}

// prepared is a world in which the verb can be called.
func (v verb) prepared(t *testing.T) *world {
	w := newWorld(t)
	if v.prepare != nil {
		v.prepare(w)
	}
	return w
}

// breakdowns are the ways in which Ceph or the process fails.
var breakdowns = map[string]fake.Fault{
	"before":       {When: fake.Before},
	"after":        {When: fake.After},
	"late":         {When: fake.Late},
	"crash before": {When: fake.Before, Crash: true},
	"crash after":  {When: fake.After, Crash: true},
}

// each calls check once for every effect of the verb that can fail, in a
// world where it did, and where Ceph and the driver work again.
func (v verb) each(t *testing.T, f fake.Fault, check func(w *world, at string)) {
	for n := 1; ; n++ {
		w := v.prepared(t)
		w.ceph.Reset(fake.At(n, f))
		err := v.do(w)
		trace := w.ceph.Trace()
		if len(trace) < n {
			w.must(err)
			return
		}
		at := fmt.Sprintf("effect %d, %s", n, trace[n-1])
		if !errors.Is(err, volume.ErrUnavailable) {
			t.Fatalf("%s: the answer is %v, not to try again", at, err)
		}
		w.checkSentinel(err)
		w.ceph.Restart()
		w.ceph.Settle()
		check(w, at)
	}
}

// TestRetry breaks every effect of every verb: the same request to a fresh
// driver ends where it ends without a fault.
func TestRetry(t *testing.T) {
	for name, v := range verbs {
		whole := v.prepared(t)
		whole.must(v.do(whole))
		want := whole.contents()
		for kind, fault := range breakdowns {
			t.Run(name+"/"+kind, func(t *testing.T) {
				v.each(t, fault, func(w *world, at string) {
					if err := v.do(w); err != nil {
						t.Fatalf("%s: retry: %v", at, err)
					}
					w.expect(at, want)
					w.volumes()
				})
			})
		}
	}
}

// TestGiveUp breaks every effect of every verb that makes something, and then
// takes it back: nothing is left.
func TestGiveUp(t *testing.T) {
	for name, v := range verbs {
		if v.undo == nil {
			continue
		}
		want := v.prepared(t).contents()
		for kind, fault := range breakdowns {
			t.Run(name+"/"+kind, func(t *testing.T) {
				v.each(t, fault, func(w *world, at string) {
					if err := v.undo(w); err != nil {
						t.Fatalf("%s: undo: %v", at, err)
					}
					w.expect(at, want)
				})
			})
		}
	}
}

// TestRefusal lets Ceph refuse every effect of every verb that makes
// something: the refusal is the answer, and nothing is left at once.
func TestRefusal(t *testing.T) {
	for name, v := range verbs {
		if v.undo == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			want := v.prepared(t).contents()
			for n := 1; ; n++ {
				w := v.prepared(t)
				w.ceph.Reset(fake.At(n, fake.Fault{When: fake.Before, Err: volume.ErrNoSpace}))
				err := v.do(w)
				if len(w.ceph.Trace()) < n {
					return
				}
				if !errors.Is(err, volume.ErrNoSpace) || errors.Is(err, volume.ErrUnavailable) {
					t.Fatalf("effect %d: the answer is %v", n, err)
				}
				w.expect(fmt.Sprintf("effect %d", n), want)
			}
		})
	}
}

// TestCleanupFails lets Ceph refuse an effect and break a later one, of the
// cleanup: the answer is to try again, and the next call has all it needs.
func TestCleanupFails(t *testing.T) {
	for name, v := range verbs {
		if v.undo == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			want := v.prepared(t).contents()
			for n := 1; v.cleanupFails(t, n, want); n++ {
			}
		})
	}
}

// cleanupFails refuses the n-th effect and breaks each later one.
func (v verb) cleanupFails(t *testing.T, n int, want []string) bool {
	for m := n + 1; ; m++ {
		w := v.prepared(t)
		w.ceph.Reset(func(c fake.Call) fake.Fault {
			switch c.N {
			case n:
				return fake.Fault{When: fake.Before, Err: volume.ErrDenied}
			case m:
				return fake.Fault{When: fake.Before, Err: volume.ErrInvalid}
			}
			return fake.Fault{}
		})
		err := v.do(w)
		calls := len(w.ceph.Trace())
		if calls < m {
			return calls >= n
		}
		if !errors.Is(err, volume.ErrUnavailable) {
			t.Fatalf("effects %d and %d: the answer is %v, not to try again", n, m, err)
		}
		w.ceph.Reset(nil)
		w.must(v.undo(w))
		w.expect(fmt.Sprintf("effects %d and %d", n, m), want)
	}
}

// TestLateAfterDelete lets a change take effect after the volume was given
// up: whoever asks once more finds and removes it.
func TestLateAfterDelete(t *testing.T) {
	for _, name := range []string{"create blank", "create from golden, read-only", "create from snapshot"} {
		t.Run(name, func(t *testing.T) {
			v := verbs[name]
			want := v.prepared(t).contents()
			for n := 1; ; n++ {
				w := v.prepared(t)
				w.ceph.Reset(fake.At(n, fake.Fault{When: fake.Late}))
				if err := v.do(w); err == nil {
					return
				}
				w.must(v.undo(w))
				w.ceph.Settle()
				w.must(v.do(w))
				w.must(v.undo(w))
				w.ceph.Settle()
				w.must(v.undo(w))
				w.expect(fmt.Sprintf("effect %d", n), want)
			}
		})
	}
}

// TestSweep finishes what crashes left of deletions, at a controller's start,
// and touches nothing else.
func TestSweep(t *testing.T) {
	v := verbs["delete the last of a chain of deleted volumes"]
	v.each(t, fake.Fault{When: fake.After, Crash: true}, func(w *world, at string) {
		w.must(w.fresh().Sweep(t.Context(), w.at))
		w.must(v.do(w))
		w.expect(at, nil)
	})
	w := v.prepared(t)
	before := w.contents()
	w.must(w.fresh().Sweep(t.Context(), w.at))
	w.expect("a sweep with nothing to do", before)
}

// TestSweepAlone sweeps what nobody asks to delete any more.
func TestSweepAlone(t *testing.T) {
	v := verbs["delete the last of a chain of deleted volumes"]
	v.each(t, fake.Fault{When: fake.After, Crash: true}, func(w *world, at string) {
		if slices.ContainsFunc(w.contents(), func(line string) bool { return line == "record vol."+w.id("d").Hash }) {
			return // its deletion will be asked for
		}
		w.must(w.fresh().Sweep(t.Context(), w.at))
		w.must(w.delete("d"))
		w.expect(at, nil)
	})
}
