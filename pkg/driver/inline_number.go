package driver

import (
	"context"
	"slices"
	"sync"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
)

// admitNumber wraps volume.ErrNoSpace where the tenant's pods have as many
// inline volumes on this node as the policy allows. What is shown already is
// no further one. The volume counts as coming until done is called.
//
// A pod's volumes come all at once: so those that came before and are not
// mounted yet count too. Those that come later count this one.
func (n *Node) admitNumber(ctx context.Context, at tenant.Place, handle string) (done func(), err error) {
	others, done := n.coming.enter(at.Tenant(), handle)
	for _, backend := range n.goldens {
		shown, err := backend.ShownTo(ctx, at.Tenant())
		if err != nil {
			done()
			return nil, err
		}
		if slices.Contains(shown, handle) {
			return done, nil
		}
		others = append(others, shown...)
	}
	slices.Sort(others)
	if err := at.Limits().AdmitInline(len(slices.Compact(others))); err != nil {
		done()
		return nil, err
	}
	return done, nil
}

// arrivals are the handles of inline volumes that are being published, by
// the tenant's name, in the order in which they came. The zero value is ready for use.
type arrivals struct {
	mu  sync.Mutex
	all map[string][]string
}

// enter returns the handles that came before and have not left. A handle must
// leave before it enters again.
func (a *arrivals) enter(name, handle string) (before []string, leave func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil {
		a.all = map[string][]string{}
	}
	before = slices.Clone(a.all[name])
	a.all[name] = append(a.all[name], handle)
	return before, func() { a.leave(name, handle) }
}

func (a *arrivals) leave(name, handle string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	left := slices.DeleteFunc(a.all[name], func(s string) bool { return s == handle })
	if len(left) == 0 {
		delete(a.all, name)
		return
	}
	a.all[name] = left
}
