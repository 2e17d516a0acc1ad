package tenant_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// shelf is a catalog that a test fills.
type shelf struct {
	goldens map[string][]volume.Golden // by tenant
	clones  map[string][]tenant.Clone  // by golden
	holds   map[string]string          // by tenant
}

func (s *shelf) Goldens(_ context.Context, at tenant.Place) ([]volume.Golden, error) {
	return s.goldens[at.Tenant()], nil
}

func (s *shelf) Clones(_ context.Context, _ tenant.Place, g volume.Golden) ([]tenant.Clone, error) {
	return s.clones[g.Ref.String()], nil
}

func (s *shelf) Holds(_ context.Context, at tenant.Place) (string, error) {
	return s.holds[at.Tenant()], nil
}

func (s *shelf) put(refs ...string) {
	for i, text := range refs {
		ref, err := volume.ParseGoldenRef(text)
		if err != nil {
			panic(err)
		}
		g := volume.Golden{Ref: ref, State: volume.GoldenReady, ImageID: fmt.Sprintf("%s%d", ref.Name, i)}
		s.goldens[ref.Tenant] = append(s.goldens[ref.Tenant], g)
	}
}

// office is a registrar with all that it works on.
type office struct {
	t     *testing.T
	ceph  *fake.Ceph
	shelf *shelf
}

func newOffice(t *testing.T) *office {
	s := &shelf{goldens: map[string][]volume.Golden{}, clones: map[string][]tenant.Clone{}, holds: map[string]string{}}
	return &office{t: t, ceph: fake.NewCeph(), shelf: s}
}

const row = "clusters: [{id: main, monitors: [\"10.0.0.1:3300\"], pool: rbd, fileSystem: files}]\n"

const granting = row + `tenants:
- {name: acme, namespaces: [acme], goldens: ["public/resnet50:v1"]}
- {name: globex, namespaces: [globex], goldens: ["public/*"]}
- {name: public}
`

// under returns the registrar under a policy, and the places of its tenants.
func (o *office) under(text string) (*tenant.Registrar, func(string) tenant.Place) {
	o.t.Helper()
	p, err := tenant.Parse([]byte(text))
	if err != nil {
		o.t.Fatal(err)
	}
	return tenant.NewRegistrar(p, o.ceph, o.shelf, o.ceph), func(name string) tenant.Place {
		o.t.Helper()
		at, err := p.Default(name, "")
		if err != nil {
			o.t.Fatal(err)
		}
		return at
	}
}

func (o *office) create(r *tenant.Registrar, places ...tenant.Place) {
	o.t.Helper()
	for _, at := range places {
		if _, err := r.Create(o.t.Context(), at); err != nil {
			o.t.Fatal(err)
		}
	}
}

func (o *office) sync(r *tenant.Registrar, at tenant.Place) []volume.GoldenRef {
	o.t.Helper()
	rotated, err := r.Sync(o.t.Context(), at)
	if err != nil {
		o.t.Fatal(err)
	}
	return rotated
}

// rights lists the users with what they may do, one line each.
func (o *office) rights(at tenant.Place) []string {
	o.t.Helper()
	o.ceph.Reset(nil)
	users, err := o.ceph.Users(o.t.Context(), at)
	if err != nil {
		o.t.Fatal(err)
	}
	var all []string
	for _, u := range users {
		a, _ := o.ceph.Access(u)
		line := u.String() + ":"
		if a.Role != "" {
			line += " " + string(a.Role) + " " + a.At.Namespace()
		}
		for _, g := range a.Goldens {
			line += " " + g.Place.Namespace() + "/" + g.Name + "#" + g.ImageID
		}
		all = append(all, line)
	}
	slices.Sort(all)
	return all
}

func (o *office) wantRights(at tenant.Place, want ...string) {
	o.t.Helper()
	if got := o.rights(at); !slices.Equal(got, want) {
		o.t.Errorf("rights:\n %s\nwant:\n %s", strings.Join(got, "\n "), strings.Join(want, "\n "))
	}
}

func TestCreateIsIdempotent(t *testing.T) {
	o := newOffice(t)
	r, place := o.under(granting)
	first, err := r.Create(t.Context(), place("acme"))
	if err != nil {
		t.Fatal(err)
	}
	before := o.rights(place("acme"))
	again, err := r.Create(t.Context(), place("acme"))
	if err != nil || !slices.Equal(first, again) || !slices.Equal(before, o.rights(place("acme"))) {
		t.Errorf("Create again = %v, %v; first %v", again, err, first)
	}
	o.wantRights(place("acme"), "sdp.acme.ro.1: ro acme", "sdp.acme.rw.1: rw acme")
}

func TestGrantsAreDownToTheGolden(t *testing.T) {
	o := newOffice(t)
	r, place := o.under(granting)
	o.create(r, place("acme"), place("globex"), place("public"))
	o.shelf.put("public/resnet50:v1", "public/resnet50:v2", "acme/own:v1")
	if rotated := o.sync(r, place("acme")); len(rotated) != 0 {
		t.Errorf("rotated %v, want none", rotated)
	}
	v1, v2 := "public/golden.resnet50.v1#resnet500", "public/golden.resnet50.v2#resnet501"
	want := []string{
		"sdp.acme.ro.1: ro acme " + v1, "sdp.acme.rw.1: rw acme " + v1,
		"sdp.globex.ro.1: ro globex " + v1 + " " + v2, "sdp.globex.rw.1: rw globex " + v1 + " " + v2,
		"sdp.golden.acme.own.v1.1: acme/golden.own.v1#own2",
		"sdp.golden.public.resnet50.v1.1: " + v1, "sdp.golden.public.resnet50.v2.1: " + v2,
		"sdp.public.ro.1: ro public", "sdp.public.rw.1: rw public",
	}
	o.wantRights(place("acme"), want...)
	o.sync(r, place("acme"))
	o.wantRights(place("acme"), want...)
}

// TestReadersAreMadeWhenSomebodyNeedsThem imports first and creates tenants
// later.
func TestReadersAreMadeWhenSomebodyNeedsThem(t *testing.T) {
	o := newOffice(t)
	r, place := o.under(granting)
	o.shelf.put("public/resnet50:v1")
	if err := o.ceph.MakeNamespace(t.Context(), place("public")); err != nil {
		t.Fatal(err)
	}
	o.sync(r, place("public"))
	o.wantRights(place("public"))
	o.create(r, place("acme"))
	o.wantKeys(r, place("acme"), "sdp.golden.public.resnet50.v1.1")
}

// withdrawn is granting without acme's grant.
var withdrawn = strings.Replace(granting, `"public/resnet50:v1"`, "", 1)

func TestWithdrawnGrant(t *testing.T) {
	o := newOffice(t)
	r, place := o.under(granting)
	o.create(r, place("acme"), place("globex"), place("public"))
	o.shelf.put("public/resnet50:v1", "public/other:v1")
	o.sync(r, place("acme"))
	o.shelf.clones["public/resnet50:v1"] = []tenant.Clone{{Tenant: "acme", Image: "vol.1"}}

	r, place = o.under(withdrawn)
	if rotated := o.sync(r, place("acme")); len(rotated) != 1 || rotated[0].String() != "public/resnet50:v1" {
		t.Errorf("rotated %v, want the golden that acme lost", rotated)
	}
	if a, _ := o.ceph.Access(tenant.User{Tenant: "acme", Role: tenant.Reader, Generation: 1}); len(a.Goldens) != 1 {
		t.Errorf("acme's volume cannot read its parent: %+v", a)
	}
	st, err := r.Standing(t.Context(), place("acme"))
	if err != nil || len(st.Granted) != 0 || fmt.Sprint(st.Withdrawn) != "map[public/resnet50:v1:[vol.1]]" {
		t.Errorf("Standing = %+v, %v", st, err)
	}
	o.wantKeys(r, place("acme"))
	o.wantKeys(r, place("globex"), "sdp.golden.public.other.v1.1", "sdp.golden.public.resnet50.v1.2")
	if rotated := o.sync(r, place("acme")); len(rotated) != 0 {
		t.Errorf("rotated again: %v", rotated)
	}
	o.shelf.clones = nil
	o.sync(r, place("acme"))
	if a, _ := o.ceph.Access(tenant.User{Tenant: "acme", Role: tenant.Reader, Generation: 1}); len(a.Goldens) != 0 {
		t.Errorf("acme still reads the golden with its last volume gone: %+v", a)
	}
}

// wantKeys checks which goldens' readers a tenant gets.
func (o *office) wantKeys(r *tenant.Registrar, at tenant.Place, want ...string) {
	o.t.Helper()
	k, err := r.Keys(o.t.Context(), at)
	if err != nil {
		o.t.Fatal(err)
	}
	var got []string
	for _, c := range k.Goldens {
		got = append(got, c.User)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		o.t.Errorf("%s gets the keys of %v, want %v", at, got, want)
	}
}

func TestKeysOfReadOnlyNodes(t *testing.T) {
	o := newOffice(t)
	r, place := o.under(row + "tenants:\n- {name: acme, readOnlyNodes: true}\n- {name: globex}\n")
	o.create(r, place("acme"), place("globex"))
	for name, want := range map[string][]string{"acme": {"userID", "userKey"}, "globex": {"userID", "userKey", "writerID", "writerKey"}} {
		k, err := r.Keys(t.Context(), place(name))
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(k.Fields())); !slices.Equal(got, want) {
			t.Errorf("the Secret of %s has %v, want %v", name, got, want)
		}
	}
}

func TestRotate(t *testing.T) {
	o := newOffice(t)
	r, place := o.under(granting)
	at := place("acme")
	if _, err := r.Rotate(t.Context(), at); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("Rotate without users: %v, want volume.ErrNotFound", err)
	}
	o.create(r, at, place("globex"))
	old := tenant.User{Tenant: "acme", Role: tenant.Reader, Generation: 1}
	o.ceph.Connect(old, "10.0.0.9:0/1")
	if users, err := r.Rotate(t.Context(), at); err != nil || fmt.Sprint(users) != "[sdp.acme.ro.2 sdp.acme.rw.2]" {
		t.Fatalf("Rotate = %v, %v", users, err)
	}
	if k, err := r.Keys(t.Context(), at); err != nil || k.Reader.User != "sdp.acme.ro.2" || k.Writer.User != "sdp.acme.rw.2" {
		t.Errorf("Keys = %+v, %v", k, err)
	}
	if inUse, err := r.Finish(t.Context(), at); err != nil || fmt.Sprint(inUse) != "[sdp.acme.ro.1]" {
		t.Errorf("Finish = %v, %v", inUse, err)
	}
	o.ceph.Disconnect(old)
	if inUse, err := r.Finish(t.Context(), at); err != nil || len(inUse) != 0 {
		t.Errorf("Finish = %v, %v", inUse, err)
	}
	o.wantRights(at, "sdp.acme.ro.2: ro acme", "sdp.acme.rw.2: rw acme", "sdp.globex.ro.1: ro globex", "sdp.globex.rw.1: rw globex")
}

func TestRevoke(t *testing.T) {
	o := newOffice(t)
	r, place := o.under(granting)
	at := place("acme")
	o.create(r, at, place("globex"), place("public"))
	o.shelf.put("public/resnet50:v1")
	o.sync(r, at)
	o.ceph.Connect(tenant.User{Tenant: "acme", Role: tenant.Reader, Generation: 1}, "10.0.0.9:0/1")
	o.ceph.Connect(tenant.User{Tenant: "acme", Role: tenant.Writer, Generation: 1}, "10.0.0.9:0/2")
	o.ceph.Connect(tenant.User{Tenant: "globex", Role: tenant.Reader, Generation: 1}, "10.0.0.9:0/3")
	o.ceph.Connect(tenant.User{Tenant: "public", Golden: volume.GoldenRef{Name: "resnet50", Version: "v1"}, Generation: 1}, "10.0.0.9:0/4")
	if cut, err := r.Revoke(t.Context(), at); err != nil || cut != 2 {
		t.Fatalf("Revoke = %d, %v; want 2", cut, err)
	}
	for address, want := range map[string]bool{"10.0.0.9:0/1": true, "10.0.0.9:0/2": true, "10.0.0.9:0/3": false, "10.0.0.9:0/4": false} {
		if o.ceph.Blocked(address) != want {
			t.Errorf("client %s is shut out: %t, want %t", address, !want, want)
		}
	}
	// A sync does not let a tenant in again that was cut off.
	o.sync(r, at)
	if _, err := r.Keys(t.Context(), at); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("Keys after Revoke: %v, want volume.ErrNotFound", err)
	}
}

func TestDelete(t *testing.T) {
	o := newOffice(t)
	r, place := o.under(granting)
	at := place("acme")
	o.create(r, at, place("public"))
	o.shelf.holds["acme"] = "vol.1"
	if err := r.Delete(t.Context(), at); !errors.Is(err, volume.ErrInUse) || !strings.Contains(err.Error(), "vol.1") {
		t.Errorf("Delete with data: %v, want volume.ErrInUse that names it", err)
	}
	if err := o.ceph.CreateImage(t.Context(), at, "foreign", 1<<20); err != nil {
		t.Fatal(err)
	}
	delete(o.shelf.holds, "acme")
	if err := r.Delete(t.Context(), at); !errors.Is(err, volume.ErrInUse) {
		t.Errorf("Delete with an image that nobody knows: %v, want volume.ErrInUse", err)
	}
	o.wantRights(at, "sdp.acme.ro.1: ro acme", "sdp.acme.rw.1: rw acme", "sdp.public.ro.1: ro public", "sdp.public.rw.1: rw public")
	if err := o.ceph.RemoveImage(t.Context(), at, "foreign"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Delete(t.Context(), at); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
	o.wantRights(at, "sdp.public.ro.1: ro public", "sdp.public.rw.1: rw public")
}

// TestCrashAtEveryStep stops each verb before and after each of its effects,
// begins it again and compares the end with that of an undisturbed run.
func TestCrashAtEveryStep(t *testing.T) {
	verbs := map[string]func(context.Context, *tenant.Registrar, tenant.Place) error{
		"create": func(ctx context.Context, r *tenant.Registrar, at tenant.Place) error {
			_, err := r.Create(ctx, at)
			return err
		},
		"sync": func(ctx context.Context, r *tenant.Registrar, at tenant.Place) error {
			_, err := r.Sync(ctx, at)
			return err
		},
		"revoke": func(ctx context.Context, r *tenant.Registrar, at tenant.Place) error {
			_, err := r.Revoke(ctx, at)
			return err
		},
		"delete": func(ctx context.Context, r *tenant.Registrar, at tenant.Place) error { return r.Delete(ctx, at) },
	}
	for name, verb := range verbs {
		want, steps := crashed(t, verb, fake.Fault{}, 0)
		if steps == 0 {
			t.Fatalf("%s takes no step", name)
		}
		for n := 1; n <= steps; n++ {
			for _, when := range []fake.When{fake.Before, fake.After} {
				got, _ := crashed(t, verb, fake.Fault{When: when, Crash: true}, n)
				if !slices.Equal(got, want) {
					t.Errorf("%s, crash at step %d (%d):\n %s\nwant:\n %s", name, n, when, strings.Join(got, "\n "), strings.Join(want, "\n "))
				}
			}
		}
	}
}

// crashed runs a verb with a fault at step n, then once more without, and
// returns what there is at the end and how many steps the first run took.
func crashed(t *testing.T, verb func(context.Context, *tenant.Registrar, tenant.Place) error, f fake.Fault, n int) (end []string, steps int) {
	t.Helper()
	o := newOffice(t)
	r, place := o.under(granting)
	o.create(r, place("acme"), place("globex"), place("public"))
	o.shelf.put("public/resnet50:v1", "public/other:v1")
	o.sync(r, place("acme"))
	const client = "10.0.0.9:0/1"
	o.ceph.Connect(tenant.User{Tenant: "acme", Role: tenant.Reader, Generation: 1}, client)
	r, place = o.under(withdrawn)
	o.ceph.Reset(fake.At(n, f))
	err := verb(t.Context(), r, place("acme"))
	steps = len(o.ceph.Trace())
	if n > 0 {
		if err == nil {
			t.Errorf("no error at step %d", n)
		}
		o.ceph.Restart()
		err = verb(t.Context(), r, place("acme"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return append(o.rights(place("acme")), fmt.Sprint("client shut out: ", o.ceph.Blocked(client))), steps
}
