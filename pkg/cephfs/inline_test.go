package cephfs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// newInline is a stand whose golden has a record, as an import leaves it.
func newInline(t *testing.T) stand {
	s := newStand(t)
	s.change(func(*record.Golden) {})
	return s
}

// change writes the golden's record, with an edit.
func (s stand) change(edit func(*record.Golden)) {
	s.t.Helper()
	rec := record.Golden{Head: record.NewHead(), State: volume.GoldenReady, Golden: "m:v1", FsType: volume.FilesType, Size: 1 << 20, ImageID: s.golden.ImageID}
	edit(&rec)
	data, err := record.Encode(&rec)
	s.must(err)
	s.must(s.files.RemoveRecord(context.Background(), s.public, "golden.m.v1"))
	s.must(s.files.CreateRecord(context.Background(), s.public, "golden.m.v1", data))
}

func pod(handle string) string { return "/pods/" + handle + "/mount" }

func (s stand) inline(handle string) volume.Inline {
	return volume.Inline{
		Handle: handle, Target: pod(handle), Golden: s.golden.Ref, Credentials: key("acme"),
		Goldens: map[volume.GoldenRef]volume.Credentials{s.golden.Ref: key("golden")},
	}
}

func (s stand) show(by *cephfs.Stager, in volume.Inline) error {
	return by.ShowGolden(quiet(), s.at, s.public, in)
}

func (s stand) hide(by *cephfs.Stager, handle string) error {
	return by.HideGolden(quiet(), handle, pod(handle))
}

// TestInline shows a golden to two pods beside a volume of it by one mount, and
// leaves nothing, also where another driver hides it.
func TestInline(t *testing.T) {
	s := newInline(t)
	s.shown("a")
	by := s.fresh()
	for range 2 {
		s.must(s.show(by, s.inline("csi-1")))
		s.must(s.show(by, s.inline("csi-2")))
		s.must(s.stage(by, "a"))
	}
	all, err := by.Shared(t.Context())
	if err != nil || len(all) != 1 || len(all[0].Sharers) != 3 {
		t.Fatalf("shared %+v, %v", all, err)
	}
	s.must(by.ShownGolden(t.Context(), "csi-1", pod("csi-1")))
	if err := by.ShownGolden(t.Context(), "csi-1", pod("csi-2")); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("shown at another's target: %v", err)
	}
	s.must(by.HideGolden(t.Context(), "csi-1", pod("csi-2")))
	s.must(by.ShownGolden(t.Context(), "csi-2", pod("csi-2")))
	s.must(s.unstage(by, "a"))
	by = s.fresh()
	for range 2 {
		s.must(s.hide(by, "csi-1"))
		s.must(s.hide(by, "csi-2"))
	}
	s.must(by.Sweep(t.Context()))
	s.empty("hidden")
}

func TestInlineRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(s stand, in *volume.Inline)
		want   error
		says   string
	}{
		"no reader's key":      {func(_ stand, in *volume.Inline) { in.Goldens = nil }, volume.ErrDenied, "--inline"},
		"a wrong reader's key": {func(s stand, in *volume.Inline) { in.Goldens[s.golden.Ref] = key("alone") }, volume.ErrDenied, "sdpctl tenant sync"},
		"not sealed":           {func(s stand, _ *volume.Inline) { s.change(func(r *record.Golden) { r.State = volume.GoldenCreating }) }, volume.ErrNotFound, "not sealed"},
		"retired":              {func(s stand, _ *volume.Inline) { s.change(func(r *record.Golden) { r.State = volume.GoldenRetired }) }, volume.ErrNotFound, "retired"},
		"an image":             {func(s stand, _ *volume.Inline) { s.change(func(r *record.Golden) { r.FsType = "erofs" }) }, volume.ErrInvalid, "backend: rbd"},
		"a file system":        {func(_ stand, in *volume.Inline) { in.FsType = "ext4" }, volume.ErrInvalid, "fsType"},
		"not there":            {func(s stand, _ *volume.Inline) { s.must(s.files.RemoveRecord(t.Context(), s.public, "golden.m.v1")) }, volume.ErrNotFound, "m:v1"},
		"retired meanwhile": {func(s stand, _ *volume.Inline) {
			s.files.Reset(func(c fake.Call) fake.Fault {
				if c.Port == "Lease" {
					s.change(func(r *record.Golden) { r.State = volume.GoldenRetired })
				}
				return fake.Fault{}
			})
		}, volume.ErrNotFound, "retired"},
		"no lease": {func(s stand, _ *volume.Inline) {
			s.files.Reset(func(c fake.Call) fake.Fault {
				return fake.Fault{When: map[bool]fake.When{true: fake.Before}[c.Port == "Lease"]}
			})
		}, volume.ErrUnavailable, "lease"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newInline(t)
			in := s.inline("csi-1")
			tc.change(s, &in)
			if err := s.show(s.fresh(), in); !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %v about %q", err, tc.want, tc.says)
			}
			s.empty("refused")
		})
	}
}

// TestInlineIsHeld keeps the lease while a pod shows the golden, after a restart
// as soon as its publication is repeated, and lets it end afterwards.
func TestInlineIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newInline(t)
		held := func() time.Duration {
			leases, err := s.files.Leases(context.Background(), s.public, s.golden.ImageID)
			s.must(err)
			return time.Until(leases["node"])
		}
		for round := range 2 {
			by := s.lingering(10 * time.Minute)
			ctx, cancel := context.WithCancel(quiet())
			ended := make(chan struct{})
			go func() { by.Run(ctx); close(ended) }()
			forged := s.inline("csi-1")
			forged.Goldens = map[volume.GoldenRef]volume.Credentials{s.golden.Ref: {User: "golden", Key: "forged"}}
			if round > 0 { // shown already; a pod's author can write anything into its Secret
				s.must(s.show(by, forged))
				time.Sleep(2 * time.Hour)
			}
			s.must(s.show(by, s.inline("csi-1")))
			time.Sleep(72 * time.Hour)
			if held() < 22*time.Hour {
				t.Errorf("the lease has %s", held())
			}
			cancel()
			<-ended
		}
		by := s.lingering(10 * time.Minute)
		ctx, cancel := context.WithCancel(quiet())
		ended := make(chan struct{})
		go func() { by.Run(ctx); close(ended) }()
		s.must(s.hide(by, "csi-1"))
		time.Sleep(26 * time.Hour)
		if held() > 0 {
			t.Errorf("once nobody shows it the lease has %s", held())
		}
		cancel()
		<-ended
	})
}

// TestInlineCrash kills the driver before and after each effect of showing and
// hiding, and lets the next one go on.
func TestInlineCrash(t *testing.T) {
	for _, when := range []fake.When{fake.Before, fake.After} {
		for at := 1; ; at++ {
			s := newInline(t)
			s.files.Reset(fake.At(at, fake.Fault{When: when, Crash: true}))
			failed := errors.Join(s.show(s.fresh(), s.inline("csi-1")), s.hide(s.fresh(), "csi-1"))
			met := s.files.Crashed()
			s.files.Restart()
			by := s.fresh()
			s.must(s.show(by, s.inline("csi-1")))
			s.must(by.ShownGolden(t.Context(), "csi-1", pod("csi-1")))
			s.must(s.hide(by, "csi-1"))
			s.must(by.Sweep(t.Context()))
			s.empty(fmt.Sprintf("effect %d failed with %v", at, failed))
			if !met {
				break
			}
		}
	}
}

// TestRealInline shows a golden to a pod without a volume, by ceph-fuse.
func TestRealInline(t *testing.T) {
	n := newNode(t)
	ref := n.seed()
	n.grant(ref)
	target := filepath.Join(n.dir, "pods", "mount")
	n.must(os.MkdirAll(filepath.Dir(target), 0o755))
	in := volume.Inline{Handle: "csi-1", Target: target, Golden: ref, Credentials: n.ro, Goldens: n.golden}
	by := n.fresh()
	for range 2 {
		n.must(by.ShowGolden(t.Context(), n.acme, n.public, in))
	}
	text, err := os.ReadFile(filepath.Join(target, "sub", "labels"))
	if err != nil || string(text) != "cat\ndog\n" {
		t.Errorf("the pod sees %q, %v", text, err)
	}
	if err := os.WriteFile(filepath.Join(target, "new"), nil, 0o600); !errors.Is(err, syscall.EROFS) {
		t.Errorf("it could be written: %v", err)
	}
	forged := in
	forged.Handle, forged.Target = "csi-2", target+"2"
	forged.Goldens = map[volume.GoldenRef]volume.Credentials{ref: n.ro}
	n.refused("the tenant's key as the golden's", by.ShowGolden(t.Context(), n.acme, n.public, forged), volume.ErrDenied)
	n.must(n.library.Retire(t.Context(), n.public, ref))
	forged.Goldens = n.golden
	n.refused("a retired golden", by.ShowGolden(t.Context(), n.acme, n.public, forged), volume.ErrNotFound)
	n.must(n.fresh().HideGolden(t.Context(), "csi-1", target))
	n.must(n.fresh().Sweep(t.Context()))
	n.nothing()
}
