package fuse

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/mounter"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// limit is how many images a node can have mapped. The kernel would do a
// million loop devices; an exporter's threads and memory are what costs.
const limit = 1024

// Options say where things are. A zero field means its default.
type Options struct {
	// StateDir has the mounts and logs (/run/sdp-csi). It must be on a file
	// system of this node, and the same one each time the driver starts.
	StateDir string
	// Starter starts the exporters (this process does).
	Starter mounter.Starter
	// MapTimeout bounds one Map where its context does not (1 min).
	MapTimeout time.Duration
	// EndTimeout bounds the wait for an exporter's end before it is killed (20 s).
	EndTimeout time.Duration
}

func (o Options) withDefaults() Options {
	if o.StateDir == "" {
		o.StateDir = "/run/sdp-csi"
	}
	if o.Starter == nil {
		o.Starter = mounter.Local{}
	}
	if o.MapTimeout <= 0 {
		o.MapTimeout = time.Minute
	}
	if o.EndTimeout <= 0 {
		o.EndTimeout = 20 * time.Second
	}
	return o
}

// Mapper is rbd.Mapper on exporter processes and loop devices.
type Mapper struct {
	options Options
	loops   loops
}

// New returns a Mapper.
func New(o Options) *Mapper {
	return &Mapper{options: o.withDefaults(), loops: loops{sys: "/sys", dev: "/dev"}}
}

// Map maps m: an exporter, its mount, a loop device. Whatever a killed mapper
// or a dead exporter left of the same mapping goes first.
func (f *Mapper) Map(ctx context.Context, m rbd.Mapping, c volume.Credentials) (rbd.Device, error) {
	m.ReadOnly = m.ReadOnly || m.Snapshot != ""
	ctx, cancel := context.WithTimeout(ctx, f.options.MapTimeout)
	defer cancel()
	spots, err := f.spots(m)
	if err != nil {
		return rbd.Device{}, err
	}
	for _, s := range spots {
		if s.complete(m) {
			return f.finish(ctx, s)
		}
		if err := f.takeDown(ctx, s.dir); err != nil {
			return rbd.Device{}, fmt.Errorf("clear what was left of the mapping: %w", err)
		}
	}
	return f.build(ctx, m, c)
}

// finish does again what a mapper may have missed that was killed while it
// attached the device: the kernel drops its question for the file's size then,
// and makes a device of size 0.
func (f *Mapper) finish(ctx context.Context, s spot) (rbd.Device, error) {
	f.loops.readAhead(ctx, s.loop)
	if err := boundedError(ctx, func() error { return f.loops.resize(s.loop, s.file()) }); err != nil {
		return rbd.Device{}, err
	}
	return s.device(), nil
}

// build makes a mapping of which nothing exists, and undoes what it began.
func (f *Mapper) build(ctx context.Context, m rbd.Mapping, c volume.Credentials) (rbd.Device, error) {
	s := f.spot(m)
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return rbd.Device{}, fmt.Errorf("make %s: %w: %w", s.dir, err, volume.ErrUnavailable)
	}
	device, err := f.fill(ctx, s, m, c)
	if err != nil {
		return rbd.Device{}, errors.Join(err, f.undo(ctx, s))
	}
	return rbd.Device{Path: device}, nil
}

// fill starts the exporter and attaches the device. Afterwards the exporter
// ends when nobody has its file open.
func (f *Mapper) fill(ctx context.Context, s spot, m rbd.Mapping, c volume.Credentials) (device string, err error) {
	exporter, err := f.start(ctx, s, m, c)
	if err != nil {
		return "", err
	}
	defer exporter.Close()
	return f.put(ctx, s, m)
}

// put attaches the device. When it returns, no device comes any more.
func (f *Mapper) put(ctx context.Context, s spot, m rbd.Mapping) (device string, err error) {
	attaching := begin(func() (string, error) { return f.loops.attach(ctx, s.file(), m.ReadOnly) })
	if device, err = attaching.wait(ctx); err != nil {
		f.outlast(s, attaching.done)
	}
	return device, err
}

// outlast waits for the end of a call that waits for the exporter, so that an
// undoing meets no device that comes later. An exporter that does not let the
// call go is killed; whether that has helped, the undoing sees.
func (f *Mapper) outlast(s spot, call <-chan struct{}) {
	if endsWithin(call, f.options.EndTimeout) {
		return
	}
	if exporter, err := find(s); err == nil && exporter != nil {
		defer exporter.close()
		_ = exporter.end(0)
	}
	endsWithin(call, killedTimeout)
}

func endsWithin(call <-chan struct{}, patience time.Duration) bool {
	select {
	case <-call:
		return true
	case <-time.After(patience):
		return false
	}
}

// undoPause is for those who only look at a new device (udev, blkid).
const undoPause = 50 * time.Millisecond

// undo takes down what a failed Map began, also when its time is over.
func (f *Mapper) undo(ctx context.Context, s spot) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*f.options.EndTimeout)
	defer cancel()
	for {
		err := f.takeDown(ctx, s.dir)
		if !errors.Is(err, volume.ErrInUse) || endsWithin(ctx.Done(), undoPause) {
			return err
		}
	}
}

// Find returns m's device.
func (f *Mapper) Find(_ context.Context, m rbd.Mapping) (rbd.Device, error) {
	spots, err := f.spots(m)
	if err != nil {
		return rbd.Device{}, err
	}
	for _, s := range spots {
		if s.mounted && s.loop != "" {
			return s.device(), nil
		}
	}
	return rbd.Device{}, fmt.Errorf("%s/%s/%s@%s is not mapped: %w", m.Pool, m.Namespace, m.Image, m.Snapshot, volume.ErrNotFound)
}

// List returns the devices of this driver's images.
func (f *Mapper) List(context.Context) ([]rbd.Mapped, error) {
	spots, err := f.all()
	if err != nil {
		return nil, err
	}
	var found []rbd.Mapped
	for _, s := range spots {
		if s.mounted && s.loop != "" && rbd.IsOurs(s.shows.Image) {
			found = append(found, rbd.Mapped{Mapping: s.shows, Device: s.device()})
		}
	}
	return found, nil
}

// Refresh makes the loop device as large as the file, whose size the exporter
// asks Ceph for.
func (f *Mapper) Refresh(ctx context.Context, m rbd.Mapping) error {
	spots, err := f.spots(m)
	if err != nil {
		return err
	}
	for _, s := range spots {
		if s.mounted && s.loop != "" {
			return boundedError(ctx, func() error { return f.loops.resize(s.loop, s.file()) })
		}
	}
	return fmt.Errorf("%s/%s/%s is not mapped: %w", m.Pool, m.Namespace, m.Image, volume.ErrNotFound)
}

// Unmap removes m's device, its mount and its exporter.
func (f *Mapper) Unmap(ctx context.Context, m rbd.Mapping) error {
	spots, err := f.spots(m)
	if err != nil {
		return err
	}
	var failed []error
	for _, s := range spots {
		failed = append(failed, f.takeDown(ctx, s.dir))
	}
	return errors.Join(failed...)
}

// Exclusive is true: the exporter of a writable mapping takes the image's lock
// by name, and librbd then hands it over to nobody.
func (f *Mapper) Exclusive() bool { return true }

// Limit returns how many images the node can have mapped.
func (f *Mapper) Limit() int64 { return limit }

// pending is a call into the kernel that may wait for an exporter.
type pending[T any] struct {
	done  chan struct{} // closed when the call has returned
	value T
	err   error
}

func begin[T any](call func() (T, error)) *pending[T] {
	p := &pending[T]{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.value, p.err = call()
	}()
	return p
}

// wait gives up waiting, not the call, when ctx ends.
func (p *pending[T]) wait(ctx context.Context) (T, error) {
	select {
	case <-p.done:
		return p.value, p.err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("the exporter does not answer: %w: %w", context.Cause(ctx), volume.ErrUnavailable)
	}
}

// boundedError waits for a call that only succeeds or not, until ctx ends.
func boundedError(ctx context.Context, call func() error) error {
	_, err := begin(func() (struct{}, error) { return struct{}{}, call() }).wait(ctx)
	return err
}
