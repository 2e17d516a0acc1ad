package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// verbs are requests for one volume, made of another one, and for its snapshot.
func (b backend) verbs(registry goldens) map[string]func(provisioner) error {
	ctx := context.Background()
	create := func(spec volume.Spec) func(provisioner) error {
		return func(p provisioner) error {
			_, err := p.Create(ctx, b.acme, b.public, b.id(spec.Name), spec)
			return err
		}
	}
	return map[string]func(provisioner) error{
		"create":      create(volume.Spec{Name: "new", Size: volume.Size{Required: mib}}),
		"show golden": create(registry.spec("new", "resnet50", true)),
		"copy golden": create(registry.spec("new", "squad", false)),
		"show volume": create(volume.Spec{Name: "new", ReadOnly: true, Source: volume.Source{Volume: b.id("v")}}),
		"copy volume": create(volume.Spec{Name: "new", Source: volume.Source{Volume: b.id("v")}}),
		"delete":      func(p provisioner) error { return p.Delete(ctx, b.acme, b.id("new")) },
		"delete v":    func(p provisioner) error { return p.Delete(ctx, b.acme, b.id("v")) },
		"snapshot": func(p provisioner) error {
			_, err := p.CreateSnapshot(ctx, b.acme, b.snapshotID("s"), "s", b.id("v"))
			return err
		},
		"unsnap": func(p provisioner) error { return p.DeleteSnapshot(ctx, b.acme, b.snapshotID("s")) },
		"expand v": func(p provisioner) error {
			_, err := p.Expand(ctx, b.acme, b.id("v"), volume.Size{Required: 16 * mib})
			return err
		},
	}
}

// makers are the verbs that make the volume «new».
var makers = map[string]bool{"create": true, "show golden": true, "copy golden": true, "show volume": true, "copy volume": true}

// sweeper removes what crashes left, and calls that nobody waited for.
type sweeper interface {
	Sweep(ctx context.Context, at tenant.Place) error
}

// TestBetween lets one controller do a whole request between any two steps of
// another one's. Afterwards all can be deleted, and nothing is left.
func TestBetween(t *testing.T) {
	for name, begin := range map[string]func(*testing.T) backend{"rbd": fakeImages, "cephfs": fakeFiles} {
		t.Run(name, func(t *testing.T) {
			b := begin(t)
			for outer := range b.verbs(goldens{}) {
				for inner := range b.verbs(goldens{}) {
					if makers[outer] && makers[inner] && outer != inner {
						continue // one name is never asked for in two ways
					}
					t.Run(outer+" with "+inner, func(t *testing.T) {
						for n := 1; between(t, begin(t), outer, inner, n); n++ {
						}
					})
				}
			}
		})
	}
}

// between reports whether the outer request has an n-th step.
func between(t *testing.T, b backend, outer, inner string, n int) bool {
	t.Helper()
	registry := b.seed(t)
	empty := b.leftovers(b.acme)
	p, q := b.begin(registry), b.begin(registry)
	_, err := p.Create(t.Context(), b.acme, b.public, b.id("v"), volume.Spec{Name: "v", Size: volume.Size{Required: 8 * mib}})
	must(t, err)
	met, other := false, error(nil)
	b.ceph.Reset(func(c fake.Call) fake.Fault {
		if c.N == n && !met {
			met = true
			other = b.verbs(registry)[inner](q)
		}
		return fake.Fault{}
	})
	err = b.verbs(registry)[outer](p)
	b.ceph.Reset(nil)
	for what, err := range map[string]error{outer: err, inner: other} {
		if !isOneOf(err, nil, volume.ErrNotFound, volume.ErrPending, volume.ErrInUse, volume.ErrUnavailable) {
			t.Fatalf("step %d: %s: %v", n, what, err)
		}
	}
	b.takeApart(t, p, fmt.Sprintf("step %d (%v, %v)", n, err, other))
	if got := b.leftovers(b.acme); !slices.Equal(got, empty) {
		t.Fatalf("step %d (%v, %v): left over\n%q\nthere was\n%q", n, err, other, got, empty)
	}
	return met
}

// takeApart deletes all.
func (b backend) takeApart(t *testing.T, p provisioner, when string) {
	t.Helper()
	ctx := context.Background()
	if err := errors.Join(
		p.Delete(ctx, b.acme, b.id("new")),
		p.DeleteSnapshot(ctx, b.acme, b.snapshotID("s")),
		p.Delete(ctx, b.acme, b.id("v")),
	); err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	if s, ok := p.(sweeper); ok {
		must(t, s.Sweep(ctx, b.acme))
	}
}
