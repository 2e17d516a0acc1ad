package ceph

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

// attachable makes an image of 8 MiB.
func attachable(t *testing.T) (rbd.Mapping, volume.Credentials) {
	t.Helper()
	c := realceph.New(t)
	m := rbd.Mapping{Monitors: c.Monitors(), Pool: c.Pool("acme"), Namespace: "acme", Image: "vol.attach"}
	c.RBD("create", "--size", "8M", m.Pool+"/acme/"+m.Image)
	return m, volume.Credentials{User: "admin", Key: volume.Secret(c.AdminKey())}
}

func attached(t *testing.T, m rbd.Mapping, c volume.Credentials) *Attachment {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	a, err := Attach(ctx, m, c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestRealAttachKeepsOthersOut(t *testing.T) {
	m, c := attachable(t)
	id, holder, err := Inspect(t.Context(), m, c)
	if err != nil || holder != "" || id.ImageID == "" || id.FSID == "" || id.PoolID == 0 || id.SnapshotID != 0 {
		t.Fatalf("%+v, %q, %v", id, holder, err)
	}
	m.Identity = id
	a := attached(t, m, c)
	if _, holder, err := Inspect(t.Context(), m, c); err != nil || !strings.Contains(holder, "127.0.0.1") {
		t.Errorf("held by %q, %v", holder, err)
	}
	if _, err := Attach(t.Context(), m, c); !errors.Is(err, volume.ErrInUse) {
		t.Errorf("attached twice: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := attached(t, m, c).Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRealAttachmentReadsWhatWasWritten(t *testing.T) {
	m, c := attachable(t)
	a := attached(t, m, c)
	defer func() { _ = a.Close() }()
	if size, err := a.Size(); err != nil || size != 8<<20 {
		t.Fatalf("size %d, %v", size, err)
	}
	if _, err := a.WriteAt(bytes.Repeat([]byte("x"), 16384), 4<<20-8192); err != nil {
		t.Fatal(err)
	}
	// Smaller than librbd's granularity of discards, and across two objects.
	if err := a.Zero(4<<20-512, 1024); err != nil {
		t.Fatal(err)
	}
	if err := a.Flush(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 16384)
	if _, err := a.ReadAt(got, 4<<20-8192); err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("x"), 16384)
	clear(want[8192-512 : 8192+512])
	if !bytes.Equal(got, want) {
		t.Error("read something else")
	}
}
