package rbd_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// sharers are three volumes of two goldens.
var sharers = [...]string{"a1", "a2", "b1"}

// play is a node in which sharing is played against a model: which volumes are
// staged, and nothing else.
type play struct {
	node
	stager *rbd.Stager
	staged map[string]bool
}

// moves are all that can happen: a stage and an unstage of each volume, a
// restart of the driver with its sweep.
func moves() []string {
	all := []string{"restart"}
	for _, v := range sharers {
		all = append(all, "stage "+v, "unstage "+v)
	}
	return all
}

// do makes one move. A fault may end it; the model then follows what the mount
// table shows, as a kubelet's retry would find it.
func (p *play) do(move string) error {
	what, v, _ := strings.Cut(move, " ")
	switch what {
	case "stage":
		err := p.stageHere(p.stager, v)
		p.staged[v] = err == nil || p.shows(v)
		return err
	case "unstage":
		err := p.unstageHere(p.stager, v)
		p.staged[v] = err != nil && p.shows(v)
		return err
	}
	p.stager = p.fresh()
	p.host.Tidy()
	return p.stager.Sweep(p.t.Context())
}

func (p *play) shows(v string) bool {
	return slices.ContainsFunc(p.host.Contents(), func(line string) bool { return strings.HasPrefix(line, "mount "+p.path(v)+" ") })
}

// check compares the host with the model: one device and one mount for each
// golden that has a staged volume, one overlay for each staged volume. After
// a fault there may be more, which a sweep removes.
func (p *play) check(what string) {
	p.t.Helper()
	var want []string
	for _, golden := range []string{"a", "b"} {
		if slices.ContainsFunc(sharers[:], func(v string) bool { return v[:1] == golden && p.staged[v] }) {
			want = append(want, "device rbd/public/golden."+goldensOfNode[strings.Index("ab", golden)]+".v1 ro")
		}
	}
	for range slices.Clone(want) {
		want = append(want, "mount /run/sdp-csi/golden/")
	}
	for _, v := range sharers {
		if p.staged[v] {
			want = append(want, fmt.Sprintf("mount %s %q ro", p.path(v), "overlay"))
			if err := p.stager.Shown(p.t.Context(), p.at, p.id(v), p.path(v)); err != nil {
				p.t.Fatalf("%s: %v", what, err)
			}
		} else if err := p.stager.Shown(p.t.Context(), p.at, p.id(v), ""); !errors.Is(err, volume.ErrNotFound) {
			p.t.Fatalf("%s: volume %s is shown: %v", what, v, err)
		}
	}
	p.expectHost(what, want...)
}

func newPlay(t *testing.T) *play {
	n := newShared(t, sharers[:]...)
	return &play{node: n, stager: n.fresh(), staged: map[string]bool{}}
}

// end empties the node, whatever it holds, and starts anew.
func (p *play) end() {
	p.ceph.Restart()
	p.ceph.Settle()
	for _, v := range sharers {
		p.must(p.do("unstage " + v))
	}
	p.must(p.do("restart"))
	p.check("ended")
	p.ceph.Reset(nil)
}

// moveCount is how long the sequences are of which every one is played.
const moveCount = 4

// TestShareEverySequence plays every sequence of moves.
func TestShareEverySequence(t *testing.T) {
	p, all := newPlay(t), moves()
	for n := range power(len(all), moveCount) {
		for rest, i := n, 0; i < moveCount; rest, i = rest/len(all), i+1 {
			move := all[rest%len(all)]
			p.must(p.do(move))
			p.check(fmt.Sprintf("sequence %d, move %d: %s", n, i, move))
		}
		p.end()
	}
}

// TestShareEveryInterleaving plays every order in which these moves can
// come: each volume is staged and unstaged, and the driver is started
// again twice.
func TestShareEveryInterleaving(t *testing.T) {
	p, played := newPlay(t), 0
	lines := [][]string{{"restart", "restart"}}
	for _, v := range sharers {
		lines = append(lines, []string{"stage " + v, "unstage " + v})
	}
	interleave(lines, nil, func(order []string) {
		for i, move := range order {
			p.must(p.do(move))
			p.check(fmt.Sprintf("%q, after move %d", order, i))
		}
		p.end()
		played++
	})
	if played != 2520 { // 8! / 2!^4
		t.Errorf("%d orders were played", played)
	}
}

// interleave calls play with every order of the lines' moves in which each
// line keeps its own.
func interleave(lines [][]string, so []string, play func(order []string)) {
	done := true
	for i, line := range lines {
		if len(line) == 0 {
			continue
		}
		done = false
		rest := slices.Clone(lines)
		rest[i] = line[1:]
		interleave(rest, append(slices.Clone(so), line[0]), play)
	}
	if done {
		play(so)
	}
}

func power(base, exponent int) int {
	n := 1
	for range exponent {
		n *= base
	}
	return n
}

// TestShareEveryCrash breaks each move from each state at each of its effects,
// and starts the driver again: after its sweep all is as the mount table of the
// volumes says, and the move can be made.
func TestShareEveryCrash(t *testing.T) {
	for kind, fault := range breakdowns {
		t.Run(kind, func(t *testing.T) {
			p := newPlay(t)
			for state := range 1 << len(sharers) {
				for _, move := range moves() {
					for effect := 1; p.broken(state, move, effect, fault); effect++ {
						p.end()
					}
					p.end()
				}
			}
		})
	}
}

// broken stages those volumes whose bit is set in state and makes a move with
// a fault at an effect; false where it has fewer.
func (p *play) broken(state int, move string, effect int, fault fake.Fault) bool {
	for i, v := range sharers {
		if state&(1<<i) != 0 {
			p.must(p.do("stage " + v))
		}
	}
	p.ceph.Reset(fake.At(effect, fault))
	_ = p.do(move)
	if len(p.ceph.Trace()) < effect {
		return false
	}
	p.ceph.Restart()
	p.ceph.Settle()
	for _, v := range sharers {
		p.staged[v] = p.shows(v)
	}
	p.must(p.do("restart"))
	p.check(fmt.Sprintf("%s broken at effect %d of state %b, restarted", move, effect, state))
	p.must(p.do(move))
	p.check(fmt.Sprintf("%s broken at effect %d of state %b, made again", move, effect, state))
	return true
}
