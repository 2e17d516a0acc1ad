package tenants

import (
	"context"
	"slices"
	"time"

	"k8s.io/klog/v2"
)

// deskPause comes before a desk is opened again that could not be kept.
const deskPause = 2 * time.Second

// openDesks keeps a desk open in each of the policy's clusters that has a file
// system, until ctx ends. It does not wait for the API server or for anything
// to be in order: volumes are made meanwhile.
func (l *leading) openDesks(ctx context.Context) {
	if l.Desk == nil {
		return
	}
	open, closed := map[string]bool{}, make(chan string)
	look := time.NewTicker(l.Poll)
	defer look.Stop()
	for {
		for _, id := range l.withFiles() {
			if !open[id] && ctx.Err() == nil {
				open[id] = true
				go func() { l.keepDesk(ctx, id); closed <- id }()
			}
		}
		select {
		case id := <-closed:
			delete(open, id)
		case <-look.C:
		case <-ctx.Done():
			for range open {
				<-closed
			}
			return
		}
	}
}

// withFiles returns the clusters that have a file system.
func (l *leading) withFiles() (ids []string) {
	for _, row := range l.Policy().Clusters() {
		if row.FileSystem != "" {
			ids = append(ids, row.ID)
		}
	}
	return ids
}

// keepDesk keeps one desk open until ctx ends, or until the policy has no such
// cluster any more.
func (l *leading) keepDesk(ctx context.Context, cluster string) {
	log := klog.FromContext(ctx).WithValues("cluster", cluster)
	for ctx.Err() == nil && slices.Contains(l.withFiles(), cluster) {
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
