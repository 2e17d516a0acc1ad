package cephfs_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// TestStageEveryCrash kills the driver before and after each effect of staging
// and unstaging: the next call goes on, and an unstage leaves nothing.
func TestStageEveryCrash(t *testing.T) {
	shared := func(s stand) { s.shown("other", "v") }
	for name, c := range map[string]struct {
		prepare func(s stand)
		how     how
		staged  bool // the verb is the unstage
	}{
		"stage":            {shared, as("acme"), false},
		"stage own":        {shared, func(st *volume.Stage) { st.Goldens = nil }, false},
		"stage writable":   {func(s stand) { s.must(s.create("v", false, volume.Source{})) }, writing, false},
		"unstage":          {shared, as("acme"), true},
		"unstage own":      {shared, func(st *volume.Stage) { st.Goldens = nil }, true},
		"unstage writable": {func(s stand) { s.must(s.create("v", false, volume.Source{})) }, writing, true},
	} {
		for _, when := range []fake.When{fake.Before, fake.After} {
			t.Run(fmt.Sprintf("%s/%d", name, when), func(t *testing.T) {
				for n := 1; crashAt(t, n, when, c.prepare, c.how, c.staged); n++ {
				}
			})
		}
	}
}

// crashAt says whether the verb has an n-th effect.
func crashAt(t *testing.T, n int, when fake.When, prepare func(stand), h how, staged bool) bool {
	s := newStand(t)
	prepare(s)
	if staged {
		s.must(s.stage(s.fresh(), "v", h))
	}
	verb := func() error { return s.stage(s.fresh(), "v", h) }
	if staged {
		verb = func() error { return s.unstage(s.fresh(), "v") }
	}
	s.files.Reset(fake.At(n, fake.Fault{When: when, Crash: true}))
	err := verb()
	met := s.files.Crashed()
	s.files.Restart()
	if !met {
		s.must(err)
	} else if err == nil {
		t.Fatalf("effect %d: no answer, and no error", n)
	}
	if n%2 == 0 || staged {
		s.must(verb())
	}
	if !staged && n%2 == 0 {
		s.must(s.fresh().Shown(t.Context(), s.at, s.id("v"), place("v")))
	}
	s.must(s.unstage(s.fresh(), "v"))
	s.must(s.fresh().Sweep(t.Context()))
	s.must(s.node.Unpublish(t.Context(), place("v")))
	s.empty(fmt.Sprintf("effect %d", n))
	return met
}

// TestStageAfterDeath mounts a golden anew whose process was killed: for the
// next volume, and for one that is staged again.
func TestStageAfterDeath(t *testing.T) {
	s := newStand(t)
	s.shown("a", "b")
	s.must(s.create("w", false, volume.Source{}))
	by := s.fresh()
	s.must(errors.Join(s.stage(by, "a"), s.stage(by, "w", writing)))
	s.node.Kill("/volumes/public/public.golden.m.v1")
	s.must(s.stage(by, "b"))
	dead := func(name string) bool {
		gone, err := s.node.IsDead(t.Context(), place(name))
		s.must(err)
		return gone
	}
	if !dead("a") || dead("b") || dead("w") {
		t.Fatalf("dead are a %t, b %t, w %t", dead("a"), dead("b"), dead("w"))
	}
	s.must(s.stage(by, "a"))
	if dead("a") || s.count("process") != 2 {
		t.Fatalf("after a stage: %q", s.node.Contents())
	}
	for _, name := range []string{"a", "b", "w"} {
		s.must(s.unstage(by, name))
	}
	s.must(s.node.Unpublish(t.Context(), place("w")))
	s.empty("unstaged")
}

// TestStageMountsOnce holds the mount of a golden while several volumes are
// staged: one mount serves all.
func TestStageMountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		names := []string{"a", "b", "c", "d"}
		s.shown(names...)
		by, gate, mounts := s.fresh(), make(chan struct{}), 0
		s.files.Reset(func(c fake.Call) fake.Fault {
			if c.Port == "Mount" {
				mounts++
				<-gate
			}
			return fake.Fault{}
		})
		results := make(chan error, len(names))
		for _, name := range names {
			go func() { results <- s.stage(by, name) }()
		}
		synctest.Wait()
		s.must(by.Sweep(t.Context()))
		close(gate)
		for range names {
			s.must(<-results)
		}
		if mounts != 3 { // a mount has three effects
			t.Errorf("the golden was mounted with %d effects", mounts)
		}
	})
}

// TestStageLingers keeps a golden for its time after the last volume, and what
// one volume has for itself no longer than that.
func TestStageLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		s.shown("a", "b")
		by := s.lingering(10 * time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { by.Run(ctx); close(ended) }()
		s.must(errors.Join(s.stage(by, "a"), s.stage(by, "b", func(st *volume.Stage) { st.Goldens = nil })))
		time.Sleep(time.Hour)
		s.must(errors.Join(s.unstage(by, "a"), s.unstage(by, "b")))
		if s.count("process") != 1 {
			t.Fatalf("just unstaged: %q", s.node.Contents())
		}
		time.Sleep(9 * time.Minute)
		s.must(s.stage(by, "a"))
		s.must(s.unstage(by, "a"))
		time.Sleep(9 * time.Minute)
		if s.count("process") != 1 {
			t.Fatal("the golden did not linger")
		}
		time.Sleep(4 * time.Minute)
		s.empty("lingered")
		cancel()
		<-ended
	})
}
