package conformance

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// TestStorm makes 60 read-only volumes of one golden at once, and deletes them
// at once: none waits for another one, and none is told to come again.
func TestStorm(t *testing.T) {
	onBackends(t, func(t *testing.T, b backend) {
		registry := b.seed(t)
		p, ctx := b.begin(registry), t.Context()
		for i, err := range race(60, func(i int) error {
			name := fmt.Sprint("v", i)
			_, err := p.Create(ctx, b.acme, b.public, b.id(name), registry.spec(name, "resnet50", true))
			return err
		}) {
			expect(t, fmt.Sprint("create ", i), err, nil)
		}
		if got := b.read(t, b.id("v59"), 7); got != "weights" {
			t.Errorf("a volume shows %q", got)
		}
		for i, err := range race(60, func(i int) error { return p.Delete(ctx, b.acme, b.id(fmt.Sprint("v", i))) }) {
			expect(t, fmt.Sprint("delete ", i), err, nil)
		}
		b.unseed(t, registry)
		b.expectNothing(t, b.acme)
		b.expectNothing(t, b.public)
	})
}

// TestLimits fills a tenant up to its limits, through all ways to get more.
func TestLimits(t *testing.T) {
	onBackends(t, func(t *testing.T, b backend) {
		registry := b.seed(t)
		p, ctx := b.begin(registry), t.Context()
		id := func(name string) volume.ID { return b.small.VolumeID(b.kind, name) }
		create := func(name string, size int64) error {
			_, err := p.Create(ctx, b.small, b.public, id(name), volume.Spec{Name: name, Size: volume.Size{Required: size * mib}})
			return err
		}
		free := func() int64 {
			t.Helper()
			left, err := p.Free(ctx, b.small)
			must(t, err)
			return left / mib
		}
		expect(t, "over the largest", create("a", 17), volume.ErrNoSpace)
		expect(t, "within", create("a", 4), nil)
		expect(t, "the same again", create("a", 4), nil)
		if left := free(); left != 16 {
			t.Errorf("%d MiB are left of 20 after 4", left)
		}
		_, err := p.Create(ctx, b.small, b.public, id("g"), registry.spec("g", "squad", true))
		expect(t, "of a golden, within", err, nil)
		expect(t, "a third", create("c", 1), volume.ErrNoSpace)
		if left := free(); left != 0 {
			t.Errorf("%d MiB are left where no more volumes may be", left)
		}
		_, err = p.Expand(ctx, b.small, id("a"), volume.Size{Required: 9 * mib})
		expect(t, "expand over all bytes", err, volume.ErrNoSpace)
		_, err = p.Expand(ctx, b.small, id("a"), volume.Size{Required: 8 * mib})
		expect(t, "expand within", err, nil)
		must(t, p.Delete(ctx, b.small, id("g")))
		expect(t, "a second, again", create("c", 12), nil)
		must(t, errors.Join(p.Delete(ctx, b.small, id("a")), p.Delete(ctx, b.small, id("c"))))
		b.unseed(t, registry)
		b.expectNothing(t, b.small)
	})
}

// TestSnapshotRace makes a volume show a snapshot while two controllers delete
// it. Whoever comes first: a volume that was made shows what it was made of.
func TestSnapshotRace(t *testing.T) {
	onBackends(t, func(t *testing.T, b backend) {
		p, q := b.begin(goldens{}), b.begin(goldens{})
		must(t, errors.Join(snapshotRaces(t, b, p, q)...))
		b.expectNothing(t, b.acme)
	})
}

func snapshotRaces(t *testing.T, b backend, p, q provisioner) []error {
	ctx, rounds := context.Background(), 100
	if b.slow {
		rounds = 6
	}
	_, err := p.Create(ctx, b.acme, b.public, b.id("v"), volume.Spec{Name: "v", Size: volume.Size{Required: mib}})
	must(t, err)
	b.write(t, b.id("v"), "text")
	shown := volume.Spec{Name: "c", ReadOnly: true, Source: volume.Source{Snapshot: b.snapshotID("s")}}
	for range rounds {
		_, err := p.CreateSnapshot(ctx, b.acme, b.snapshotID("s"), "s", b.id("v"))
		must(t, err)
		errs := race(3, func(i int) error {
			if i > 0 {
				return []provisioner{p, q}[i-1].DeleteSnapshot(ctx, b.acme, b.snapshotID("s"))
			}
			_, err := p.Create(ctx, b.acme, b.public, b.id("c"), shown)
			return err
		})
		if errs[0] == nil && b.read(t, b.id("c"), 4) != "text" {
			t.Errorf("the volume does not show its snapshot: %v", errs)
		}
		if errs[0] == nil && b.has(holds) && (errs[1] == nil || errs[2] == nil) {
			t.Errorf("what a volume shows was deleted: %v", errs)
		}
		for i, err := range errs {
			if !isOneOf(err, nil, volume.ErrNotFound, volume.ErrPending, volume.ErrInUse) {
				t.Errorf("call %d: %v", i, err)
			}
		}
		must(t, errors.Join(p.Delete(ctx, b.acme, b.id("c")), p.DeleteSnapshot(ctx, b.acme, b.snapshotID("s"))))
	}
	return []error{p.Delete(ctx, b.acme, b.id("v"))}
}

func isOneOf(err error, wants ...error) bool {
	for _, want := range wants {
		if errors.Is(err, want) {
			return true
		}
	}
	return false
}
