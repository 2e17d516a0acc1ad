package mounter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// enough bounds what a busy machine may make slow.
const enough = 2 * time.Minute

// variable makes a process of this test program a mounter, a driver or a
// stranger. Its arguments are in the next words.
const variable = "SDP_TEST_ROLE"

func TestMain(m *testing.M) {
	roles := map[string]func(arguments []string) error{"mounter": beMounter, "driver": beDriver, "stranger": beStranger}
	role, ok := roles[os.Getenv(variable)]
	if !ok {
		os.Exit(m.Run())
	}
	if err := role(os.Args[1:]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// beMounter serves until it is killed: socket, state directory, program.
func beMounter(arguments []string) error {
	return NewServer(exports(arguments[2]), arguments[1]).Serve(context.Background(), arguments[0])
}

// beDriver has a program started, tells its number, and stays until it is
// killed: socket (empty: by itself), program, directory, log.
func beDriver(arguments []string) error {
	out, err := os.Create(arguments[3])
	if err != nil {
		return err
	}
	var starter Starter = NewClient(arguments[0])
	if arguments[0] == "" {
		starter = exports(arguments[1])
	}
	control, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	p, err := starter.Start(context.Background(), Order{
		Program: Export, Arguments: []string{arguments[2]}, Output: out, Files: []*os.File{os.NewFile(uintptr(control[1]), "control")},
	})
	if err != nil {
		return err
	}
	fmt.Println(p.ID())
	select {}
}

// beStranger becomes a user without rights and hears what he is told: socket.
func beStranger(arguments []string) error {
	if err := syscall.Setuid(65534); err != nil {
		return err
	}
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: arguments[0], Net: "unixpacket"})
	if err != nil {
		return err
	}
	var r reply
	if _, err := receive(conn, &r); err != nil {
		return err
	}
	return r.err()
}

// role starts this test program in a role.
func role(t *testing.T, name string, arguments ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0], arguments...)
	c.Env = append(os.Environ(), variable+"="+name)
	t.Cleanup(func() {
		if c.Process != nil {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
	})
	return c
}

// exports starts that program for sdp-export.
func exports(program string) Local { return Local{Paths: map[string]string{Export: program}} }

// program stands for one of the project's: it tells what it got, and what the
// directory that it was told is to mount on has for it to do.
const program = `#!/bin/sh
echo "told $*"
[ -e "$1/reads" ] && echo "key $(cat /proc/self/fd/3)"
[ -e "$1/forks" ] && { sleep 600 & echo "child $!"; }
[ -e "$1/ends" ] && exit "$(cat "$1/ends")"
echo ready
exec sleep 600
`

// bench is a state directory with a program and a place for it to mount on.
type bench struct {
	t                    *testing.T
	state, place, script string
	socket               string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, state: filepath.Join(t.TempDir(), "state")}
	b.place, b.script, b.socket = filepath.Join(b.state, "place"), filepath.Join(b.state, "program"), filepath.Join(b.state, "socket")
	b.must(os.MkdirAll(b.place, 0o700))
	b.must(os.WriteFile(b.script, []byte(program), 0o700))
	return b
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// does leaves word for the program.
func (b *bench) does(what, how string) {
	b.t.Helper()
	b.must(os.WriteFile(filepath.Join(b.place, what), []byte(how), 0o600))
}

// serve serves in this process until the test ends.
func (b *bench) serve() *Server {
	b.t.Helper()
	s := NewServer(exports(b.script), b.state)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, b.socket) }()
	b.t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			b.t.Error(err)
		}
	})
	b.eventually("the socket", b.answers)
	return s
}

func (b *bench) answers() bool {
	conn, err := net.Dial("unixpacket", b.socket)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

func (b *bench) eventually(what string, done func() bool) {
	b.t.Helper()
	for until := time.Now().Add(enough); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			b.t.Fatalf("waited %s for %s", enough, what)
		}
	}
}

// order is one for an exporter; the file is what it says.
func (b *bench) order() (Order, *os.File) {
	b.t.Helper()
	out, err := InMemory("said", "")
	b.must(err)
	control, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	b.must(err)
	_ = unix.Close(control[0])
	file := os.NewFile(uintptr(control[1]), "control")
	b.t.Cleanup(func() {
		_ = out.Close()
		_ = file.Close()
	})
	return Order{Program: Export, Arguments: []string{b.place}, Output: out, Files: []*os.File{file}}, out
}

// started starts an order's program, which ends with the test.
func (b *bench) started(s Starter, o Order) Process {
	b.t.Helper()
	p, err := s.Start(b.t.Context(), o)
	b.must(err)
	b.t.Cleanup(func() {
		_ = p.Kill()
		b.eventually("the program's end", func() bool { return !lives(p.ID()) })
		p.Close()
	})
	return p
}

// lives says whether a process is there and no zombie.
func lives(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	return !bytes.HasPrefix(rest, []byte("Z"))
}

func said(file *os.File) string {
	text := make([]byte, 64<<10)
	n, _ := file.ReadAt(text, 0)
	return string(text[:n])
}

// shows returns the environment of a process and what its descriptors are.
func (b *bench) shows(pid int) (environment []string, descriptors map[string]string) {
	b.t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	var text []byte
	b.eventually("an environment, which a process that becomes another lacks for a moment", func() bool {
		text, _ = os.ReadFile(filepath.Join(proc, "environ"))
		return len(text) > 0
	})
	entries, err := os.ReadDir(filepath.Join(proc, "fd"))
	b.must(err)
	descriptors = map[string]string{}
	for _, e := range entries {
		descriptors[e.Name()], _ = os.Readlink(filepath.Join(proc, "fd", e.Name()))
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00"), descriptors
}

// saidOf returns the rest of the first line that begins so.
func saidOf(file *os.File, word string) string {
	for line := range strings.Lines(said(file)) {
		if rest, ok := strings.CutPrefix(line, word+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// starters are both implementations of the port.
func (b *bench) starters() map[string]Starter {
	return map[string]Starter{"local": exports(b.script), "by a server": NewClient(b.socket)}
}

// ends waits for the end of a program for as long as a test may take.
func (b *bench) ends(p Process) error {
	ctx, cancel := context.WithTimeout(b.t.Context(), enough)
	defer cancel()
	err := p.Wait(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		b.t.Fatal(err)
	}
	return err
}
