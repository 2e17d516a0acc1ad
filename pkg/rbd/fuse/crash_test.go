package fuse

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// A writable image has one holder. When that dies hard, the next one gets it.
func TestRealSecondWriter(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	m, content := n.image("vol.lock", someSize)
	n.mapped(m)
	second := &node{Mapper: n.another(), t: t, ceph: n.ceph, pool: n.pool, key: n.key}
	_, err := second.Map(t.Context(), m, n.key)
	if !errors.Is(err, volume.ErrInUse) || !strings.Contains(err.Error(), "127.0.0.1") {
		t.Fatalf("a second writer: %v", err)
	}
	readOnly := m
	readOnly.ReadOnly = true
	second.shows(second.mapped(readOnly), content)
	second.unmapped(readOnly)

	pid := n.exporterOf(m)
	n.killed(m)
	second.eventually("the dead holder's lock", func() bool {
		_, err := second.Map(t.Context(), m, n.key)
		if err != nil && !errors.Is(err, volume.ErrInUse) {
			t.Fatalf("after the holder's death: %v", err)
		}
		return err == nil
	})
	if again := second.exporterOf(m); again == pid {
		t.Fatal("the dead exporter serves")
	}
	second.unmapped(m)
	n.unmapped(m)
}

// A lock is given back by an unmap: the next node need not wait.
func TestRealUnmapGivesTheLockBack(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	m, _ := n.image("vol.moves", someSize)
	second := &node{Mapper: n.another(), t: t, ceph: n.ceph, pool: n.pool, key: n.key}
	for range 2 {
		n.mapped(m)
		n.unmapped(m)
		second.mapped(m)
		second.unmapped(m)
	}
}

func TestRealDeadExporter(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	m, content := n.image("golden.dead.v1", someSize)
	m = n.sealed(m)
	for name, next := range map[string]func(){
		"map":   func() { n.shows(n.mapped(m), content) },
		"unmap": func() {},
	} {
		t.Run(name, func(t *testing.T) {
			device := n.mapped(m)
			n.killed(m)
			if _, err := os.ReadFile(device); err == nil {
				t.Fatal("read from a dead exporter")
			}
			n.Mapper = New(n.options)
			if found, err := n.Find(t.Context(), m); err != nil || found.Path != device {
				t.Fatalf("found %v, %v", found, err)
			}
			next()
			n.unmapped(m)
		})
	}
}

// What is mounted on a dead exporter's device has to go first.
func TestRealDeadExporterInUse(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	m, _ := n.image("vol.deadfs", 1<<20)
	n.ceph.RBD("resize", "--no-progress", "--size", "64M", n.pool+"/acme/"+m.Image)
	device := n.mapped(m)
	n.run("mkfs.ext4", "-q", device)
	_, unmount := n.mount(device)
	n.killed(m)
	if _, err := n.Map(t.Context(), m, n.key); !errors.Is(err, volume.ErrInUse) {
		t.Fatalf("map beside a mounted dead device: %v", err)
	}
	unmount()
	n.unmapped(m)
}

// A mapper that is killed between two steps leaves what the next one finds.
func TestRealHalfMade(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	m, content := n.image("golden.half.v1", someSize)
	m = n.sealed(m)
	for name, leave := range map[string]func(s spot){
		"a directory": func(s spot) { n.made(s.dir) },
		"a log":       func(s spot) { n.logged(s.log()) },
		"a dead export without a device": func(s spot) {
			n.made(s.dir)
			exporter := n.started(s, m)
			n.killed(m)
			_ = exporter.Close()
		},
		"an export without a device": func(s spot) {
			n.made(s.dir)
			_ = n.started(s, m).Close()
		},
	} {
		for _, then := range []string{"map", "unmap", "sweep"} {
			t.Run(name+", "+then, func(t *testing.T) {
				leave(n.spot(m))
				n.Mapper = New(n.options)
				switch then {
				case "map":
					n.shows(n.mapped(m), content)
				case "sweep":
					if err := n.Sweep(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				n.unmapped(m)
				n.empty()
			})
		}
	}
}

func (n *node) made(path string) {
	n.t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) logged(path string) {
	n.t.Helper()
	if err := os.WriteFile(path, []byte("words\n"), 0o600); err != nil {
		n.t.Fatal(err)
	}
}

// started begins a mapping of which the device is still missing.
func (n *node) started(s spot, m rbd.Mapping) net.Conn {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	exporter, err := n.start(ctx, s, m, n.key)
	if err != nil {
		n.t.Fatal(err)
	}
	return exporter
}

func (n *node) empty() {
	n.t.Helper()
	if left, err := os.ReadDir(n.options.StateDir); err != nil || len(left) != 0 {
		n.t.Fatalf("left %v, %v", left, err)
	}
}

// An export whose mapper has died before the device goes by itself.
func TestRealLeftAloneExportGoes(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	m, _ := n.image("vol.alone", someSize)
	s := n.spot(m)
	n.made(s.dir)
	_ = n.started(s, m).Close()
	n.eventually("the export to go", func() bool {
		left, err := os.ReadDir(n.options.StateDir)
		return err == nil && len(left) == 0
	})
	n.mapped(m) // the lock is free
	n.unmapped(m)
}

// A mapper is killed at some moment of a map.
func TestRealKilledMapper(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	m, content := n.image("vol.killed", someSize)
	for delay := time.Duration(0); delay < 400*time.Millisecond; delay += 25 * time.Millisecond {
		child := n.mapperProcess(m)
		time.Sleep(delay)
		_ = child.Process.Kill()
		_ = child.Wait()
		n.Mapper = New(n.options)
		n.eventually("the image to be mapped", func() bool {
			d, err := n.Map(t.Context(), m, n.key)
			if errors.Is(err, volume.ErrInUse) || errors.Is(err, volume.ErrUnavailable) {
				return false
			}
			if err != nil {
				t.Fatalf("killed after %s: %v", delay, err)
			}
			n.shows(d.Path, content)
			return true
		})
		n.unmapped(m)
		n.empty()
	}
}

// mapOrder is what a mapper process is told, on its standard input.
type mapOrder struct {
	StateDir string
	Socket   string // of a mounter; empty: the process starts exporters itself
	Mapping  rbd.Mapping
	User     string
	Key      string
}

// mapperVariable makes a process of this test program a mapper.
const mapperVariable = "SDP_TEST_MAPPER"

// mapperProcess starts a process that maps m, and waits until it begins.
func (n *node) mapperProcess(m rbd.Mapping) *exec.Cmd {
	n.t.Helper()
	order, err := json.Marshal(mapOrder{n.options.StateDir, n.socket, m, n.key.User, n.key.Key.Reveal()})
	if err != nil {
		n.t.Fatal(err)
	}
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), mapperVariable+"=1")
	c.Stdin, c.Stderr = bytes.NewReader(order), os.Stderr
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		n.t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		n.t.Fatal(err)
	}
	return c
}

// mapAsOrdered is the mapper process. It stays until it is killed.
func mapAsOrdered() int {
	var o mapOrder
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		return 1
	}
	_, _ = os.Stdout.WriteString("!")
	options := Options{StateDir: o.StateDir, Starter: starter(o.Socket)}
	_, err := New(options).Map(context.Background(), o.Mapping, volume.Credentials{User: o.User, Key: volume.Secret(o.Key)})
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error())
	}
	select {}
}

// A map whose time is over has undone what it began.
func TestRealCanceledMap(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	m, content := n.image("golden.late.v1", someSize)
	m = n.sealed(m)
	for delay := time.Millisecond; delay < 500*time.Millisecond; delay *= 2 {
		ctx, cancel := context.WithTimeout(t.Context(), delay)
		d, err := n.Map(ctx, m, n.key)
		cancel()
		switch {
		case err == nil:
			n.shows(d.Path, content)
			n.unmapped(m)
		case !errors.Is(err, volume.ErrUnavailable):
			t.Fatalf("after %s: %v", delay, err)
		}
		t.Logf("after %s: %v", delay, err)
		n.empty()
	}
}

// A Ceph that accepts connections and says nothing.
func TestRealSilentCeph(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	m, _ := n.image("vol.silent", someSize)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	m.Monitors = []string{listener.Addr().String()}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := n.Map(ctx, m, n.key); !errors.Is(err, volume.ErrUnavailable) {
		t.Fatal(err)
	}
	n.empty()
}

// An exporter that hangs does not hold an unmap up for ever.
func TestRealHangingExporterIsKilled(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	m, _ := n.image("golden.hangs.v1", someSize)
	m = n.sealed(m)
	n.options.EndTimeout = time.Second
	n.mapped(m)
	if err := unix.Kill(n.exporterOf(m), unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	n.unmapped(m)
	n.empty()
}

// Nothing that others can see, or that stays, has the key.
func TestRealKeyIsNowhere(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	m, _ := n.image("vol.secret", someSize)
	n.mapped(m)
	s, err := n.spots(m)
	if err != nil {
		t.Fatal(err)
	}
	proc := filepath.Join("/proc", strconv.Itoa(s[0].exporter))
	for _, path := range []string{filepath.Join(proc, "cmdline"), filepath.Join(proc, "environ"), mountTable, s[0].log()} {
		text, err := os.ReadFile(path)
		if err != nil || bytes.Contains(text, []byte(n.key.Key.Reveal())) {
			t.Errorf("%s has the key, %v", path, err)
		}
	}
	n.unmapped(m)
	err = filepath.WalkDir(n.options.StateDir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && path != n.options.StateDir {
			t.Errorf("left %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
