package ceph

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	librbd "github.com/ceph/go-ceph/rbd"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

// The contracts of rbd.Cluster and golden.Store are tested by
// tests/conformance. Here is what only a real Ceph can show.

// real is a cluster on the real Ceph with a pool of its own and two tenants.
type real struct {
	*Cluster
	ceph         *realceph.Ceph
	policy       *tenant.Policy
	acme, globex tenant.Place
}

func newReal(t *testing.T, o Options) real {
	t.Helper()
	t.Parallel()
	c := realceph.New(t)
	r := real{Cluster: NewCluster(o), ceph: c, policy: c.Policy("acme", "globex")}
	// Cleanups run last first: the pool goes when nobody is connected.
	t.Cleanup(r.Close)
	r.acme, r.globex = place(t, r.policy, "acme"), place(t, r.policy, "globex")
	return r
}

func place(t *testing.T, p *tenant.Policy, namespace string) tenant.Place {
	t.Helper()
	at, err := p.Admit(namespace, "")
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// ok fails the test on an error.
func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wants fails the test on an error that does not wrap the wanted one.
func wants(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want it to wrap: %v", err, want)
	}
}

func TestCloneAcrossTenants(t *testing.T) {
	r := newReal(t, Options{})
	ctx := t.Context()
	ok(t, r.CreateImage(ctx, r.globex, "golden.g.v1", 8<<20))
	ok(t, r.CreateSnapshot(ctx, r.globex, "golden.g.v1", "sealed"))
	parent := rbd.Parent{Place: r.globex, Image: "golden.g.v1", Snapshot: "sealed"}
	ok(t, r.CloneImage(ctx, parent, r.acme, "vol.1"))
	wants(t, r.CloneImage(ctx, parent, r.acme, "vol.1"), volume.ErrExists)

	info := r.ceph.RBD("info", r.acme.Pool()+"/acme/vol.1")
	for _, want := range []string{"/globex/golden.g.v1@sealed", "layering, exclusive-lock, object-map, fast-diff, deep-flatten", "order 22", "format: 2"} {
		if !strings.Contains(info, want) {
			t.Errorf("rbd info has no %q:\n%s", want, info)
		}
	}
	if n, err := r.Children(ctx, r.globex, "golden.g.v1", "sealed"); n != 1 || err != nil {
		t.Errorf("Children = %d, %v", n, err)
	}
	ok(t, r.RemoveSnapshot(ctx, r.globex, "golden.g.v1", "sealed"))
	wants(t, r.RemoveImage(ctx, r.globex, "golden.g.v1"), volume.ErrHasSnapshots)
	ok(t, r.RemoveImage(ctx, r.acme, "vol.1"))
	ok(t, r.RemoveImage(ctx, r.globex, "golden.g.v1"))
	r.expectClean(t)
}

// expectClean checks that no image is left, nor anything in a trash.
func (r real) expectClean(t *testing.T) {
	t.Helper()
	for _, at := range []tenant.Place{r.acme, r.globex} {
		space := at.Pool() + "/" + at.Namespace()
		if left := r.ceph.RBD("ls", space) + r.ceph.RBD("trash", "ls", "--all", space); left != "" {
			t.Errorf("left in %s: %s", space, left)
		}
		for object := range strings.Lines(r.ceph.Rados("-p", at.Pool(), "-N", at.Namespace(), "ls")) {
			if !strings.HasPrefix(object, "rbd_directory") && !strings.HasPrefix(object, "rbd_trash") &&
				!strings.HasPrefix(object, "rbd_children") && !strings.HasPrefix(object, "rbd_info") && !strings.HasPrefix(object, indexObject) {
				t.Errorf("left in %s: object %s", space, object)
			}
		}
	}
}

func TestHolderKeepsTheLock(t *testing.T) {
	r := newReal(t, Options{})
	ctx := t.Context()
	ok(t, r.CreateImage(ctx, r.acme, "vol.1", 8<<20))
	other := NewCluster(Options{})
	t.Cleanup(other.Close)
	held, err := other.openImage(ctx, r.acme, "vol.1")
	ok(t, err)
	ok(t, held.image.LockAcquire(librbd.LockModeExclusive))
	wants(t, r.RemoveImage(ctx, r.acme, "vol.1"), volume.ErrInUse)
	// A holder that speaks librbd does for others what needs the lock.
	ok(t, r.ResizeImage(ctx, r.acme, "vol.1", 16<<20))
	ok(t, r.CreateSnapshot(ctx, r.acme, "vol.1", "s"))
	wants(t, r.CreateSnapshot(ctx, r.acme, "vol.1", "s"), volume.ErrExists)
	ok(t, r.RemoveSnapshot(ctx, r.acme, "vol.1", "s"))
	ok(t, held.Close())
	ok(t, r.RemoveImage(ctx, r.acme, "vol.1"))
	r.expectClean(t)
}

func TestImageIO(t *testing.T) {
	r := newReal(t, Options{})
	ctx := t.Context()
	ok(t, r.CreateImage(ctx, r.acme, "golden.g.v1", 16<<20))
	i, err := r.OpenImage(ctx, r.acme, "golden.g.v1")
	ok(t, err)
	done := make(chan error)
	for part := range 4 {
		go func() {
			_, err := i.WriteAt(bytes.Repeat([]byte{byte(part + 1)}, 4<<20), int64(part)<<22)
			done <- err
		}()
	}
	for range 4 {
		ok(t, <-done)
	}
	ok(t, i.Flush())
	got := make([]byte, 8<<20)
	if n, err := i.ReadAt(got, 2<<20); n != len(got) || err != nil || got[0] != 1 || got[len(got)-1] != 3 {
		t.Errorf("ReadAt = %d, %v, bytes %d … %d", n, err, got[0], got[len(got)-1])
	}
	if n, err := i.ReadAt(got, 12<<20); n != 4<<20 || !errors.Is(err, io.EOF) {
		t.Errorf("ReadAt over the end = %d, %v", n, err)
	}
	if _, err := i.WriteAt(got, 12<<20); err == nil {
		t.Error("a write over the end went through")
	}
	ok(t, i.Close())
	ok(t, i.Close())
	if _, err := i.ReadAt(got, 0); err == nil {
		t.Error("a closed image was read")
	}
	_, err = r.OpenImage(ctx, r.acme, "golden.g.v2")
	wants(t, err, volume.ErrNotFound)
}

func TestNoNamespace(t *testing.T) {
	r := newReal(t, Options{})
	auto, err := tenant.Parse([]byte("auto: true\nclusters: [" + r.ceph.Cluster("test", r.acme.Pool()) + "]\n"))
	ok(t, err)
	nobody := place(t, auto, "nobody")
	err = r.CreateImage(t.Context(), nobody, "vol.1", 8<<20)
	wants(t, err, volume.ErrUnavailable)
	if !strings.Contains(err.Error(), "tenant create nobody") {
		t.Errorf("the message says not what to do: %v", err)
	}
	ok(t, r.RemoveImage(t.Context(), nobody, "vol.1"))
}

func TestNoPool(t *testing.T) {
	t.Parallel()
	c := realceph.New(t)
	p, err := tenant.Parse([]byte("tenants: [{name: acme, namespaces: [acme]}]\nclusters: [" + c.Cluster("test", "no-such-pool") + "]\n"))
	ok(t, err)
	cluster, at := NewCluster(Options{}), place(t, p, "acme")
	t.Cleanup(cluster.Close)
	ctx := t.Context()
	// None may say «not found», which for a removal would be success.
	wants(t, cluster.RemoveRecord(ctx, at, "vol.1"), volume.ErrUnavailable)
	wants(t, cluster.RemoveImage(ctx, at, "vol.1"), volume.ErrUnavailable)
	wants(t, cluster.RemoveSnapshot(ctx, at, "vol.1", "s"), volume.ErrUnavailable)
	_, err = cluster.ListRecords(ctx, at, "", "", 10)
	wants(t, err, volume.ErrUnavailable)
	_, err = cluster.Free(ctx, at)
	wants(t, err, volume.ErrUnavailable)
	wants(t, cluster.Ping(ctx, at.Cluster()), volume.ErrUnavailable)
}

func TestReader(t *testing.T) {
	r := newReal(t, Options{})
	ctx := t.Context()
	ok(t, r.CreateRecord(ctx, r.acme, "vol.1", []byte("one")))
	ok(t, r.CreateRecord(ctx, r.globex, "vol.2", []byte("two")))
	user := "test-" + r.acme.Pool()
	key := r.ceph.User(user, "mon", "profile rbd-read-only", "osd", "profile rbd-read-only pool="+r.acme.Pool()+" namespace=acme")
	own := volume.Credentials{User: user, Key: volume.Secret(key)}
	reader := NewReader(Options{})
	t.Cleanup(reader.Close)

	for range 3 {
		got, err := reader.Read(ctx, r.acme, own, "vol.1")
		ok(t, err)
		if string(got.Data) != "one" || got.FSID != strings.TrimSpace(r.ceph.Admin("fsid")) || got.PoolID == 0 {
			t.Errorf("Read = %+v", got)
		}
	}
	if n := len(reader.connections.slots); n != 1 {
		t.Errorf("%d connections for one key", n)
	}
	missing := tenantIn(t, r, "no-such-pool")
	const someKey = "AQBbm7lnAAAAABAAn3QvNUYyqgqKjA6GyIgPIQ=="
	for name, c := range map[string]struct {
		at    tenant.Place
		as    volume.Credentials
		named string
		want  error
	}{
		"no record":         {r.acme, own, "vol.9", volume.ErrNotFound},
		"another tenant's":  {r.globex, own, "vol.2", volume.ErrDenied},
		"a wrong key":       {r.acme, volume.Credentials{User: user, Key: someKey}, "vol.1", volume.ErrDenied},
		"no such user":      {r.acme, volume.Credentials{User: "test-nobody", Key: own.Key}, "vol.1", volume.ErrDenied},
		"no user":           {r.acme, volume.Credentials{Key: own.Key}, "vol.1", volume.ErrDenied},
		"no key":            {r.acme, volume.Credentials{User: user}, "vol.1", volume.ErrDenied},
		"no base64":         {r.acme, volume.Credentials{User: user, Key: "secret!"}, "vol.1", volume.ErrDenied},
		"base64, but short": {r.acme, volume.Credentials{User: user, Key: "c2VjcmV0"}, "vol.1", volume.ErrDenied},
		"no such pool":      {missing, own, "vol.1", volume.ErrDenied},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := reader.Read(ctx, c.at, c.as, c.named)
			wants(t, err, c.want)
			if key := c.as.Key.Reveal(); key != "" && strings.Contains(err.Error(), key) {
				t.Error("the error shows the key")
			}
		})
	}
}

// tenantIn is acme's place in another pool of the same cluster.
func tenantIn(t *testing.T, r real, pool string) tenant.Place {
	t.Helper()
	p, err := tenant.Parse([]byte("tenants: [{name: acme, namespaces: [acme]}]\nclusters: [" + r.ceph.Cluster("test", pool) + "]\n"))
	ok(t, err)
	return place(t, p, "acme")
}

func TestBlocklistedClientConnectsAnew(t *testing.T) {
	r := newReal(t, Options{})
	ctx := t.Context()
	ok(t, r.CreateRecord(ctx, r.acme, "vol.1", []byte("one")))
	var address string
	ok(t, r.connections.use(ctx, ownLogin(r.acme.Cluster()), func(c *connection) (err error) {
		address, err = c.conn.GetAddrs()
		return err
	}))
	address = strings.TrimPrefix(strings.TrimPrefix(address, "v2:"), "any:")
	r.ceph.Admin("osd", "blocklist", "add", address)
	t.Cleanup(func() { r.ceph.Admin("osd", "blocklist", "rm", address) })
	// Until the OSD has heard of it the old connection goes on.
	deadline := time.Now().Add(2 * time.Minute)
	for {
		err := r.SwapRecord(ctx, r.acme, "vol.1", []byte("one"), []byte("one"))
		if err != nil {
			wants(t, err, volume.ErrUnavailable)
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the blocklisted client still writes")
		}
		time.Sleep(50 * time.Millisecond)
	}
	ok(t, r.SwapRecord(ctx, r.acme, "vol.1", []byte("one"), []byte("two")))
}

// A change of the quota whose pool has gone ends, and is not taken for one that
// another came before.
func TestQuotaOfAPoolThatIsGone(t *testing.T) {
	r := newReal(t, Options{})
	ctx := t.Context()
	ok(t, r.Reserve(ctx, r.acme, "vol.1", 1))
	pool := r.acme.Pool()
	r.ceph.Admin("osd", "pool", "delete", pool, pool, "--yes-i-really-really-mean-it")
	// Until the client has heard of it the pool goes on.
	deadline := time.Now().Add(2 * time.Minute)
	for r.Reserve(ctx, r.acme, "vol.2", 1) == nil {
		if time.Now().After(deadline) {
			t.Fatal("shares are still kept in the pool")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestUnreachableMonitor(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	ok(t, closed.Close())
	for name, monitor := range map[string]string{"takes connections and is silent": silent.Addr().String(), "nobody listens": closed.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const someKey = "AQBbm7lnAAAAABAAn3QvNUYyqgqKjA6GyIgPIQ=="
			file := t.TempDir() + "/key"
			ok(t, os.WriteFile(file, []byte(someKey), 0o600))
			p, err := tenant.Parse([]byte("auto: true\nclusters: [{id: x, monitors: [\"" + monitor + "\"], pool: p, user: admin, keyFile: " + file + "}]"))
			ok(t, err)
			c := NewCluster(Options{ConnectTimeout: time.Second})
			t.Cleanup(c.Close)
			_, err = c.ReadRecord(t.Context(), place(t, p, "acme"), "vol.1")
			wants(t, err, volume.ErrUnavailable)
			wants(t, c.Ping(t.Context(), p.Clusters()[0]), volume.ErrUnavailable)

			slow := NewCluster(Options{})
			t.Cleanup(slow.Close)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			wants(t, slow.Ping(ctx, p.Clusters()[0]), volume.ErrUnavailable)
			_, err = slow.ReadRecord(ctx, place(t, p, "acme"), "vol.1")
			wants(t, err, context.DeadlineExceeded)
		})
	}
}

func TestPingAndFree(t *testing.T) {
	r := newReal(t, Options{})
	ok(t, r.Ping(t.Context(), r.acme.Cluster()))
	at, err := r.policy.Pool("")
	ok(t, err)
	if free, err := r.Free(t.Context(), at); free <= 0 || err != nil {
		t.Errorf("Free = %d, %v", free, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	wants(t, r.CreateRecord(ended, r.acme, "vol.1", []byte("one")), context.Canceled)
	_, err = r.ReadRecord(t.Context(), r.acme, "vol.1")
	wants(t, err, volume.ErrNotFound)
}
