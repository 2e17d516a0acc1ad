package tenants

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"k8s.io/klog/v2"
)

// seeds are of the sequences that are played.
var seeds = [...]uint64{1, 2, 3}

// player sends what a tenant's users can make Kubernetes send, in any order,
// about whatever IDs it has or can make up.
type player struct {
	*house
	dice *rand.Rand
	ids  []string // its own, another tenant's and forged ones
}

// TestSequencesLeaveOthersAlone plays random sequences of requests by A. None
// may change what B has: objects, bytes, users and keys.
func TestSequencesLeaveOthersAlone(t *testing.T) {
	s := newScene(t)
	s.seed(s.public, granted)
	h := newHouse(s)
	theirs := h.make(creation(s.b, "theirs", ""))
	before := s.contents(s.b)
	for _, seed := range seeds {
		p := &player{house: h, dice: rand.New(rand.NewPCG(seed, 0)), ids: []string{theirs}}
		var played []string
		for range 40 {
			played = append(played, p.play())
		}
		if after := s.contents(s.b); after != before {
			t.Fatalf("seed %d: B has other data than before:\n%s\nbefore:\n%s\nafter\n%s", seed, after, before, strings.Join(played, "\n"))
		}
		made := 0
		for _, line := range played {
			if strings.HasSuffix(line, ": OK") {
				made++
			}
		}
		if made == 0 {
			t.Errorf("seed %d: no request succeeded, which shows nothing", seed)
		}
	}
}

func (p *player) id() string { return p.ids[p.dice.IntN(len(p.ids))] }

// play sends one request. Deleting is left to IDs of A's: a volume's deletion
// names no requester, so Kubernetes alone decides who may ask for it.
func (p *player) play() string {
	ctx, c, n := p.t.Context(), p.server.controller, p.server.node
	name := fmt.Sprint("v", p.dice.IntN(6))
	var err error
	var what string
	switch p.dice.IntN(8) {
	case 0:
		what = "create " + name
		var resp *csi.CreateVolumeResponse
		if resp, err = c.CreateVolume(ctx, creation(p.a, name, "")); err == nil {
			p.ids = append(p.ids, resp.GetVolume().GetVolumeId())
		}
	case 1:
		what = "create from golden " + name
		_, err = c.CreateVolume(ctx, creation(p.a, "g"+name, p.public+"/"+granted))
	case 2:
		id := p.id()
		what = "copy " + id
		_, err = c.CreateVolume(ctx, fromVolume(creation(p.a, "c"+name, ""), id))
	case 3:
		id := p.own()
		what = "delete " + id
		_, err = c.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: id})
	case 4:
		id := p.own()
		what = "snapshot " + id
		_, err = c.CreateSnapshot(ctx, &csi.CreateSnapshotRequest{Name: "s" + name, SourceVolumeId: id})
	case 5:
		id := p.own()
		what = "expand " + id
		_, err = c.ControllerExpandVolume(ctx, &csi.ControllerExpandVolumeRequest{VolumeId: id, CapacityRange: &csi.CapacityRange{RequiredBytes: 16 << 20}})
	case 6:
		id := p.id()
		what = "stage " + id
		_, err = n.NodeStageVolume(ctx, stage(id, p.keys(p.a).Fields()))
	case 7:
		id := p.id()
		what = "forge " + id
		p.ids = append(p.ids, strings.Replace(id, p.a, p.b, 1), strings.Replace(id, p.b, p.a, 1))
	}
	return what + ": " + codeOf(err).String()
}

// own is an ID of A's, which may name nothing.
func (p *player) own() string {
	id := p.id()
	if strings.Contains(id, "."+p.b+".") {
		return strings.Replace(id, "."+p.b+".", "."+p.a+".", 1)
	}
	return id
}

// TestKeysAreNowhere searches for the keys of a whole run: in the arguments of
// every process while it runs, in errors, in the driver's log, and in those of
// Ceph's daemons.
func TestKeysAreNowhere(t *testing.T) {
	s := newScene(t)
	s.seed(s.public, granted)
	keys := s.secrets()
	stop, seen := make(chan struct{}), make(chan string, 1)
	go func() { seen <- watchArguments(stop, keys) }()
	h := newHouse(s)
	mine := h.make(creation(s.a, "mine", ""))
	var said, logged strings.Builder
	logTo(t, &logged)
	for _, secrets := range []map[string]string{s.keys(s.a).Fields(), s.keys(s.b).Fields(), {"userID": "nobody", "userKey": keys[0]}, {"userID": keys[0], "userKey": "x"}} {
		for range 5 {
			_, err := h.server.node.NodeStageVolume(t.Context(), stage(mine, secrets))
			fmt.Fprintln(&said, err)
		}
	}
	_, err := s.registrar().Rotate(t.Context(), s.place(s.a))
	must(t, err)
	fmt.Fprintf(&said, "%v %+v %#v %s\n", s.keys(s.a), s.keys(s.a), s.keys(s.a), s.keys(s.a).Reader)
	klog.Flush()
	klog.SetOutput(io.Discard)
	if !strings.Contains(logged.String(), "NodeStageVolume") || find(logged.String(), keys) {
		t.Errorf("the driver's log is empty, or has a key: %s", logged.String())
	}
	close(stop)
	if found := <-seen; found != "" {
		t.Errorf("a key is in the arguments of %s", found)
	}
	keys = append(keys, s.secrets()...)
	if found := find(said.String(), keys); found {
		t.Errorf("a key is in what was said: %s", said.String())
	}
	logs, err := filepath.Glob(filepath.Join(filepath.Dir(s.ceph.Conf()), "log", "*"))
	must(t, err)
	if len(logs) == 0 {
		t.Error("Ceph has no logs to search")
	}
	for _, path := range logs {
		text, err := os.ReadFile(path)
		must(t, err)
		if find(string(text), keys) {
			t.Errorf("a key is in %s", path)
		}
	}
}

// logTo makes klog, which writes one line at a time, write all that it can to
// w, for the rest of the process.
func logTo(t *testing.T, w io.Writer) {
	t.Helper()
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{"logtostderr": "false", "alsologtostderr": "false", "stderrthreshold": "FATAL", "v": "9"} {
		must(t, flags.Set(name, value))
	}
	klog.SetOutput(w)
}

// secrets are the keys of all tenants and goldens in force.
func (s *scene) secrets() (all []string) {
	for _, name := range []string{s.a, s.b, s.public} {
		k := s.keys(name)
		all = append(all, k.Reader.Key.Reveal(), k.Writer.Key.Reveal())
		for _, c := range k.Goldens {
			all = append(all, c.Key.Reveal())
		}
	}
	return all
}

func find(text string, keys []string) bool {
	for _, key := range keys {
		if strings.Contains(text, key) {
			return true
		}
	}
	return false
}

// watchArguments looks at all processes again and again and returns the
// arguments in which there was a key.
func watchArguments(stop <-chan struct{}, keys []string) string {
	for {
		processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, path := range processes {
			text, err := os.ReadFile(path)
			if err == nil && find(string(text), keys) {
				return path
			}
		}
		select {
		case <-stop:
			return ""
		case <-time.After(20 * time.Millisecond):
		}
	}
}
