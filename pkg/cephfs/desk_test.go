package cephfs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// counter is a world with a volume «v» whose writer nobody has made, and a desk.
type counter struct {
	*world
	desk      *cephfs.Desk
	maker     *maker
	looks     error                // for a tenant's revocation
	request   cephfs.WriterRequest // for that writer
	revoked   bool
	subvolume string
}

func newCounter(t *testing.T) *counter {
	c := &counter{world: newWorld(t)}
	c.maker = &maker{WriterMaker: c.files}
	c.desk = cephfs.NewDesk(c.maker, func() *tenant.Policy { return c.policy },
		func(context.Context, tenant.Place) (bool, error) { return c.revoked, c.looks })
	c.subvolume = "vol." + c.id("v").Hash + "." + strings.Repeat("A", 26)
	c.request = cephfs.WriterRequest{Tenant: "acme", Subvolume: c.subvolume, Directory: "7e95edeb-da36-4aca-86d7-86e265dd026e"}
	c.note("creating")
	return c
}

// maker is Ceph, which refuses what it has an error for.
type maker struct {
	cephfs.WriterMaker
	read, add, remove error
	added             func()
}

func (m *maker) ReadRecord(ctx context.Context, at tenant.Place, name string) ([]byte, error) {
	if m.read != nil {
		return nil, m.read
	}
	return m.WriterMaker.ReadRecord(ctx, at, name)
}

func (m *maker) AddWriter(ctx context.Context, at tenant.Place, name, directory string) error {
	if m.add != nil {
		return m.add
	}
	err := m.WriterMaker.AddWriter(ctx, at, name, directory)
	if m.added != nil {
		m.added()
	}
	return err
}

func (m *maker) RemoveWriter(ctx context.Context, at tenant.Place, name string) error {
	if m.remove != nil {
		return m.remove
	}
	return m.WriterMaker.RemoveWriter(ctx, at, name)
}

// note leaves the volume's record in a state.
func (c *counter) note(state string) {
	c.t.Helper()
	name := "vol." + c.id("v").Hash
	c.must(c.files.RemoveRecord(c.t.Context(), c.at, name))
	c.must(c.files.CreateRecord(c.t.Context(), c.at, name, []byte(`{"v":1,"state":"`+state+`","subvolume":"`+c.subvolume+`"}`)))
}

func (c *counter) serve(r cephfs.WriterRequest) error {
	return c.desk.Serve(context.Background(), "test", r)
}

func (c *counter) hasWriter() bool {
	return slices.Contains(c.files.Contents(c.at), "writer of acme."+c.subvolume)
}

func (c *counter) wantWriter(want bool) {
	c.t.Helper()
	if c.hasWriter() != want {
		c.t.Errorf("there is a writer: %t, want %t", !want, want)
	}
}

// TestDesk: a writer is made for a volume that is being made, and removed from
// one that is being deleted, as often as it is asked for.
func TestDesk(t *testing.T) {
	c := newCounter(t)
	for range 2 {
		c.must(c.serve(c.request))
		c.wantWriter(true)
	}
	c.note("deleting")
	c.request.Remove = true
	for range 2 {
		c.must(c.serve(c.request))
		c.wantWriter(false)
	}
	c.must(c.files.RemoveRecord(t.Context(), c.at, "vol."+c.id("v").Hash))
	c.must(c.serve(c.request))
}

// TestDeskRefuses has what nobody asks for but a thief or a controller that is
// late.
func TestDeskRefuses(t *testing.T) {
	for name, change := range map[string]func(c *counter, r *cephfs.WriterRequest){
		"another tenant's subvolume": func(_ *counter, r *cephfs.WriterRequest) { r.Tenant = "public" },
		"no name":                    func(_ *counter, r *cephfs.WriterRequest) { r.Tenant = "acme,x" },
		"a golden":                   func(_ *counter, r *cephfs.WriterRequest) { r.Subvolume = "golden.m.v1" },
		"a way out of the tenant":    func(_ *counter, r *cephfs.WriterRequest) { r.Subvolume += "/../../public" },
		"a capability in the name": func(_ *counter, r *cephfs.WriterRequest) {
			r.Subvolume = "vol." + strings.Repeat("a", 32) + ". allow *"
		},
		"another attempt": func(_ *counter, r *cephfs.WriterRequest) { r.Subvolume = strings.ReplaceAll(r.Subvolume, "A", "B") },
		"another volume": func(c *counter, r *cephfs.WriterRequest) {
			r.Subvolume = strings.Replace(r.Subvolume, c.id("v").Hash, c.id("w").Hash, 1)
		},
		"no directory":                func(_ *counter, r *cephfs.WriterRequest) { r.Directory = "" },
		"the snapshots":               func(_ *counter, r *cephfs.WriterRequest) { r.Directory = ".snap" },
		"the directory above":         func(_ *counter, r *cephfs.WriterRequest) { r.Directory = ".." },
		"a capability beside":         func(_ *counter, r *cephfs.WriterRequest) { r.Directory = "a, allow rw" },
		"a volume being deleted":      func(c *counter, _ *cephfs.WriterRequest) { c.note("deleting") },
		"a tenant that was revoked":   func(c *counter, _ *cephfs.WriterRequest) { c.revoked = true },
		"removal from a volume there": func(c *counter, r *cephfs.WriterRequest) { c.note("ready"); r.Remove = true },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCounter(t)
			c.must(c.serve(c.request))
			r := c.request
			change(c, &r)
			before := c.files.Contents(c.at)
			if err := c.serve(r); !errors.Is(err, volume.ErrDenied) {
				t.Errorf("got %v, want a refusal", err)
			}
			if after := c.files.Contents(c.at); !slices.Equal(before, after) {
				t.Errorf("it changed\n%q\ninto\n%q", before, after)
			}
		})
	}
}

// TestDeskIsRefusedItself: that Ceph refuses the desk's own key passes. The
// controller asks again and undoes nothing, and what there was stays.
func TestDeskIsRefusedItself(t *testing.T) {
	denied := fmt.Errorf("ask Ceph: %w", volume.ErrDenied)
	for name, when := range map[string]func(*counter){
		"reading the record": func(c *counter) { c.maker.read = denied },
		"making the user":    func(c *counter) { c.maker.add = denied },
		"removing the user":  func(c *counter) { c.maker.remove = denied; c.note("deleting"); c.request.Remove = true },
		"looking for a note": func(c *counter) { c.looks = denied },
		"at the second look": func(c *counter) { c.maker.added = func() { c.looks = denied } },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCounter(t)
			when(c)
			if err := c.serve(c.request); !errors.Is(err, volume.ErrUnavailable) || !volume.IsOpen(err) {
				t.Errorf("it answers %v", err)
			}
			c.wantWriter(name == "at the second look")
		})
	}
}

// TestDeskHasAnOldPolicy: a tenant that only the controller's policy file has
// as yet is no reason to give up.
func TestDeskHasAnOldPolicy(t *testing.T) {
	c := newCounter(t)
	c.request.Tenant = "initech"
	if err := c.serve(c.request); !errors.Is(err, volume.ErrUnavailable) {
		t.Errorf("got %v, want it to be asked again", err)
	}
	c.wantWriter(false)
}

// TestDeskIsLate: while a writer is made its volume is given up, or its tenant
// cut off. No writer stays.
func TestDeskIsLate(t *testing.T) {
	for name, meanwhile := range map[string]func(*counter){
		"given up": func(c *counter) { c.note("deleting") },
		"cut off":  func(c *counter) { c.revoked = true },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCounter(t)
			made := false
			c.files.Reset(func(call fake.Call) fake.Fault {
				if made {
					made = false
					c.files.Reset(nil)
					meanwhile(c)
				}
				made = call.Port == "AddWriter"
				return fake.Fault{}
			})
			if err := c.serve(c.request); !errors.Is(err, volume.ErrDenied) {
				t.Errorf("got %v, want a refusal", err)
			}
			c.wantWriter(false)
		})
	}
}

// slow is a file system that takes its time for a writer.
type slow struct {
	*fake.FileSystem
	begin chan struct{}
}

func (s slow) AddWriter(ctx context.Context, at tenant.Place, name, directory string) error {
	<-s.begin
	return s.FileSystem.AddWriter(ctx, at, name, directory)
}

// TestDeskServesOneAfterTheOther: a removal waits for the addition before it,
// and no longer than it may.
func TestDeskServesOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(t)
		begin := make(chan struct{})
		desk := cephfs.NewDesk(slow{c.files, begin}, func() *tenant.Policy { return c.policy },
			func(context.Context, tenant.Place) (bool, error) { return false, nil })
		added, removed := make(chan error, 1), make(chan error, 1)
		go func() { added <- desk.Serve(t.Context(), "test", c.request) }()
		synctest.Wait()
		r := c.request
		r.Remove = true
		c.note("deleting")
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := desk.Serve(short, "test", r); !errors.Is(err, volume.ErrUnavailable) {
			t.Errorf("while it is being added: %v", err)
		}
		go func() { removed <- desk.Serve(t.Context(), "test", r) }()
		synctest.Wait()
		close(begin)
		if err := <-added; !errors.Is(err, volume.ErrDenied) {
			t.Errorf("the addition: %v", err)
		}
		c.must(<-removed)
		c.wantWriter(false)
	})
}
