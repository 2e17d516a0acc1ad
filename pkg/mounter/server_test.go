package mounter

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func TestWithoutAMounter(t *testing.T) {
	b := newBench(t)
	o, _ := b.order()
	_, err := NewClient(b.socket).Start(t.Context(), o)
	if !errors.Is(err, volume.ErrUnavailable) || !strings.Contains(err.Error(), "DaemonSet sdp-mounter") || !strings.Contains(err.Error(), b.socket) {
		t.Error(err)
	}
}

func TestSocketIsOurs(t *testing.T) {
	b := newBench(t)
	b.serve()
	info, err := os.Stat(b.socket)
	b.must(err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %s", info.Mode())
	}
	if err := NewServer(Local{}, b.state).Serve(t.Context(), b.socket); !errors.Is(err, volume.ErrInUse) {
		t.Errorf("a second server: %v", err)
	}
	if !b.answers() {
		t.Error("the first one has lost its socket")
	}
}

func TestWhatIsInTheSocketsPlace(t *testing.T) {
	b := newBench(t)
	b.must(os.WriteFile(b.socket, []byte("precious"), 0o600))
	if err := NewServer(Local{}, b.state).Serve(t.Context(), b.socket); !errors.Is(err, volume.ErrInvalid) {
		t.Errorf("a file: %v", err)
	}
	if text, err := os.ReadFile(b.socket); string(text) != "precious" {
		t.Errorf("the file is %q, %v", text, err)
	}
	b.must(os.Remove(b.socket))
	if err := NewServer(Local{}, b.state).Serve(t.Context(), b.socket+"/none/socket"); !errors.Is(err, volume.ErrUnavailable) {
		t.Errorf("no directory: %v", err)
	}
}

// raw sends a message that Client would not.
func (b *bench) raw(text []byte, fds ...int) (reply, error) {
	b.t.Helper()
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: b.socket, Net: "unixpacket"})
	b.must(err)
	defer conn.Close()
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	if _, _, err := conn.WriteMsgUnix(text, rights, nil); err != nil {
		b.t.Fatal(err)
	}
	var r reply
	_, err = receive(conn, &r)
	return r, err
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// Garbage gets a refusal, starts nothing, and costs neither the server nor one
// of its descriptors.
func TestGarbage(t *testing.T) {
	b := newBench(t)
	server := b.serve()
	good, out := b.order()
	control := int(good.Files[0].Fd())
	order := []byte(`{"Program":"sdp-export","Arguments":["` + b.place + `"]}`)
	many := make([]int, maxFiles+6)
	for i := range many {
		many[i] = control
	}
	before := openFiles(t)
	for name, g := range map[string]struct {
		text []byte
		fds  []int
	}{
		"a letter":            {text: []byte("x")},
		"no JSON":             {text: []byte("\x00\xff{{{"), fds: []int{control}},
		"half":                {text: order[:20], fds: []int{int(out.Fd()), control}},
		"two":                 {text: append(append([]byte{}, order...), order...), fds: []int{int(out.Fd()), control}},
		"no files":            {text: order},
		"one file":            {text: order, fds: []int{int(out.Fd())}},
		"files swapped":       {text: order, fds: []int{control, int(out.Fd())}},
		"too many files":      {text: order, fds: many},
		"too long":            {text: append(order, make([]byte, maxMessage)...), fds: []int{int(out.Fd()), control}},
		"a thing of its own":  {text: []byte(`{"Program":"sh","Arguments":["-c","id"]}`), fds: []int{int(out.Fd())}},
		"a killer's word":     {text: []byte(`{"Kill":true}`), fds: []int{int(out.Fd())}},
		"deep":                {text: []byte(strings.Repeat("[", 60000)), fds: []int{int(out.Fd())}},
		"a place of its own":  {text: []byte(`{"Program":"sdp-export","Arguments":["/etc"]}`), fds: []int{int(out.Fd()), control}},
		"arguments that lack": {text: []byte(`{"Program":"rbd-nbd"}`), fds: []int{int(out.Fd()), control}},
	} {
		r, err := b.raw(g.text, g.fds...)
		if err != nil || r.Kind != "invalid" || r.PID != 0 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	b.eventually("the descriptors to be closed", func() bool { return openFiles(t) <= before })
	if server.Running() != 0 {
		t.Errorf("%d programs run", server.Running())
	}
	b.started(NewClient(b.socket), good)
}

// A connection that sends what it should, and then nonsense, loses nothing but
// the connection.
func TestGarbageAfterTheOrder(t *testing.T) {
	b := newBench(t)
	b.serve()
	o, _ := b.order()
	p := b.started(NewClient(b.socket), o)
	_, _, err := p.(*distant).conn.WriteMsgUnix([]byte("nonsense"), nil, nil)
	b.must(err)
	if err := b.ends(p); !errors.Is(err, volume.ErrUnavailable) {
		t.Error(err)
	}
	if !lives(p.ID()) {
		t.Error("the program has gone")
	}
}

// Another user does not get through the socket's mode, and not past it.
func TestStranger(t *testing.T) {
	b := newBench(t)
	server := b.serve()
	for dir := b.state; dir != os.TempDir(); dir = filepath.Dir(dir) {
		b.must(os.Chmod(dir, 0o755))
	}
	for mode, says := range map[os.FileMode]string{0o600: "permission denied", 0o666: "user 65534"} {
		b.must(os.Chmod(b.socket, mode))
		out, err := role(t, "stranger", b.socket).CombinedOutput()
		if err == nil || !strings.Contains(string(out), says) {
			t.Errorf("mode %o: %v, %s", mode, err, out)
		}
	}
	if server.Running() != 0 {
		t.Error("a program runs")
	}
}

// A start that is given up takes back what it asked for.
func TestGivenUp(t *testing.T) {
	b := newBench(t)
	listener, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: b.socket, Net: "unixpacket"})
	b.must(err)
	defer listener.Close()
	o, _ := b.order()
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan error, 1)
	go func() {
		_, err := NewClient(b.socket).Start(ctx, o)
		started <- err
	}()
	conn, err := listener.AcceptUnix()
	b.must(err)
	defer conn.Close()
	var r request
	given, err := receive(conn, &r)
	b.must(err)
	closeAll(given)
	cancel()
	if err := <-started; !errors.Is(err, volume.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	var k kill
	if _, err := receive(conn, &k); err != nil || !k.Kill {
		t.Errorf("told %+v, %v", k, err)
	}
}

// The server does so, also when nobody waits for its reply.
func TestGivenUpIsKilled(t *testing.T) {
	b := newBench(t)
	server := b.serve()
	o, _ := b.order()
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: b.socket, Net: "unixpacket"})
	b.must(err)
	b.must(send(conn, request{Program: o.Program, Arguments: o.Arguments}, o.Output, o.Files[0]))
	b.must(send(conn, kill{Kill: true}))
	b.must(conn.Close())
	b.eventually("a program that was killed", func() bool { return server.Running() == 0 })
	b.started(NewClient(b.socket), o)
}

// firstLine waits for what a process says first.
func (b *bench) firstLine(c *exec.Cmd) string {
	b.t.Helper()
	out, err := c.StdoutPipe()
	b.must(err)
	c.Stderr = os.Stderr
	b.must(c.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	b.must(err)
	return strings.TrimSpace(line)
}

// mounterProcess starts a server in a process of its own.
func (b *bench) mounterProcess() *exec.Cmd {
	b.t.Helper()
	c := role(b.t, "mounter", b.socket, b.state, b.script)
	b.must(c.Start())
	b.eventually("the mounter", b.answers)
	return c
}

// A driver is killed: what a mounter has started for it goes on.
func TestKilledDriver(t *testing.T) {
	b := newBench(t)
	b.mounterProcess()
	for name, socket := range map[string]string{"by a mounter": b.socket, "by itself": ""} {
		t.Run(name, func(t *testing.T) {
			log := filepath.Join(b.state, "log")
			driver := role(t, "driver", socket, b.script, b.place, log)
			pid, err := strconv.Atoi(b.firstLine(driver))
			b.must(err)
			defer func() { _ = unix.Kill(pid, unix.SIGKILL) }()
			b.must(driver.Process.Kill())
			_ = driver.Wait()
			b.eventually("the program's word", func() bool {
				text, err := os.ReadFile(log)
				return err == nil && strings.Contains(string(text), "ready")
			})
			if !lives(pid) {
				t.Error("the program has gone with its driver")
			}
		})
	}
}

// A mounter is killed, without a container that takes its programs along: they
// go on, the driver can end them, and the next mounter takes the socket over.
func TestKilledMounter(t *testing.T) {
	b := newBench(t)
	killed := b.mounterProcess()
	o, _ := b.order()
	p := b.started(NewClient(b.socket), o)
	b.must(killed.Process.Kill())
	_ = killed.Wait()
	if err := b.ends(p); !errors.Is(err, volume.ErrUnavailable) || !strings.Contains(err.Error(), "the mounter has ended") {
		t.Error(err)
	}
	if !lives(p.ID()) {
		t.Fatal("the program has gone")
	}
	if _, err := NewClient(b.socket).Start(t.Context(), o); !errors.Is(err, volume.ErrUnavailable) || !strings.Contains(err.Error(), "DaemonSet") {
		t.Errorf("on a dead mounter's socket: %v", err)
	}
	b.must(p.Kill())
	b.eventually("the end", func() bool { return !lives(p.ID()) })
	b.mounterProcess()
	again, _ := b.order()
	b.started(NewClient(b.socket), again)
}
