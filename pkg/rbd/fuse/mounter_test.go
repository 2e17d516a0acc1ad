package fuse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/mounter"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// mounterVariable makes a process of this test program a mounter.
const mounterVariable = "SDP_TEST_MOUNTER"

// serveAsMounter is the mounter process. Its state directory is the socket's.
func serveAsMounter(socket string) int {
	server := mounter.NewServer(local(os.Getenv(exporterVariable)), filepath.Dir(socket))
	if err := server.Serve(context.Background(), socket); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// starter starts exporters by itself, or through a mounter.
func starter(socket string) mounter.Starter {
	if socket == "" {
		return local(os.Getenv(exporterVariable))
	}
	return mounter.NewClient(socket)
}

// withMounter gives the node a mounter in a mount namespace of its own, as in a
// container of its own: the state directory is a mount that both share.
func (n *node) withMounter() *exec.Cmd {
	n.t.Helper()
	if n.socket == "" {
		n.socket = filepath.Join(n.options.StateDir, "socket")
		n.bound(n.options.StateDir)
		n.options.Starter = mounter.NewClient(n.socket)
		n.Mapper = New(n.options)
	}
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), mounterVariable+"="+n.socket)
	c.Stderr = os.Stderr
	// Cloneflags, unlike Unshareflags, leaves shared mounts shared.
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS, Setpgid: true}
	if err := c.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		_ = os.Remove(n.socket)
	})
	n.eventually("the mounter", func() bool {
		conn, err := net.Dial("unixpacket", n.socket)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return c
}

// bound makes a directory a shared mount.
func (n *node) bound(dir string) {
	n.t.Helper()
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			n.t.Error(err)
		}
	})
	if err := unix.Mount("", dir, "", unix.MS_SHARED, ""); err != nil {
		n.t.Fatal(err)
	}
}

// The driver's container ends while a pod reads: the exporter, which the
// mounter has started, serves on, and the next driver finds it.
func TestRealDriverEndsMounterStays(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.withMounter()
	m, content := n.image("golden.stays.v1", someSize)
	m = n.sealed(m)
	driver := n.mapperProcess(m)
	n.eventually("the mapping", func() bool {
		_, err := n.Find(t.Context(), m)
		return err == nil
	})
	_ = driver.Process.Kill()
	_ = driver.Wait()
	served := n.exporterOf(m)
	n.shows(n.mapped(m), content)
	if now := n.exporterOf(m); now != served {
		t.Errorf("exporter %d became %d", served, now)
	}
	if ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", served)); err != nil || ns == ownNamespace(t) {
		t.Errorf("the exporter is in %s, %v", ns, err)
	}
	n.unmapped(m)
}

func ownNamespace(t *testing.T) string {
	t.Helper()
	ns, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

// The mounter's container ends and takes its exporters along: that is met as a
// dead exporter is, as soon as there is a mounter again.
func TestRealMounterEnds(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	ending := n.withMounter()
	m, content := n.image("vol.ends", someSize)
	n.shows(n.mapped(m), content)
	_ = ending.Process.Kill()
	_ = ending.Wait()
	n.killed(m)
	_, err := n.Map(t.Context(), m, n.key)
	if !errors.Is(err, volume.ErrUnavailable) || !strings.Contains(err.Error(), "DaemonSet sdp-mounter") {
		t.Fatalf("mapped without a mounter: %v", err)
	}
	n.withMounter()
	n.eventually("the dead exporter's lock to be over", func() bool {
		_, err := n.Map(t.Context(), m, n.key)
		if err != nil && !errors.Is(err, volume.ErrInUse) {
			t.Fatal(err)
		}
		return err == nil
	})
	n.shows(n.mapped(m), content)
	n.unmapped(m)
}
