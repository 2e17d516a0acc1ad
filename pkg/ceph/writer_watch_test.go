package ceph

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// server serves requests for writers in a process of its own, as far as Ceph
// can tell.
type server struct {
	cluster *Cluster
	served  atomic.Int64
	answer  func(cephfs.WriterRequest) error
}

func (r real) server(t *testing.T, answer func(cephfs.WriterRequest) error) *server {
	t.Helper()
	s := &server{cluster: NewCluster(Options{}), answer: answer}
	t.Cleanup(s.cluster.Close)
	return s
}

func yes(cephfs.WriterRequest) error { return nil }

// serve begins and returns how to end. With ctx alone it would end too.
func (s *server) serve(t *testing.T, pool tenant.Place) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- s.cluster.ServeWriters(ctx, pool, func(_ context.Context, r cephfs.WriterRequest) error {
			s.served.Add(1)
			return s.answer(r)
		})
	}()
	return func() {
		t.Helper()
		cancel()
		ok(t, <-ended)
	}
}

func (r real) pool(t *testing.T) tenant.Place {
	t.Helper()
	pool, err := r.policy.Pool("test")
	ok(t, err)
	return pool
}

// once makes one attempt of a request.
func (r real) once(t *testing.T) error {
	t.Helper()
	return r.request(t.Context(), r.acme.Cluster(), r.acme.Pool(), envelope{WriterRequest: cephfs.WriterRequest{Tenant: "acme", Subvolume: "vol.1", Directory: "d"}})
}

// eventually repeats an attempt until it succeeds.
func (r real) eventually(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		err := r.once(t)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// TestRealRequests: who serves answers, with what it says, and nobody after it.
func TestRealRequests(t *testing.T) {
	r := newReal(t, Options{})
	pool := r.pool(t)
	wants(t, r.once(t), volume.ErrUnavailable) // nobody has served ever
	says := atomic.Pointer[error]{}
	s := r.server(t, func(cephfs.WriterRequest) error {
		if err := says.Load(); err != nil {
			return *err
		}
		return nil
	})
	end := s.serve(t, pool)
	r.eventually(t)
	served := s.served.Load()
	ok(t, r.Serving(t.Context(), pool.Cluster()))
	if s.served.Load() != served {
		t.Error("a ping was served like a request")
	}
	for _, want := range []error{volume.ErrDenied, volume.ErrUnavailable} {
		err := fmt.Errorf("as the test wants: %w", want)
		says.Store(&err)
		wants(t, r.once(t), want)
	}
	says.Store(nil)
	another := r.server(t, yes)
	endOther := another.serve(t, pool)
	for another.served.Load() == 0 {
		r.eventually(t)
	}
	end()
	ok(t, r.once(t))
	endOther()
	wants(t, r.once(t), volume.ErrUnavailable)
	files := AskingFileSystem{NewFileSystem(r.Cluster)}
	short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	wants(t, files.RemoveWriter(short, r.acme, "vol.1"), volume.ErrUnavailable)
}

// TestRealWatchBreaks: a client that Ceph shuts out notices, and serves again
// when it is told to. Many requests at once are all answered.
func TestRealWatchBreaks(t *testing.T) {
	r := newReal(t, Options{})
	pool := r.pool(t)
	s := r.server(t, yes)
	broken := make(chan error, 1)
	go func() {
		broken <- s.cluster.ServeWriters(t.Context(), pool, func(context.Context, cephfs.WriterRequest) error { return nil })
	}()
	r.eventually(t)
	watchers := r.ceph.Rados("-p", r.acme.Pool(), "-N", requestsSpace, "listwatchers", requestsObject)
	address := regexp.MustCompile(`watcher=(\S+)`).FindStringSubmatch(watchers)
	if len(address) != 2 {
		t.Fatalf("watchers: %s", watchers)
	}
	r.ceph.Admin("osd", "blocklist", "add", address[1], "60")
	if err := <-broken; !errors.Is(err, volume.ErrUnavailable) {
		t.Fatalf("the watch of a client that is shut out ends with %v", err)
	}
	defer s.serve(t, pool)()
	r.eventually(t)
	answers := make(chan error, 100)
	for range cap(answers) {
		go func() { answers <- r.once(t) }()
	}
	for range cap(answers) {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
}
