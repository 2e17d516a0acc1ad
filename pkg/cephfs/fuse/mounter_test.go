package fuse

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/mount"
	"github.com/sdp-csi/sdp-csi/pkg/mounter"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func someTarget() cephfs.Target {
	return cephfs.Target{
		Monitors: []string{"192.0.2.1:3300", "192.0.2.2:3300"}, FSID: "9b2c84b1-ff9c-4cb2-829f-aa63611f99d7", FileSystem: "cephfs",
		Root: "/volumes/public/public.golden.resnet50.v1.2_3",
	}
}

// TestTheMounterStartsIt holds what ceph-fuse is told to what a mounter allows,
// and to having no key in it.
func TestTheMounterStartsIt(t *testing.T) {
	state := t.TempDir()
	place := filepath.Join(state, "golden-fs", "0a")
	if err := os.MkdirAll(place, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, reads := range []bool{true, false} {
		target := someTarget()
		target.ReadOnly = reads
		key, err := mounter.InMemory("key", "secret")
		if err != nil {
			t.Fatal(err)
		}
		defer key.Close()
		o := mounter.Order{Program: mounter.CephFUSE, Arguments: arguments(target, place, "sdp.acme.ro.1"), Output: key, Files: []*os.File{key}}
		if err := o.Check(state); err != nil || strings.Contains(strings.Join(o.Arguments, " "), "secret") {
			t.Errorf("read-only %t: %v", reads, err)
		}
		row := volume.Mount{Device: target.TableSource(cephfs.FUSESource)}
		if !target.Shows(row) || (cephfs.Target{FSID: target.FSID, FileSystem: "cephfs", Root: "/volumes"}).Shows(row) {
			t.Errorf("the mount table's %s is not told", row.Device)
		}
	}
}

// TestProcesses finds who serves a path by the last of its arguments, and who
// has nothing to write.
func TestProcesses(t *testing.T) {
	proc, place := t.TempDir(), "/run/sdp-csi/golden-fs/0a"
	for id, words := range map[int][]string{
		7: {"/usr/bin/ceph-fuse", "--id=a", "-o", "fsname=x,nodev,nosuid,ro", place},
		8: {"ceph-fuse", "--id=a", "-o", "fsname=x,nodev,nosuid", place},
		9: {"ceph-fuse", "--id=a", "-o", "fsname=x,nodev,nosuid", place + "b"},
		6: {"cat", "-o", "fsname=x,ro", place}, 5: {""},
	} {
		dir := filepath.Join(proc, fmt.Sprint(id))
		if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "cmdline"), []byte(strings.Join(words, "\x00")+"\x00"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	all, err := processes{proc}.of(place + "/")
	if err != nil || len(all) != 2 || all[0] != (process{7, true}) || all[1] != (process{8, false}) {
		t.Fatalf("got %v, %v", all, err)
	}
}

// TestExplain gives what ceph-fuse says a meaning.
func TestExplain(t *testing.T) {
	cause := fmt.Errorf("exit status 1: %w", volume.ErrUnavailable)
	for said, want := range map[string]error{
		"ceph-fuse[1]: ceph mount failed with (13) Permission denied":      volume.ErrDenied,
		"x\nceph-fuse[1]: ceph mount failed with (1) Operation\nlast line": volume.ErrDenied,
		"ceph mount failed with (2) No such file or directory":             volume.ErrNotFound,
		"ceph mount failed with (110) Connection timed out":                unix.ETIMEDOUT,
		"fuse failed to start": errOdd, "": errOdd,
	} {
		file, err := mounter.InMemory("said", said)
		if err != nil {
			t.Fatal(err)
		}
		if err := explain(file, cause); !errors.Is(err, want) || errors.Is(want, errOdd) && !errors.Is(err, volume.ErrUnavailable) {
			t.Errorf("%q: %v", said, err)
		}
		_ = file.Close()
	}
}

// TestPlace leaves what is below the state directory where it is, and gives each
// other path a place of its own there.
func TestPlace(t *testing.T) {
	f := New(Options{Host: mount.NewHost(), StateDir: "/run/sdp-csi"})
	if p := f.place("/run/sdp-csi/golden-fs/0a/"); p != "/run/sdp-csi/golden-fs/0a" {
		t.Error(p)
	}
	a, b := f.place("/var/lib/kubelet/a"), f.place("/var/lib/kubelet/b")
	if a == b || filepath.Dir(a) != "/run/sdp-csi/volume-fs" || a != f.place("/var/lib/kubelet/../kubelet/a/") {
		t.Error(a, b)
	}
}
