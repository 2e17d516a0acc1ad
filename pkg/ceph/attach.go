package ceph

import (
	"context"
	"errors"
	"fmt"

	"github.com/ceph/go-ceph/rados"
	librbd "github.com/ceph/go-ceph/rbd"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Attachment is an image, or a snapshot of one, that this process serves as a
// block device. A writable one holds the image's exclusive lock until Close;
// if its process dies, librbd lets the next one break the lock and blocklists
// the dead one, once the OSD has missed its watch for 30 s. Safe for
// concurrent use: requests are librbd's blocking calls, in parallel.
type Attachment struct {
	conn     *connection
	ioctx    *rados.IOContext
	image    *librbd.Image
	identity rbd.Identity
}

// attachSettings are for a process that serves one image; they come after
// Options.settings. A cache would hold a second time what the page cache
// holds. Discards are exact, because the kernel relies on reading zeros.
// Several messenger threads let several OSDs answer at once.
func attachSettings() [][2]string {
	return [][2]string{
		{"ms_async_op_threads", "3"},
		{"rbd_parent_cache_enabled", "false"},
		{"rbd_skip_partial_discard", "false"},
	}
}

// serveTimeout (s) is for the requests of a served image: long enough for a
// failover, short enough that a reader of a lost cluster sees an error.
const serveTimeout = "300"

// Attach opens the image of m. It wraps volume.ErrNotFound also for an image
// whose identity is another one, volume.ErrInUse, naming the holder, where a
// writable image is locked. The calls into Ceph cannot be interrupted: when
// ctx ends first, what they opened is closed later, in the background.
func Attach(ctx context.Context, m rbd.Mapping, c volume.Credentials) (*Attachment, error) {
	type result struct {
		a   *Attachment
		err error
	}
	done := make(chan result)
	go func() {
		a, err := attach(m, c)
		select {
		case done <- result{a, err}:
		case <-ctx.Done():
			if err == nil {
				_ = a.Close()
			}
		}
	}()
	select {
	case r := <-done:
		return r.a, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("attach %s: %w: %w", m.Image, context.Cause(ctx), volume.ErrUnavailable)
	}
}

// Inspect says what Ceph calls the image of m, and the address of the client
// that has its exclusive lock, empty where none has. It wraps Attach's errors.
func Inspect(ctx context.Context, m rbd.Mapping, c volume.Credentials) (rbd.Identity, string, error) {
	m.ReadOnly = true
	a, err := Attach(ctx, m, c)
	if err != nil {
		return rbd.Identity{}, "", err
	}
	holder, err := a.holder()
	if closeErr := a.Close(); err == nil {
		err = closeErr
	}
	return a.identity, holder, err
}

func attach(m rbd.Mapping, c volume.Credentials) (*Attachment, error) {
	a, err := dial(m, c)
	if err != nil {
		return nil, err
	}
	if err := a.open(m); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// dial connects and enters the pool's namespace.
func dial(m rbd.Mapping, c volume.Credentials) (*Attachment, error) {
	conn, err := connect(m.Monitors, c)
	if err != nil {
		return nil, fmt.Errorf("connect to %s as client.%s: %w", monHost(m.Monitors), c.User, classifyLogin(err))
	}
	made, err := newConnection(conn)
	if err != nil {
		return nil, err
	}
	a := &Attachment{conn: made}
	if a.ioctx, err = made.in(m.Pool, m.Namespace); err != nil {
		return nil, errors.Join(fmt.Errorf("open pool %s: %w", m.Pool, classify(err)), a.Close())
	}
	return a, nil
}

func connect(monitors []string, c volume.Credentials) (*rados.Conn, error) {
	l := login{id: loginID{monitors: monHost(monitors), user: c.User}}
	conn, err := Options{}.withDefaults().prepare(l, c.Key)
	if err != nil {
		return nil, err
	}
	for _, s := range attachSettings() {
		if err := conn.SetConfigOption(s[0], s[1]); err != nil {
			return nil, err
		}
	}
	return conn, conn.Connect()
}

// open opens the image and, for writing, locks it.
func (a *Attachment) open(m rbd.Mapping) (err error) {
	openImage := librbd.OpenImage
	if m.ReadOnly || m.Snapshot != "" {
		openImage = librbd.OpenImageReadOnly
	}
	if a.image, err = openImage(a.ioctx, m.Image, m.Snapshot); err != nil {
		return fmt.Errorf("open %s/%s/%s@%s: %w", m.Pool, m.Namespace, m.Image, m.Snapshot, classify(err))
	}
	if err := a.identify(m); err != nil {
		return err
	}
	if !m.ReadOnly && m.Snapshot == "" {
		if err := a.lock(m); err != nil {
			return err
		}
	}
	return a.conn.conn.SetConfigOption("rados_osd_op_timeout", serveTimeout)
}

// identify finds out what was opened, and whether it is what was meant.
func (a *Attachment) identify(m rbd.Mapping) (err error) {
	a.identity.FSID, a.identity.PoolID = a.conn.fsid, a.ioctx.GetPoolID()
	if a.identity.ImageID, err = a.image.GetId(); err != nil {
		return fmt.Errorf("ask for the id of %s: %w", m.Image, classify(err))
	}
	if m.Snapshot != "" {
		if a.identity.SnapshotID, err = a.image.GetSnapID(m.Snapshot); err != nil {
			return fmt.Errorf("ask for the id of %s@%s: %w", m.Image, m.Snapshot, classify(err))
		}
	}
	if !m.Identity.Agrees(a.identity) {
		return fmt.Errorf("%s@%s is image %s of pool %d of cluster %s, not the one that was meant: %w",
			m.Image, m.Snapshot, a.identity.ImageID, a.identity.PoolID, a.identity.FSID, volume.ErrNotFound)
	}
	return nil
}

// lock takes the exclusive lock for good: taken by name, librbd does not hand
// it over to whoever writes next.
func (a *Attachment) lock(m rbd.Mapping) error {
	err := a.image.LockAcquire(librbd.LockModeExclusive)
	if err == nil {
		return nil
	}
	if holder, holderErr := a.holder(); holderErr == nil && holder != "" {
		return fmt.Errorf("%s is held by the client at %s: %w", m.Image, holder, volume.ErrInUse)
	}
	return fmt.Errorf("lock %s: %w", m.Image, classify(err))
}

// holder returns the address of the client that has the image's lock. What
// librbd calls lock owners it does not tell about an image opened read-only.
func (a *Attachment) holder() (string, error) {
	_, lockers, err := a.image.ListLockers()
	if err != nil || len(lockers) == 0 {
		return "", classify(err)
	}
	return lockers[0].Addr, nil
}

// Identity returns what Ceph calls the image.
func (a *Attachment) Identity() rbd.Identity { return a.identity }

// ReadAt is io.ReaderAt.
func (a *Attachment) ReadAt(p []byte, off int64) (int, error) { return a.image.ReadAt(p, off) }

// WriteAt is io.WriterAt. The data is in Ceph when it returns.
func (a *Attachment) WriteAt(p []byte, off int64) (int, error) { return a.image.WriteAt(p, off) }

// Flush waits for all writes that are on their way.
func (a *Attachment) Flush() error { return a.image.Flush() }

// Zero makes a range read as zeros and frees its space.
func (a *Attachment) Zero(offset, length int64) error {
	_, err := a.image.Discard(uint64(offset), uint64(length))
	return err
}

// Size returns the image's size. A writable image is watched and tells the
// size of now; a snapshot has only one.
func (a *Attachment) Size() (int64, error) {
	size, err := a.image.GetSize()
	return int64(size), err
}

// Close gives the lock back and leaves Ceph.
func (a *Attachment) Close() (err error) {
	if a.image != nil {
		err = a.image.Close()
	}
	a.conn.close()
	if err != nil {
		return fmt.Errorf("close the image: %w: %w", err, volume.ErrUnavailable)
	}
	return nil
}
