package fuse

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/mount"
	"github.com/sdp-csi/sdp-csi/pkg/mounter"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// actor starts stand-ins for ceph-fuse: one for each act, in their order.
type actor struct {
	mounter.Starter
	t     *testing.T
	acts  []act
	alive int
}

// act is what one stand-in does.
type act struct {
	says   string
	mounts bool
	ends   error // how; errStays: it does not
}

var errStays = errors.New("it stays")

func (a *actor) Start(_ context.Context, o mounter.Order) (mounter.Process, error) {
	now := a.acts[0]
	a.acts = a.acts[1:]
	if _, err := o.Output.WriteString(now.says); err != nil {
		return nil, err
	}
	p := &standIn{actor: a, ended: make(chan struct{}), how: now.ends}
	a.alive++
	if !errors.Is(now.ends, errStays) {
		_ = p.Kill()
	}
	if now.mounts {
		place := o.Arguments[len(o.Arguments)-1]
		source := someTarget().TableSource(cephfs.FUSESource)
		a.t.Cleanup(func() { _ = unix.Unmount(place, unix.MNT_DETACH) })
		// After the driver began to wait, or before: both must do.
		time.AfterFunc(10*time.Millisecond, func() {
			if err := unix.Mount(source, place, "tmpfs", unix.MS_RDONLY, ""); err != nil {
				a.t.Error(err)
			}
		})
	}
	return p, nil
}

type standIn struct {
	actor *actor
	ended chan struct{}
	how   error
}

func (p *standIn) ID() int { return 1 }

func (p *standIn) Wait(ctx context.Context) error {
	select {
	case <-p.ended:
		return p.how
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), volume.ErrUnavailable)
	}
}

func (p *standIn) Kill() error {
	p.actor.alive--
	close(p.ended)
	return nil
}

func (p *standIn) Close() {}

// TestStart waits for the mount, and not for the end of what serves it.
func TestStart(t *testing.T) {
	denied := "ceph-fuse[7]: ceph mount failed with (13) Permission denied\n"
	for name, c := range map[string]struct {
		acts  []act
		gone  bool // the caller goes away soon
		want  error
		alive int
	}{
		"it mounts":                   {acts: []act{{says: "starting fuse\n", mounts: true, ends: errStays}}, alive: 1},
		"it may not":                  {acts: []act{{says: denied, ends: volume.ErrUnavailable}}, want: volume.ErrDenied},
		"an odd answer first":         {acts: []act{{ends: volume.ErrUnavailable}, {mounts: true, ends: errStays}}, alive: 1},
		"content without a mount":     {acts: make([]act, tries), want: volume.ErrUnavailable},
		"it hangs, and is given up":   {acts: []act{{ends: errStays}}, gone: true, want: volume.ErrUnavailable},
		"it says much before it ends": {acts: []act{{says: denied + strings.Repeat("x", room-len(denied)), ends: volume.ErrUnavailable}}, want: volume.ErrDenied},
	} {
		t.Run(name, func(t *testing.T) {
			place := filepath.Join(t.TempDir(), "place")
			if err := os.Mkdir(place, 0o700); err != nil {
				t.Fatal(err)
			}
			a := &actor{t: t, acts: c.acts}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.gone {
				time.AfterFunc(20*time.Millisecond, cancel)
			}
			target := someTarget()
			target.ReadOnly = true
			err := New(Options{Host: mount.NewHost(), Starter: a}).start(ctx, target, place, volume.Credentials{User: "a"})
			if !errors.Is(err, c.want) || c.want == nil && err != nil || a.alive != c.alive {
				t.Errorf("%v, and %d left", err, a.alive)
			}
		})
	}
}
