package record_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// shelf is a book over a fake Ceph.
type shelf struct {
	*testing.T
	ceph *fake.Ceph
	book record.Book
	at   tenant.Place
}

func newShelf(t *testing.T) shelf {
	policy, err := tenant.Parse([]byte("clusters: [{id: test, monitors: [\"127.0.0.1:3300\"], pool: rbd}]\ntenants: [{name: acme, namespaces: [acme]}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	at, err := policy.Default("acme", "test")
	if err != nil {
		t.Fatal(err)
	}
	ceph := fake.NewCeph()
	return shelf{t, ceph, record.NewBook(ceph), at}
}

func (s shelf) want(what string, err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Fatalf("%s: %v, not %v", what, err, want)
	}
}

func (s shelf) add(name string) *record.Volume {
	s.Helper()
	rec := record.NewVolume(volume.Spec{Name: name}, 5, time.Unix(1, 2))
	s.want("add", s.book.Add(s.Context(), s.at, name, &rec), nil)
	return &rec
}

func (s shelf) read(name string) *record.Volume {
	s.Helper()
	var rec record.Volume
	s.want("read", s.book.Read(s.Context(), s.at, name, &rec), nil)
	return &rec
}

// TestTwoControllers lets another controller change a record after it was seen.
func TestTwoControllers(t *testing.T) {
	s := newShelf(t)
	ctx := t.Context()
	mine := s.add("vol.a")
	again := record.NewVolume(volume.Spec{}, 5, time.Now())
	s.want("add what is there", s.book.Add(ctx, s.at, "vol.a", &again), volume.ErrPending)
	s.want("note what is there", s.book.Note(ctx, s.at, "vol.a", &again), volume.ErrExists)
	theirs := s.read("vol.a")
	s.want("hold", s.book.Hold(ctx, s.at, "vol.a", mine), nil)
	s.want("claim", s.book.Claim(ctx, s.at, "vol.a", theirs), nil)
	s.want("hold what another one has", s.book.Hold(ctx, s.at, "vol.a", mine), volume.ErrPending)
	mine.State = record.Ready
	s.want("advance what another one has", s.book.Advance(ctx, s.at, "vol.a", mine), volume.ErrPending)
	s.want("claim what another one has", s.book.Claim(ctx, s.at, "vol.a", mine), volume.ErrPending)
	if got := s.read("vol.a"); got.State != record.Deleting || got.Attempt != theirs.Attempt || got.Attempt == again.Attempt {
		t.Fatalf("the record is %+v", got)
	}
}

// TestClaimOfWhatIsGone brings the record back for the time of the removal.
func TestClaimOfWhatIsGone(t *testing.T) {
	s := newShelf(t)
	mine := s.add("vol.a")
	s.want("remove", s.ceph.RemoveRecord(t.Context(), s.at, "vol.a"), nil)
	s.want("hold what is gone", s.book.Hold(t.Context(), s.at, "vol.a", mine), volume.ErrPending)
	s.want("claim what is gone", s.book.Claim(t.Context(), s.at, "vol.a", mine), nil)
	if got := s.read("vol.a"); got.State != record.Deleting {
		t.Fatalf("the record is %+v", got)
	}
}

// TestFailedAdd leaves nothing after a sure failure, and all after an open one.
func TestFailedAdd(t *testing.T) {
	for name, c := range map[string]struct {
		fault fake.Fault
		want  error
		left  []string
	}{
		"refused":   {fake.Fault{When: fake.Before, Err: volume.ErrDenied}, volume.ErrDenied, nil},
		"no answer": {fake.Fault{When: fake.After}, volume.ErrUnavailable, []string{"index vol.a", "record vol.a"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			s.ceph.Reset(fake.At(2, c.fault))
			rec := record.NewVolume(volume.Spec{}, 5, time.Now())
			s.want("add", s.book.Add(t.Context(), s.at, "vol.a", &rec), c.want)
			if left := s.ceph.Contents(s.at); !slices.Equal(left, c.left) {
				t.Fatalf("left %q, want %q", left, c.left)
			}
		})
	}
}

// TestStands takes apart what is unfinished and nothing else.
func TestStands(t *testing.T) {
	for name, c := range map[string]struct {
		state   record.State
		read    error
		removed bool
		there   bool
		want    error
		require error
	}{
		"ready":    {record.Ready, nil, false, true, nil, nil},
		"creating": {record.Creating, nil, true, false, nil, volume.ErrNotFound},
		"deleting": {record.Deleting, nil, true, false, nil, volume.ErrNotFound},
		"absent":   {"", fmt.Errorf("record: %w", volume.ErrNotFound), false, false, nil, volume.ErrNotFound},
		"unknown":  {"", volume.ErrUnavailable, false, false, volume.ErrUnavailable, volume.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			removed, rec := false, record.Begin(c.state)
			there, err := rec.Stands(c.read, func() error {
				removed = true
				return nil
			})
			if there != c.there || removed != c.removed || !errors.Is(err, c.want) {
				t.Fatalf("there %t, removed %t, %v", there, removed, err)
			}
			if err := rec.Require("it", c.read); !errors.Is(err, c.require) {
				t.Fatalf("required: %v", err)
			}
		})
	}
}

// TestPage pages through records of which some have gone since they were listed.
func TestPage(t *testing.T) {
	s := newShelf(t)
	for _, name := range []string{"snap.a", "vol.a", "vol.b", "vol.c", "vol.d", "wol.a"} {
		s.add(name)
	}
	page := func(after string, limit int) ([]string, string) {
		got, last, err := record.Page(t.Context(), s.ceph, s.at, "vol.", after, limit, func(rest string) (string, error) {
			if rest == "b" {
				return "", volume.ErrNotFound
			}
			return rest, nil
		})
		s.want("page", err, nil)
		return got, last
	}
	for _, c := range []struct {
		after string
		limit int
		want  string
	}{{"", 2, "[a] b"}, {"b", 2, "[c d] d"}, {"d", 2, "[] "}, {"", 9, "[a c d] "}} {
		if got, last := page(c.after, c.limit); fmt.Sprintf("%v %s", got, last) != c.want {
			t.Errorf("after %q: %v, %q", c.after, got, last)
		}
	}
	_, _, err := record.Page(t.Context(), s.ceph, s.at, "vol.", "", 9, func(string) (string, error) { return "", volume.ErrDenied })
	s.want("page of what cannot be read", err, volume.ErrDenied)
}
