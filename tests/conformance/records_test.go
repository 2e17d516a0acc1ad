package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func TestRecords(t *testing.T) {
	onEach(t, func(t *testing.T, s stand) {
		t.Run("one", func(t *testing.T) { oneRecord(t, s) })
		t.Run("swap", func(t *testing.T) { swapRecord(t, s) })
		t.Run("drop", func(t *testing.T) { dropRecord(t, s) })
		t.Run("places", func(t *testing.T) { recordsOfPlaces(t, s) })
		t.Run("race", func(t *testing.T) { racingRecords(t, s) })
		t.Run("list", func(t *testing.T) { listRecords(t, s) })
		t.Run("list under writes", func(t *testing.T) { listUnderWrites(t, s) })
		t.Run("ended context", func(t *testing.T) { endedContext(t, s) })
		t.Run("lock", func(t *testing.T) { lockRecord(t, s) })
		s.expectNothing(t, s.acme)
		s.expectNothing(t, s.public)
	})
}

func oneRecord(t *testing.T, s stand) {
	ctx, at := t.Context(), s.acme
	_, err := s.ReadRecord(ctx, at, "vol.a")
	expect(t, "read without one", err, volume.ErrNotFound)
	expect(t, "remove without one", s.RemoveRecord(ctx, at, "vol.a"), nil)
	must(t, s.CreateRecord(ctx, at, "vol.a", []byte(`{"long":"text"}`)))
	expect(t, "create again", s.CreateRecord(ctx, at, "vol.a", []byte("other")), volume.ErrExists)
	s.expectRecord(t, "vol.a", `{"long":"text"}`)
	must(t, s.SwapRecord(ctx, at, "vol.a", []byte(`{"long":"text"}`), []byte(`{}`)))
	s.expectRecord(t, "vol.a", `{}`)
	must(t, s.RemoveRecord(ctx, at, "vol.a"))
	_, err = s.ReadRecord(ctx, at, "vol.a")
	expect(t, "read after removal", err, volume.ErrNotFound)
	must(t, s.CreateRecord(ctx, at, "vol.a", []byte(`{"new":1}`)))
	s.expectRecord(t, "vol.a", `{"new":1}`)
	must(t, s.RemoveRecord(ctx, at, "vol.a"))
}

func (s stand) expectRecord(t *testing.T, name, want string) {
	t.Helper()
	data, err := s.ReadRecord(t.Context(), s.acme, name)
	must(t, err)
	if string(data) != want {
		t.Fatalf("record %s is %q, want %q", name, data, want)
	}
}

func dropRecord(t *testing.T, s stand) {
	ctx, at, was := t.Context(), s.acme, `{"state":"deleting","n":1}`
	expect(t, "drop without one", s.DropRecord(ctx, at, "vol.d", []byte(was)), nil)
	must(t, s.CreateRecord(ctx, at, "vol.d", []byte(was)))
	for _, other := range []string{`["state":"deleting","n":1}`, `{"state":"deleting","n":2}`, `{"state":"deleting","n":1,"more":true}`} {
		expect(t, "drop of "+other, s.DropRecord(ctx, at, "vol.d", []byte(other)), volume.ErrPending)
		s.expectRecord(t, "vol.d", was)
		if names, err := s.ListRecords(ctx, at, "vol.d", "", 2); err != nil || len(names) != 1 {
			t.Fatalf("listed are %q, %v", names, err)
		}
	}
	must(t, s.DropRecord(ctx, at, "vol.d", []byte(was)))
	_, err := s.ReadRecord(ctx, at, "vol.d")
	expect(t, "read after it was dropped", err, volume.ErrNotFound)
	if names, err := s.ListRecords(ctx, at, "vol.d", "", 2); err != nil || len(names) > 0 {
		t.Fatalf("listed are %q, %v", names, err)
	}
}

func swapRecord(t *testing.T, s stand) {
	ctx, at, was := t.Context(), s.acme, `{"state":"creating","n":1}`
	expect(t, "swap without one", s.SwapRecord(ctx, at, "vol.b", []byte(was), []byte(`{}`)), volume.ErrNotFound)
	must(t, s.CreateRecord(ctx, at, "vol.b", []byte(was)))
	for _, other := range []string{`["state":"creating","n":1}`, `{"state":"creating","n":2}`, `{"state":"creating","n":1,"more":true}`} {
		expect(t, "swap of "+other, s.SwapRecord(ctx, at, "vol.b", []byte(other), []byte(`{}`)), volume.ErrPending)
	}
	s.expectRecord(t, "vol.b", was)
	must(t, s.SwapRecord(ctx, at, "vol.b", []byte(was), []byte(`{"short":1}`)))
	s.expectRecord(t, "vol.b", `{"short":1}`)
	must(t, s.SwapRecord(ctx, at, "vol.b", []byte(`{"short":1}`), []byte(`{"this":"is longer again"}`)))
	s.expectRecord(t, "vol.b", `{"this":"is longer again"}`)
	must(t, s.RemoveRecord(ctx, at, "vol.b"))
	expect(t, "swap after removal", s.SwapRecord(ctx, at, "vol.b", []byte(was), []byte(`{}`)), volume.ErrNotFound)
}

func recordsOfPlaces(t *testing.T, s stand) {
	ctx := t.Context()
	must(t, s.CreateRecord(ctx, s.acme, "vol.c", []byte("acme")))
	_, err := s.ReadRecord(ctx, s.public, "vol.c")
	expect(t, "read in another place", err, volume.ErrNotFound)
	must(t, s.CreateRecord(ctx, s.public, "vol.c", []byte("public")))
	must(t, s.RemoveRecord(ctx, s.public, "vol.c"))
	s.expectRecord(t, "vol.c", "acme")
	must(t, s.RemoveRecord(ctx, s.acme, "vol.c"))
}

func racingRecords(t *testing.T, s stand) {
	ctx, at := t.Context(), s.acme
	text := func(i int) []byte { return fmt.Appendf(nil, `{"by":%d}`, i) }
	errs := race(16, func(i int) error { return s.CreateRecord(ctx, at, "vol.d", text(i)) })
	first := expectOne(t, "create", errs, volume.ErrExists)
	s.expectRecord(t, "vol.d", string(text(first)))
	errs = race(16, func(i int) error { return s.SwapRecord(ctx, at, "vol.d", text(first), text(100+i)) })
	second := expectOne(t, "swap", errs, volume.ErrPending)
	s.expectRecord(t, "vol.d", string(text(100+second)))
	for _, err := range race(8, func(int) error { return s.RemoveRecord(ctx, at, "vol.d") }) {
		must(t, err)
	}
}

// page walks a list and returns all names.
func (s stand) page(t *testing.T, prefix string, limit int) []string {
	t.Helper()
	var all []string
	after := prefix
	for {
		names, err := s.ListRecords(t.Context(), s.acme, prefix, after, limit)
		must(t, err)
		all = append(all, names...)
		if len(names) < limit {
			return all
		}
		if len(names) > limit {
			t.Fatalf("%d names, the limit is %d", len(names), limit)
		}
		after = names[len(names)-1]
	}
}

func listRecords(t *testing.T, s stand) {
	ctx, at := t.Context(), s.acme
	if all := s.page(t, "vol.", 5); len(all) > 0 {
		t.Fatalf("names in an empty place: %q", all)
	}
	want := []string{"vol.", "vol.-", "vol.0", "vol.00", "vol.A", "vol.a", "vol.a.b", "vol.aa", "vol.ä", "vol.日"}
	for _, name := range append([]string{"vo", "vol", "vom.a", "snap.a", "a", "z"}, want...) {
		must(t, s.CreateRecord(ctx, at, name, []byte("x")))
	}
	for limit := 1; limit < 12; limit++ {
		// The prefix itself sorts first and is not after itself.
		if got := s.page(t, "vol.", limit); !slices.Equal(got, want[1:]) {
			t.Fatalf("pages of %d: %q, want %q", limit, got, want[1:])
		}
	}
	got, err := s.ListRecords(ctx, at, "vol.", "", 100)
	must(t, err)
	if !slices.Equal(got, want) {
		t.Fatalf("from the start: %q, want %q", got, want)
	}
	got, err = s.ListRecords(ctx, at, "vol.", "vol.aaz", 2) // not a name itself
	must(t, err)
	if !slices.Equal(got, []string{"vol.ä", "vol.日"}) {
		t.Fatalf("after a name that is not there: %q", got)
	}
	all, err := s.ListRecords(ctx, at, "", "", 100)
	must(t, err)
	for _, name := range all {
		must(t, s.RemoveRecord(ctx, at, name))
	}
}

// listUnderWrites finds each record that is there all the time once and in
// order, whatever comes and goes between.
func listUnderWrites(t *testing.T, s stand) {
	ctx, cancel := context.WithCancel(t.Context())
	at := s.acme
	var want []string
	for i := range 60 {
		want = append(want, fmt.Sprintf("vol.%02d", i))
		must(t, s.CreateRecord(ctx, at, want[i], []byte("x")))
	}
	writers := make(chan []error)
	go func() {
		writers <- race(4, func(i int) error {
			for n := 0; ctx.Err() == nil; n++ {
				name := fmt.Sprintf("vol.%02d.by-%d", n%60, i)
				err := errors.Join(s.CreateRecord(t.Context(), at, name, []byte("y")), s.RemoveRecord(t.Context(), at, name))
				if err != nil {
					return err
				}
			}
			return nil
		})
	}()
	for range 5 {
		got := slices.DeleteFunc(s.page(t, "vol.", 7), func(name string) bool { return len(name) > len("vol.00") })
		if !slices.Equal(got, want) {
			t.Errorf("listed %q", got)
		}
	}
	cancel()
	for _, err := range <-writers {
		must(t, err)
	}
	for _, name := range want {
		must(t, s.RemoveRecord(t.Context(), at, name))
	}
}

// endedContext makes every call without effect.
func endedContext(t *testing.T, s stand) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	at := s.acme
	calls := map[string]func() error{
		"CreateRecord":   func() error { return s.CreateRecord(ctx, at, "vol.e", []byte("x")) },
		"ReadRecord":     func() error { _, err := s.ReadRecord(ctx, at, "vol.e"); return err },
		"SwapRecord":     func() error { return s.SwapRecord(ctx, at, "vol.e", []byte("x"), []byte("y")) },
		"DropRecord":     func() error { return s.DropRecord(ctx, at, "vol.e", []byte("x")) },
		"RemoveRecord":   func() error { return s.RemoveRecord(ctx, at, "vol.e") },
		"ListRecords":    func() error { _, err := s.ListRecords(ctx, at, "vol.", "", 1); return err },
		"LockRecord":     func() error { _, err := s.LockRecord(ctx, at, "vol.e"); return err },
		"CreateImage":    func() error { return s.CreateImage(ctx, at, "vol.e", mib) },
		"ResizeImage":    func() error { return s.ResizeImage(ctx, at, "vol.e", mib) },
		"ImageID":        func() error { _, err := s.ImageID(ctx, at, "vol.e"); return err },
		"RenameImage":    func() error { return s.RenameImage(ctx, at, "vol.e", "del.e") },
		"RemoveImage":    func() error { return s.RemoveImage(ctx, at, "vol.e") },
		"OpenImage":      func() error { _, err := s.OpenImage(ctx, at, "vol.e"); return err },
		"CreateSnapshot": func() error { return s.CreateSnapshot(ctx, at, "vol.e", "s") },
		"Snapshot":       func() error { _, err := s.Snapshot(ctx, at, "vol.e", "s"); return err },
		"SnapshotID":     func() error { _, err := s.SnapshotID(ctx, at, "vol.e", "s"); return err },
		"RemoveSnapshot": func() error { return s.RemoveSnapshot(ctx, at, "vol.e", "s") },
		"Children":       func() error { _, err := s.Children(ctx, at, "vol.e", "s"); return err },
		"Free":           func() error { _, err := s.Free(ctx, at); return err },
		"Read": func() error {
			_, err := s.reader.Read(ctx, at, volume.Credentials{User: "u", Key: "a2V5"}, "vol.e")
			return err
		},
	}
	for name, call := range calls {
		expect(t, name, call(), context.Canceled)
	}
}

func lockRecord(t *testing.T, s stand) {
	ctx, at := t.Context(), s.acme
	unlock, err := s.LockRecord(ctx, at, "golden.a")
	must(t, err)
	_, err = s.LockRecord(ctx, at, "golden.a")
	expect(t, "lock again", err, volume.ErrPending)
	other, err := s.LockRecord(ctx, at, "golden.b")
	must(t, err)
	elsewhere, err := s.LockRecord(ctx, s.public, "golden.a")
	must(t, err)
	_, err = s.ReadRecord(ctx, at, "golden.a")
	expect(t, "read a locked name without a record", err, volume.ErrNotFound)
	must(t, s.CreateRecord(ctx, at, "golden.a", []byte("x"))) // a lock is no record
	must(t, s.RemoveRecord(ctx, at, "golden.a"))
	unlock()
	other()
	elsewhere()
	again, err := s.LockRecord(ctx, at, "golden.a")
	must(t, err)
	unlock() // of an earlier lock: nothing happens
	_, err = s.LockRecord(ctx, at, "golden.a")
	expect(t, "lock after an old unlock", err, volume.ErrPending)
	again()

	var unlocks [8]func()
	errs := race(8, func(i int) (err error) { unlocks[i], err = s.LockRecord(ctx, at, "golden.c"); return err })
	unlocks[expectOne(t, "lock", errs, volume.ErrPending)]()
}
