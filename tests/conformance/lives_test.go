package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// lives are volumes' lives, a request a line, which must all succeed; those
// that begin with a ! are refused with the error that the line ends with. At
// the end nothing is left.
//
//	create NAME MiB [ro] [block] [FROM SOURCE]    FROM is golden, volume or snapshot
//	snapshot NAME VOLUME
//	expand NAME MiB
//	write NAME TEXT, read NAME TEXT               what the image begins with
//	size NAME MiB                                 the capacity
//	delete NAME, unsnap NAME
//	list NAME…, snapshots NAME…                   all there are
//
// A line that begins with a fact and a ? is for the backends of which that is
// true, with no- before it for the others.
var lives = map[string]string{
	"blank": `
		create a 8
		size a 8
		create a 8
		list a
		expand a 16
		expand a 16
		expand a 4
		size a 16
		delete a
		delete a
		list
		! expand a 20 not found`,
	"read-only from a golden": `
		create a 1 ro golden resnet50
		create a 1 ro golden resnet50
		create b 64 ro golden resnet50
		size a 12
		size b 64
		read a weights
		list a b
		! expand a 32 invalid
		delete a
		read b weights
		delete b`,
	"writable from a golden": `
		create a 1 golden squad
		create b 32 golden squad
		size a 12
		size b 32
		write a mine
		read a mine
		read b corpus
		expand a 24
		delete a
		delete b`,
	"refusals": `
		! create a 8 ro invalid
		formats? ! create a 1 golden resnet50 invalid
		! create a 1 golden none not found
		! create a 1 volume none not found
		! create a 1 snapshot none not found
		! snapshot s none not found
		no-block? ! create b 8 block invalid
		block? create b 8 block
		block? ! create a 8 volume b invalid
		block? list b
		delete b
		unsnap s`,
	"from a snapshot": `
		create a 8
		write a first
		snapshot s a
		snapshot s a
		write a later
		create b 1 snapshot s
		create c 32 snapshot s
		create d 1 ro snapshot s
		size b 8
		size c 32
		read b first
		read c first
		read d first
		read a later
		write b other
		read c first
		snapshots s
		list a b c d
		delete b
		delete a
		create e 1 snapshot s
		read e first
		holds? ! unsnap s in use
		holds? delete d
		unsnap s
		! create f 1 snapshot s not found
		read e first
		read c first
		delete c
		delete d
		delete e`,
	"copies": `
		create a 8
		write a text
		create b 1 volume a
		create c 1 volume b
		create d 32 volume c
		read d text
		delete b
		read c text
		delete a
		read d text
		create e 1 volume d
		delete d
		delete c
		read e text
		delete e`,
	"copies of a golden's clones": `
		create a 64 ro golden resnet50
		create b 1 ro volume a
		size b 12
		read b weights
		delete a
		read b weights
		create c 1 golden squad
		create d 1 volume c
		delete c
		read d corpus
		delete d
		delete b`,
	"a name again": `
		create a 8
		write a old
		snapshot s a
		delete a
		create a 8
		write a new
		snapshot t a
		create b 1 snapshot s
		create c 1 snapshot t
		read b old
		read c new
		delete a
		unsnap s
		unsnap t
		delete b
		delete c`,
	"block": `
		block? create a 8 block
		block? write a raw
		block? snapshot s a
		block? create b 1 block snapshot s
		block? read b raw
		delete a
		unsnap s
		delete b`,
	"shown as it was": `
		create a 8
		write a first
		create b 1 ro volume a
		write a later
		read b first
		snapshot s b
		delete a
		read b first
		delete b
		create c 1 snapshot s
		create d 1 ro snapshot s
		create e 1 ro volume d
		read c first
		delete d
		read e first
		unsnap s
		read e first
		delete c
		delete e`,
	"expanded after a copy": `
		create a 8
		snapshot s a
		expand a 32
		create b 1 volume a
		create c 1 snapshot s
		size b 32
		size c 8
		expand c 64
		delete a
		delete b
		delete c
		unsnap s`,
}

// TestLives lives each life in a crowd of the others.
func TestLives(t *testing.T) {
	onBackends(t, func(t *testing.T, b backend) {
		registry := b.seed(t)
		p := b.begin(registry)
		t.Run("all", func(t *testing.T) {
			for name, script := range lives {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					l := newLife(t, b, p, name)
					for line := range strings.Lines(strings.TrimSpace(script)) {
						l.line(strings.TrimSpace(line))
					}
				})
			}
		})
		b.unseed(t, registry)
		b.expectNothing(t, b.acme)
		b.expectNothing(t, b.public)
	})
}

// TestDeletionOrders deletes a volume, its snapshot and what was made of them
// in every order; on a real Ceph in every fourth.
func TestDeletionOrders(t *testing.T) {
	onBackends(t, func(t *testing.T, b backend) {
		p := b.begin(goldens{})
		t.Run("all", func(t *testing.T) {
			for i, order := range orders([]string{"delete a", "unsnap s", "delete b", "delete c"}) {
				if b.slow && i%4 > 0 {
					continue
				}
				t.Run(strings.Join(order, ", "), func(t *testing.T) {
					t.Parallel()
					l := newLife(t, b, p, fmt.Sprint("order ", i))
					script := append([]string{"create a 8", "write a text", "snapshot s a", "create b 1 snapshot s", "create c 1 volume a"}, order...)
					for _, line := range script {
						l.line(line)
					}
				})
			}
		})
		b.expectNothing(t, b.acme)
	})
}

// orders returns all permutations.
func orders(items []string) [][]string {
	if len(items) == 0 {
		return [][]string{nil}
	}
	var all [][]string
	for i, first := range items {
		rest := slices.Concat(items[:i], items[i+1:])
		for _, tail := range orders(rest) {
			all = append(all, append([]string{first}, tail...))
		}
	}
	return all
}

// Resolve implements rbd.Goldens.
func (g goldens) Resolve(_ context.Context, _ tenant.Place, ref volume.GoldenRef) (volume.Golden, error) {
	found, ok := g[ref.Name]
	if !ok {
		return volume.Golden{}, fmt.Errorf("golden %s: %w", ref, volume.ErrNotFound)
	}
	return found, nil
}

// life is one script at work, on names of its own.
type life struct {
	backend
	provisioner
	t    *testing.T
	name string
}

func newLife(t *testing.T, b backend, p provisioner, name string) life {
	return life{backend: b, provisioner: p, t: t, name: name}
}

func (l life) id(name string) volume.ID { return l.backend.id(l.name + " " + name) }

func (l life) snapshotID(name string) volume.SnapshotID {
	return l.backend.snapshotID(l.name + " " + name)
}

// refusals are the errors that scripts name.
var refusals = map[string]error{"invalid": volume.ErrInvalid, "found": volume.ErrNotFound, "use": volume.ErrInUse}

func (l life) line(line string) {
	l.t.Helper()
	line, applies := l.applies(line)
	if !applies {
		return
	}
	words := strings.Fields(line)
	var want error
	if words[0] == "!" {
		want = refusals[words[len(words)-1]]
		words = words[1 : len(words)-1]
		if last := len(words) - 1; words[last] == "not" || words[last] == "in" {
			words = words[:last]
		}
	}
	if err := l.do(words[0], words[1:]); !errors.Is(err, want) {
		l.t.Fatalf("%s: got %v", line, err)
	}
}

func (l life) do(verb string, words []string) error {
	ctx := l.t.Context()
	switch verb {
	case "create":
		return l.create(words)
	case "snapshot":
		_, err := l.CreateSnapshot(ctx, l.acme, l.snapshotID(words[0]), l.name+" "+words[0], l.id(words[1]))
		return err
	case "expand":
		_, err := l.Expand(ctx, l.acme, l.id(words[0]), volume.Size{Required: mebibytes(words[1])})
		return err
	case "delete":
		return l.Delete(ctx, l.acme, l.id(words[0]))
	case "unsnap":
		return l.DeleteSnapshot(ctx, l.acme, l.snapshotID(words[0]))
	case "write":
		l.write(l.t, l.id(words[0]), words[1])
		return nil
	}
	return l.look(verb, words)
}

func mebibytes(word string) int64 {
	n, _ := strconv.ParseInt(word, 10, 64)
	return n * mib
}

func (l life) create(words []string) error {
	spec := volume.Spec{Name: l.name + " " + words[0], Size: volume.Size{Required: mebibytes(words[1])}}
	for i, word := range words[2:] {
		switch word {
		case "ro":
			spec.ReadOnly = true
		case "block":
			spec.Block = true
		case "golden":
			spec.Source.Golden = volume.GoldenRef{Tenant: l.public.Tenant(), Name: words[i+3], Version: "v1"}
		case "volume":
			spec.Source.Volume = l.id(words[i+3])
		case "snapshot":
			spec.Source.Snapshot = l.snapshotID(words[i+3])
		}
	}
	v, err := l.Create(l.t.Context(), l.acme, l.public, l.id(words[0]), spec)
	if err == nil {
		err = spec.Check(v)
	}
	return err
}

// look compares what there is with what a script says.
func (l life) look(verb string, words []string) error {
	var got []string
	switch verb {
	case "read":
		got = []string{words[0], l.read(l.t, l.id(words[0]), len(words[1]))}
	case "size":
		v, err := l.Get(l.t.Context(), l.acme, l.id(words[0]))
		must(l.t, err)
		got = []string{words[0], fmt.Sprint(v.Capacity / mib)}
	case "list":
		got = listed(l, l.List, func(v volume.Volume) string { return v.Name })
	case "snapshots":
		got = listed(l, l.ListSnapshots, func(s volume.Snapshot) string { return s.Name })
	default:
		return fmt.Errorf("no such verb: %s", verb)
	}
	if !slices.Equal(got, words) {
		return fmt.Errorf("there is %q", got)
	}
	return nil
}

// listed pages through a list and returns the life's own names in order.
func listed[T any](l life, list func(context.Context, tenant.Place, string, int) ([]T, string, error), name func(T) string) []string {
	var names []string
	after := ""
	for {
		all, last, err := list(l.t.Context(), l.acme, after, 3)
		must(l.t, err)
		for _, one := range all {
			if own, ok := strings.CutPrefix(name(one), l.name+" "); ok {
				names = append(names, own)
			}
		}
		if after = last; last == "" {
			slices.Sort(names)
			return names
		}
	}
}
