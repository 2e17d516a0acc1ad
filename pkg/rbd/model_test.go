package rbd_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// model is what should be there, by names: what each volume's image begins
// with, its size, and what snapshots keep of them.
type model struct {
	volumes   map[string]disk
	snapshots map[string]disk
}

type disk struct {
	text      string
	mebibytes int64
}

// TestModel makes random requests, of which one in four meets a fault, repeats
// each until it succeeds, and compares what there is with the model. At the
// end all is deleted, in random order and with faults, and nothing is left.
func TestModel(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			g := game{world: newWorld(t), r: rand.New(rand.NewPCG(seed, 1)), model: model{map[string]disk{}, map[string]disk{}}}
			for range 60 {
				g.move()
				g.compare()
			}
			g.end()
		})
	}
}

// game is a world that is compared with a model.
type game struct {
	*world
	model
	r *rand.Rand
}

var (
	volumeNames   = []string{"a", "b", "c", "d", "e"}
	snapshotNames = []string{"s", "t", "u"}
)

func (g *game) pick(from []string) string { return from[g.r.IntN(len(from))] }

// insist repeats a request until Ceph lets it through, by a fresh driver each
// time. What comes late comes before the next try.
func (g *game) insist(request func() error) error {
	g.t.Helper()
	for range 1000 {
		g.ceph.Reset(g.trouble)
		err := request()
		g.checkSentinel(err)
		g.ceph.Restart()
		g.ceph.Settle()
		if !errors.Is(err, volume.ErrUnavailable) {
			return err
		}
	}
	g.t.Fatal("no end of tries")
	return nil
}

// trouble breaks one effect in 40, which is a request in four or so.
func (g *game) trouble(fake.Call) fake.Fault {
	if g.r.IntN(40) > 0 {
		return fake.Fault{}
	}
	return fake.Fault{When: []fake.When{fake.Before, fake.After, fake.Late}[g.r.IntN(3)], Crash: g.r.IntN(2) == 0}
}

func (g *game) move() {
	g.t.Helper()
	name, other, snap := g.pick(volumeNames), g.pick(volumeNames), g.pick(snapshotNames)
	size := int64(g.r.IntN(64) + 1)
	switch g.r.IntN(8) {
	case 0:
		g.make(name, "", "", disk{}, true, size)
	case 1:
		g.make(name, "golden", "squad", disk{"content of squad", 64}, true, size)
	case 2:
		from, ok := g.model.volumes[other]
		g.make(name, "volume", other, from, ok && other != name, size)
	case 3:
		from, ok := g.model.snapshots[snap]
		g.make(name, "snapshot", snap, from, ok, size)
	case 4, 5:
		g.must(g.insist(func() error { return g.delete(name) }))
		delete(g.model.volumes, name)
	case 6:
		g.keep(snap, other)
	case 7:
		g.must(g.insist(func() error { return g.deleteSnapshot(snap) }))
		delete(g.model.snapshots, snap)
	}
	g.enlarge(other, size)
}

func (g *game) make(name, kind, source string, from disk, possible bool, size int64) {
	g.t.Helper()
	if _, there := g.model.volumes[name]; there {
		return
	}
	err := g.insist(func() error { return g.create(g.spec(name, kind, source, size, false)) })
	if !possible {
		if !errors.Is(err, volume.ErrNotFound) {
			g.t.Fatalf("%s from %s %s that is not there: %v", name, kind, source, err)
		}
		return
	}
	g.must(err)
	from.mebibytes = max(from.mebibytes, size)
	if kind == "" {
		from.text = fmt.Sprintf("written to %s, %d", name, g.r.IntN(1000))
		g.must(g.ceph.Fill(g.at, "vol."+g.id(name).Hash, "ext4", from.text))
	}
	g.model.volumes[name] = from
}

func (g *game) keep(snap, of string) {
	g.t.Helper()
	if _, there := g.model.snapshots[snap]; there {
		return
	}
	from, ok := g.model.volumes[of]
	err := g.insist(func() error { return g.snapshot(snap, of) })
	if !ok {
		if !errors.Is(err, volume.ErrNotFound) {
			g.t.Fatalf("snapshot of %s that is not there: %v", of, err)
		}
		return
	}
	g.must(err)
	g.model.snapshots[snap] = from
}

func (g *game) enlarge(name string, size int64) {
	g.t.Helper()
	d, ok := g.model.volumes[name]
	if !ok {
		return
	}
	g.must(g.insist(func() error { return g.expand(name, size) }))
	d.mebibytes = max(d.mebibytes, size)
	g.model.volumes[name] = d
}

// compare looks at all that is listed, and reads each image.
func (g *game) compare() {
	g.t.Helper()
	found := g.world.volumes()
	if got, want := fmt.Sprint(names(found)), fmt.Sprint(names(g.model.volumes)); got != want {
		g.t.Fatalf("there are volumes %s, want %s", got, want)
	}
	for name, want := range g.model.volumes {
		text, err := g.ceph.Peek(g.at, "vol."+g.id(name).Hash, len(want.text))
		if err != nil || text != want.text || found[name].Capacity != want.mebibytes*mib {
			g.t.Fatalf("volume %s has %d bytes and reads %q (%v), want %+v", name, found[name].Capacity, text, err, want)
		}
	}
	kept := map[string]volume.Snapshot{}
	for _, s := range g.world.snapshots() {
		kept[s.Name] = s
	}
	if got, want := fmt.Sprint(names(kept)), fmt.Sprint(names(g.model.snapshots)); got != want {
		g.t.Fatalf("there are snapshots %s, want %s", got, want)
	}
	for name, want := range g.model.snapshots {
		if kept[name].Size != want.mebibytes*mib {
			g.t.Fatalf("snapshot %s has %d bytes, want %+v", name, kept[name].Size, want)
		}
	}
}

func (g *game) end() {
	all := append(append([]string(nil), volumeNames...), snapshotNames...)
	g.r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, name := range all {
		g.must(g.insist(func() error { return errors.Join(g.delete(name), g.deleteSnapshot(name)) }))
	}
	g.expect("all is deleted", nil)
}
