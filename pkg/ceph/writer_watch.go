package ceph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ceph/go-ceph/rados"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

const (
	// serving bounds the requests that are served at once.
	serving = 32
	// requestTimeout bounds one, below notifyTimeout.
	requestTimeout = 8 * time.Second
	// farewell bounds the end of a watch. A watcher that does not say that it
	// goes holds up requests for half a minute.
	farewell = 5 * time.Second
	// A watch is looked at so often, and given up when it was not confirmed for
	// so long. A client confirms it every few seconds.
	lookEvery = 10 * time.Second
	lostAfter = time.Minute
)

// ServeWriters answers requests for writers in the pool that a place of no
// tenant stands for, each by serve, until ctx ends. It returns an error when it
// cannot, or can no longer: then nobody answers here until it is called again.
func (c *Cluster) ServeWriters(ctx context.Context, pool tenant.Place, serve func(context.Context, cephfs.WriterRequest) error) error {
	outlasting, cancel := outlast(ctx, farewell)
	defer cancel()
	err := c.requests.ask(outlasting, ownLogin(pool.Cluster()), func(conn *connection) error {
		ioctx, err := conn.in(pool.Pool(), requestsSpace)
		if err != nil {
			return noPool(pool, err)
		}
		return classify(watch(ctx, ioctx, func(text []byte) []byte { return reply(ctx, text, serve) }))
	})
	if err == nil || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("serve requests for writers in %s: %w", pool, err)
}

// outlast returns a context that ends some time after ctx does.
func outlast(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	outlasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(by, cancel) })
	return outlasting, func() { stop(); cancel() }
}

// watch acknowledges what comes to the object with its answer, until ctx ends or
// the watch breaks. The object is made where it is not there.
func watch(ctx context.Context, ioctx *rados.IOContext, reply func([]byte) []byte) (err error) {
	if err := touch(ioctx, requestsObject); err != nil {
		return err
	}
	w, err := ioctx.Watch(requestsObject)
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	defer func() {
		all.Wait()
		err = errors.Join(err, w.Delete())
	}()
	places := make(chan struct{}, serving)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case e := <-w.Events():
			places <- struct{}{}
			all.Go(func() {
				_ = e.Ack(reply(e.Data)) // unanswered, it is asked again
				<-places
			})
		case err := <-w.Errors():
			return err
		case <-look.C:
			if err := confirmed(w); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// confirmed says whether the OSD still has the watch: one can be lost without a
// word.
func confirmed(w *rados.Watcher) error {
	age, err := w.Check()
	if err == nil && age > lostAfter {
		err = fmt.Errorf("the OSD has not confirmed the watch for %s: %w: %w", age, errStale, volume.ErrUnavailable)
	}
	return err
}

// touch makes an empty object. Present is success.
func touch(ioctx *rados.IOContext, object string) error {
	op := rados.CreateWriteOp()
	defer op.Release()
	op.Create(rados.CreateIdempotent)
	return op.Operate(ioctx, object, rados.OperationNoFlag)
}

// reply serves one request and says how that went. What is no request gets no
// more than that.
func reply(ctx context.Context, text []byte, serve func(context.Context, cephfs.WriterRequest) error) []byte {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var e envelope
	err := json.Unmarshal(text, &e)
	switch {
	case err != nil:
		err = fmt.Errorf("it cannot be read: %w", volume.ErrDenied)
	case !e.Ping:
		err = serve(ctx, e.WriterRequest)
	}
	var a answer
	if err != nil {
		a = answer{Error: err.Error(), Denied: errors.Is(err, volume.ErrDenied) && !volume.IsOpen(err)}
	}
	data, _ := json.Marshal(a) // two fields that always can be
	return data
}
