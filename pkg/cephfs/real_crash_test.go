package cephfs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/cephfs/fuse"
	"github.com/sdp-csi/sdp-csi/pkg/mount"
	"github.com/sdp-csi/sdp-csi/pkg/sharing"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// childVariable has the orders of a child of a test: what a driver is to do
// until it is killed.
const childVariable = "SDP_TEST_CEPHFS_CHILD"

// orders are a child's. The key comes by a pipe, like any secret.
type orders struct {
	Policy string
	State  string
	ID     string
	Path   string
	Write  bool
}

// secrets are what comes by the pipe.
type secrets struct{ User, Key, Golden, GoldenUser, GoldenKey string }

func TestMain(m *testing.M) {
	if text := os.Getenv(childVariable); text != "" {
		os.Exit(child([]byte(text)))
	}
	os.Exit(m.Run())
}

// child stages and unstages a volume for ever.
func child(text []byte) int {
	var o orders
	var s secrets
	err := errors.Join(json.Unmarshal(text, &o), json.NewDecoder(os.Stdin).Decode(&s))
	if err == nil {
		err = o.run(s)
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func (o orders) run(s secrets) error {
	policy, err := tenant.Parse([]byte(o.Policy))
	if err != nil {
		return err
	}
	id, err := volume.ParseID(o.ID)
	if err != nil {
		return err
	}
	at, err := policy.Open(id)
	if err != nil {
		return err
	}
	st := volume.Stage{ID: id, Path: o.Path, ReadOnly: !o.Write, Credentials: volume.Credentials{User: s.User, Key: volume.Secret(s.Key)}}
	if s.Golden != "" {
		ref, err := volume.ParseGoldenRef(s.Golden)
		if err != nil {
			return err
		}
		st.Goldens = map[volume.GoldenRef]volume.Credentials{ref: {User: s.GoldenUser, Key: volume.Secret(s.GoldenKey)}}
	}
	stager := newStager(ceph.NewReader(ceph.Options{}), mount.NewHost(), o.State)
	fmt.Println("begin")
	for {
		ctx, cancel := patience()
		err := errors.Join(stager.Stage(ctx, at, st), stager.Unstage(ctx, at, id, o.Path))
		cancel()
		if err != nil {
			return err
		}
	}
}

func newStager(r *ceph.Reader, host *mount.Host, state string) *cephfs.Stager {
	m := fuse.New(fuse.Options{Host: host, StateDir: state})
	return cephfs.NewStager(ceph.NewFileReader(r), m, host, noSteps{}).Share(sharing.Options{StateDir: state, Node: "node"})
}

// TestRealKilled kills a driver at any instant of staging and unstaging: the next
// one goes on, finds its processes again, and leaves nothing.
func TestRealKilled(t *testing.T) {
	n := newNode(t)
	ref := n.seed()
	n.grant(ref)
	n.show(ref, "v")
	n.must(n.create(volume.Spec{Name: "w"}))
	random := rand.New(rand.NewPCG(3, 4))
	for _, write := range []bool{false, true} {
		name := map[bool]string{false: "v", true: "w"}[write]
		for range 8 {
			n.killChild(name, write, ref, time.Duration(random.IntN(400))*time.Millisecond)
			n.must(n.stage(name, !write))
			if ids := n.processes(); len(ids) != 1 {
				t.Fatalf("after a kill %s has processes %v", name, ids)
			}
			n.must(n.fresh().Shown(t.Context(), n.acme, n.id(name), n.path(name)))
			n.must(n.unstage(name))
			n.nothing()
		}
	}
	n.remove(ref, "v", "w")
}

// killChild lets a child work for a while and kills it.
func (n *node) killChild(name string, write bool, ref volume.GoldenRef, after time.Duration) {
	n.t.Helper()
	text, err := json.Marshal(orders{Policy: n.policy(), State: n.state(), ID: n.id(name).String(), Path: n.path(name), Write: write})
	n.must(err)
	c := n.ro
	if write {
		c = n.rw
	}
	s := secrets{User: c.User, Key: c.Key.Reveal(), Golden: ref.String(), GoldenUser: n.golden[ref].User, GoldenKey: n.golden[ref].Key.Reveal()}
	keys, err := json.Marshal(s)
	n.must(err)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	cmd.Stdin = bytes.NewReader(keys)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	n.must(err)
	n.must(cmd.Start())
	_, err = out.Read(make([]byte, 1))
	n.must(err)
	time.Sleep(after)
	n.must(cmd.Process.Kill())
	_ = cmd.Wait() // killed
	if said.Len() > 0 {
		n.t.Logf("the child said %s", said.Bytes())
	}
}

// TestRealDeath kills the process of a golden that two volumes share: that is
// told, the next stage mounts anew, and a volume that is staged again answers.
func TestRealDeath(t *testing.T) {
	n := newNode(t)
	ref := n.seed()
	n.grant(ref)
	n.show(ref, "a", "b", "c")
	n.must(errors.Join(n.stage("a", true), n.stage("b", true)))
	before := n.processes()
	n.must(n.stage("b", true)) // a driver that has just started
	if ids := n.processes(); !slices.Equal(ids, before) || len(ids) != 1 {
		t.Fatalf("a new driver has processes %v, the former one had %v", ids, before)
	}
	n.must(syscall.Kill(before[0], syscall.SIGKILL))
	n.dies("a")
	n.must(n.fresh().Shown(t.Context(), n.acme, n.id("a"), n.path("a")))
	n.must(n.stage("c", true))
	n.reads(filepath.Join(n.path("c"), "sub/labels"), "cat\ndog\n")
	n.must(n.stage("a", true))
	n.reads(filepath.Join(n.path("a"), "sub/labels"), "cat\ndog\n")
	if ids := n.processes(); len(ids) != 1 || ids[0] == before[0] {
		t.Fatalf("processes %v", ids)
	}
	for _, name := range []string{"a", "b", "c"} {
		n.must(n.unstage(name))
	}
	n.nothing()
	n.remove(ref, "a", "b", "c")
}

// TestRealShutOut has the MDS shut the client of a golden out, as it does with a
// node that it has not heard of for long. The process lives on: the next stage
// mounts anew all the same.
func TestRealShutOut(t *testing.T) {
	n := newNode(t)
	ref := n.seed()
	n.grant(ref)
	n.show(ref, "a", "b")
	n.must(n.stage("a", true))
	before := n.processes()
	n.ceph.Admin("tell", "mds.0", "session", "evict", "auth_name="+n.golden[ref].User)
	n.dies("a")
	for _, name := range []string{"b", "a"} {
		n.must(n.stage(name, true))
		n.reads(filepath.Join(n.path(name), "sub/labels"), "cat\ndog\n")
	}
	if ids := n.processes(); len(ids) != 1 || ids[0] == before[0] {
		t.Fatalf("processes %v, before %v", ids, before)
	}
	n.must(errors.Join(n.unstage("a"), n.unstage("b")))
	n.nothing()
	n.remove(ref, "a", "b")
}

// TestRealHungClient stops the client of a golden, so that it answers nothing:
// no call waits for it longer than its caller does, and all is well when it goes
// on. Its output is its own, and none of its pipes.
func TestRealHungClient(t *testing.T) {
	n := newNode(t)
	ref := n.seed()
	n.grant(ref)
	n.show(ref, "a", "b")
	n.must(n.stage("a", true))
	process := n.processes()[0]
	for fd, want := range []string{"/dev/null", "/memfd:said (deleted)", "/memfd:said (deleted)"} {
		if is, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", process, fd)); err != nil || is != want {
			t.Errorf("descriptor %d of ceph-fuse is %s, %v", fd, is, err)
		}
	}
	n.must(syscall.Kill(process, syscall.SIGSTOP))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	calls := map[string]func() error{
		"stage": func() error { return n.fresh().Stage(ctx, n.acme, n.stageOf("b", true)) },
		"again": func() error { return n.fresh().Stage(ctx, n.acme, n.stageOf("a", true)) },
		"usage": func() error { _, err := n.host.Usage(ctx, n.path("a")); return err },
	}
	var all sync.WaitGroup
	for name, call := range calls {
		all.Go(func() {
			if err := call(); err == nil || ctx.Err() == nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	all.Wait()
	n.must(syscall.Kill(process, syscall.SIGCONT))
	for _, name := range []string{"a", "b"} {
		n.must(n.stage(name, true))
		n.reads(filepath.Join(n.path(name), "sub/labels"), "cat\ndog\n")
	}
	n.must(errors.Join(n.unstage("a"), n.unstage("b")))
	n.nothing()
	n.remove(ref, "a", "b")
}

// dies waits until what a volume shows answers nothing any more.
func (n *node) dies(name string) {
	n.t.Helper()
	wait(n.t, "the mount is dead", func() bool {
		dead, err := n.host.IsDead(n.t.Context(), n.path(name))
		n.must(err)
		return dead
	})
	if _, err := n.host.Usage(n.t.Context(), n.path(name)); !errors.Is(err, volume.ErrUnavailable) {
		n.t.Errorf("the usage of a dead volume: %v", err)
	}
}
