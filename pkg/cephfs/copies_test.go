package cephfs_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// slowCopies holds every copy until the returned function is called.
func (w *world) slowCopies() (let func()) {
	gate := make(chan struct{})
	w.files.Reset(func(c fake.Call) fake.Fault {
		if c.Port == "Copy" {
			<-gate
		}
		return fake.Fault{}
	})
	return func() { close(gate) }
}

// TestCopyOutlivesItsRequest lets a copy take longer than a Create waits.
func TestCopyOutlivesItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		let := w.slowCopies()
		p := cephfs.NewProvisioner(w.files, w, cephfs.Options{Copies: 1})
		defer p.Close()
		create := func(name string) error {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			_, err := p.Create(ctx, w.at, w.public, w.id(name), volume.Spec{Name: name, Source: w.fromGolden()})
			if ctx.Err() != nil {
				t.Errorf("create %s answers after its caller's time: %v", name, err)
			}
			return err
		}
		for range 2 {
			if err := create("a"); !errors.Is(err, volume.ErrPending) {
				t.Fatalf("while it is copied: %v", err)
			}
		}
		if err := create("b"); !errors.Is(err, volume.ErrPending) {
			t.Fatalf("one copy more than the tenant may: %v", err)
		}
		let()
		synctest.Wait()
		for _, name := range []string{"a", "b"} {
			if err := create(name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// TestCopyAnswersInTime lets a call that has less time than the others answer
// before its caller gives up, whose deadline is not the context's.
func TestCopyAnswersInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		let := w.slowCopies()
		p := cephfs.NewProvisioner(w.files, w, cephfs.Options{})
		defer p.Close()
		begun := time.Now()
		spec := volume.Spec{Name: "new", Source: w.fromGolden(), AnswerBy: begun.Add(15 * time.Second)}
		_, err := p.Create(t.Context(), w.at, w.public, w.id("new"), spec)
		if took := time.Since(begun); !errors.Is(err, volume.ErrPending) || took != 13*time.Second {
			t.Errorf("answered %v after %s", err, took)
		}
		let()
	})
}

// TestCopyIsEnded deletes a volume that is being copied, and ends the driver
// in the middle of a copy: neither leaves anything.
func TestCopyIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		empty := w.contents()
		let := w.slowCopies()
		p := cephfs.NewProvisioner(w.files, w, cephfs.Options{CreateWait: time.Second})
		defer p.Close()
		spec := volume.Spec{Name: "new", Source: w.fromGolden()}
		if _, err := p.Create(t.Context(), w.at, w.public, w.id("new"), spec); !errors.Is(err, volume.ErrPending) {
			t.Fatalf("while it is copied: %v", err)
		}
		deleted := make(chan error)
		go func() { deleted <- p.Delete(context.Background(), w.at, w.id("new")) }()
		synctest.Wait()
		let()
		w.must(<-deleted)
		w.takeApart(empty)
	})
}

// TestSnapshotInUse keeps what volumes show or are copied from.
func TestSnapshotInUse(t *testing.T) {
	w := newWorld(t)
	w.must(w.create("v", false, volume.Source{}))
	w.must(w.snapshot("v"))
	w.must(w.create("new", true, w.fromSnapshot()))
	if err := w.deleteSnapshot(); !errors.Is(err, volume.ErrInUse) {
		t.Fatalf("delete a snapshot in use: %v", err)
	}
	w.must(w.create("c", false, w.fromSnapshot()))
	w.must(w.delete("new"))
	w.must(w.deleteSnapshot())
}
