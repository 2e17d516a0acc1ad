package ceph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/ceph/go-ceph/rados"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// requestsSpace and requestsObject name the object of a pool that is watched
// for requests for writers. A request is a notify, which is a read for Ceph:
// so the namespace is one in which no tenant's key has any right. No tenant's
// name has a dot, and what a tenant has beside its namespace ends in .keys.
const (
	requestsSpace  = "sdp.users"
	requestsObject = "requests"
)

// tenantsMode is who makes writers for controllers.
const tenantsMode = "sdp-csi --mode=tenants"

// How long a request is made for. A leader of --mode=tenants that died is
// replaced within a minute, and the copy of a volume's content, which may have
// taken hours by then, must not be lost to that. A caller that has less time
// is told why before it is over.
const (
	requestPatience = time.Minute
	requestPause    = time.Second
	tellBefore      = 2 * time.Second
	// notifyTimeout bounds one attempt. A watcher that died holds up those of
	// the next half minute for as long.
	notifyTimeout = 10 * time.Second
)

// envelope is what a notify carries.
type envelope struct {
	cephfs.WriterRequest
	// Ping asks whether somebody is there, and for nothing else.
	Ping bool `json:"ping,omitempty"`
}

// pingPatience bounds the question whether somebody is there.
const pingPatience = 15 * time.Second

// Serving says whether somebody makes and removes writers for controllers of
// the cluster; volume.ErrUnavailable where nobody answers.
func (c *Cluster) Serving(ctx context.Context, row *tenant.Cluster) error {
	ctx, cancel := context.WithTimeout(ctx, pingPatience)
	defer cancel()
	return c.request(ctx, row, row.Pool, envelope{Ping: true})
}

// AskingFileSystem is a FileSystem whose key has no right on users. It has the
// volumes' writers made and removed by who serves ServeWriters, and waits.
type AskingFileSystem struct{ FileSystem }

var _ cephfs.Cluster = AskingFileSystem{}

// NewAskingFileSystem returns the file systems of the same clusters.
func NewAskingFileSystem(c *Cluster) AskingFileSystem { return AskingFileSystem{NewFileSystem(c)} }

// AddWriter implements cephfs.Writers.
func (f AskingFileSystem) AddWriter(ctx context.Context, at tenant.Place, name, directory string) error {
	r := cephfs.WriterRequest{Tenant: at.Tenant(), Subvolume: name, Directory: directory}
	return about("ask for the writer of", at, name, f.insist(ctx, at, r))
}

// RemoveWriter implements cephfs.Writers.
func (f AskingFileSystem) RemoveWriter(ctx context.Context, at tenant.Place, name string) error {
	r := cephfs.WriterRequest{Tenant: at.Tenant(), Subvolume: name, Remove: true}
	return about("ask to remove the writer of", at, name, f.insist(ctx, at, r))
}

func (f AskingFileSystem) insist(ctx context.Context, at tenant.Place, r cephfs.WriterRequest) error {
	return insist(ctx, func(ctx context.Context) error {
		return f.request(ctx, at.Cluster(), at.Pool(), envelope{WriterRequest: r})
	})
}

// insist asks again while there is no answer, or one that says so.
func insist(ctx context.Context, ask func(context.Context) error) error {
	patience := requestPatience
	if end, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(end)-tellBefore)
	}
	ctx, cancel := context.WithTimeout(ctx, max(patience, requestPause))
	defer cancel()
	for {
		err := ask(ctx)
		if !errors.Is(err, volume.ErrUnavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(requestPause):
		}
	}
}

// request makes one attempt.
func (c *Cluster) request(ctx context.Context, row *tenant.Cluster, pool string, e envelope) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	var answers []rados.NotifyAck
	err = c.requests.ask(ctx, ownLogin(row), func(conn *connection) error {
		ioctx, err := conn.in(pool, requestsSpace)
		if err != nil {
			return fmt.Errorf("open pool %s: %w: %w", pool, err, volume.ErrUnavailable)
		}
		answers, _, err = ioctx.NotifyWithTimeout(requestsObject, text, notifyTimeout)
		if is(err, syscall.ETIMEDOUT, syscall.ENOENT) {
			return nil // who has answered has, and the answers tell
		}
		return classify(err)
	})
	if err != nil {
		return err
	}
	return judge(answers)
}

// answer is what a request gets.
type answer struct {
	Error  string `json:"error,omitempty"`
	Denied bool   `json:"denied,omitempty"` // it is no use to ask again
}

// judge finds the answer that counts. There can be several: a replica that
// leads no more may not know as yet, and a request that is served twice does
// no harm.
func judge(answers []rados.NotifyAck) error {
	err := fmt.Errorf("%s does not answer: is it running? (Where it is not wanted, give this controller's key the right to make users, and --volume-users=self): %w",
		tenantsMode, volume.ErrUnavailable)
	for _, a := range answers {
		var got answer
		switch {
		case json.Unmarshal(a.Response, &got) != nil:
			continue
		case got.Error == "":
			return nil
		case got.Denied:
			err = fmt.Errorf("%s refuses: %s: %w", tenantsMode, got.Error, volume.ErrDenied)
		default:
			err = fmt.Errorf("%s: %s: %w", tenantsMode, got.Error, volume.ErrUnavailable)
		}
	}
	return err
}
