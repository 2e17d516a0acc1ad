package tenants

import (
	"context"
	"fmt"
	"time"

	"k8s.io/klog/v2"
)

// deskPause comes before a desk is opened again that could not be kept.
const deskPause = 2 * time.Second

// openDesks keeps a desk open in each of the policy's clusters that has a file
// system, until ctx ends. It waits for no tenant, secret or key to be in order:
// volumes are made meanwhile. A cluster that is reached in another way than
// before gets a new desk: controllers ask there.
func (l *leading) openDesks(ctx context.Context) {
	if l.Desk == nil {
		return
	}
	open, closed := map[string]context.CancelFunc{}, make(chan string)
	look := time.NewTicker(l.Poll)
	defer look.Stop()
	for {
		l.adjustDesks(ctx, open, closed)
		select {
		case row := <-closed:
			open[row]()
			delete(open, row)
		case <-look.C:
		case <-ctx.Done():
			for range open {
				<-closed
			}
			return
		}
	}
}

// adjustDesks opens the desks that are missing, and has those end that the
// policy does not have any more: closed gets them.
func (l *leading) adjustDesks(ctx context.Context, open map[string]context.CancelFunc, closed chan<- string) {
	wanted := l.withFiles()
	for row, id := range wanted {
		if open[row] == nil && ctx.Err() == nil {
			own, cancel := context.WithCancel(ctx)
			open[row] = cancel
			go func() { l.keepDesk(own, id); closed <- row }()
		}
	}
	for row, cancel := range open {
		if _, still := wanted[row]; !still {
			cancel()
		}
	}
}

// withFiles returns the IDs of the clusters that have a file system, by all that
// the policy says of the cluster.
func (l *leading) withFiles() map[string]string {
	ids := map[string]string{}
	for _, row := range l.Policy().Clusters() {
		if row.FileSystem != "" {
			ids[fmt.Sprintf("%q", *row)] = row.ID
		}
	}
	return ids
}

// keepDesk keeps one desk open until ctx ends.
func (l *leading) keepDesk(ctx context.Context, cluster string) {
	log := klog.FromContext(ctx).WithValues("cluster", cluster)
	for ctx.Err() == nil {
		log.Info("serving requests for users of volumes")
		if err := l.Desk(ctx, cluster); err != nil {
			log.Error(err, "requests for users of volumes are not served, it is tried again")
		}
		select {
		case <-ctx.Done():
		case <-time.After(deskPause):
		}
	}
}
