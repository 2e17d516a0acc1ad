package sharing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Release takes a golden's mount away, unless a volume shows it or is just
// about to. It begins wherever a killed one stopped.
func (n *Node[G]) Release(ctx context.Context, g G) error {
	done := n.Holds.Seize(g.Key())
	if done == nil {
		return nil
	}
	defer done()
	sharers, err := n.Sharers(ctx)
	if err != nil || len(sharers[n.Path(g)]) > 0 {
		return err
	}
	n.owed.add(g)
	if err := n.Prefetches.stop(ctx, g.Key()); err != nil {
		return err
	}
	if err := n.backend.Remove(ctx, g); err != nil {
		return fmt.Errorf("give up golden %s: %w", g, err)
	}
	n.owed.remove(g)
	n.idle.end(g.Key())
	return nil
}

// giveUpTime bounds the removal of what nothing could be made of.
const giveUpTime = time.Minute

// GiveUp removes what a failed Mount left, also after the caller has gone.
func (n *Node[G]) GiveUp(ctx context.Context, g G) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpTime)
	defer cancel()
	return n.Release(ctx, g)
}

// Leave ends what the last volume of the golden mounted at lower leaves
// running, and its mount where it is not to linger.
func (n *Node[G]) Leave(ctx context.Context, lower string) error {
	sharers, err := n.Sharers(ctx)
	if err != nil || len(sharers[lower]) > 0 {
		return err
	}
	all, err := n.backend.Goldens(ctx)
	if err != nil {
		return err
	}
	for _, g := range all {
		if n.Path(g) != lower {
			continue
		}
		n.Prefetches.cancel(g.Key())
		n.idle.begin(g.Key())
		if n.Linger == 0 {
			return n.releaseLast(ctx, g)
		}
	}
	return nil
}

// releaseLast is Release for the last volume's unstage, which is no less done
// where a process or another mount namespace still holds the golden: the sweep
// takes it then.
func (n *Node[G]) releaseLast(ctx context.Context, g G) error {
	err := n.Release(ctx, g)
	if errors.Is(err, volume.ErrInUse) {
		klog.FromContext(ctx).V(2).Info("the golden is held by somebody else, the sweep will take it", "reason", err.Error())
		return nil
	}
	return err
}
