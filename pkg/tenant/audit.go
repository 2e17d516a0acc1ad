package tenant

import (
	"context"
	"errors"
	"fmt"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Inspector tells what users may do. pkg/ceph implements it.
type Inspector interface {
	// Matches says whether a user has exactly this access;
	// volume.ErrNotFound without the user.
	Matches(ctx context.Context, u User, a Access) (bool, error)
}

// Audit tells what Sync would change in a cluster, and changes nothing.
func (r *Registrar) Audit(ctx context.Context, at Place, i Inspector) ([]string, error) {
	a := &audit{Accounts: r.accounts, inspector: i}
	dry := &Registrar{policy: r.policy, accounts: a, catalog: r.catalog, ledger: readOnly{r.ledger}}
	rotated, err := dry.Sync(ctx, at)
	for _, ref := range rotated {
		a.found = append(a.found, fmt.Sprintf("a grant of golden %s was withdrawn and its key is the old one", ref))
	}
	return a.found, err
}

// audit are accounts that only note what they are asked to change.
type audit struct {
	Accounts
	inspector Inspector
	found     []string
}

// Put notes a user whose rights are others.
func (a *audit) Put(ctx context.Context, u User, want Access) error {
	same, err := a.inspector.Matches(ctx, u, want)
	switch {
	case errors.Is(err, volume.ErrNotFound):
		a.found = append(a.found, fmt.Sprintf("user %s is missing", u))
	case err != nil:
		return err
	case !same:
		a.found = append(a.found, fmt.Sprintf("user %s may do other than the policy says", u))
	}
	return nil
}

// Remove notes a user that is of nothing any more.
func (a *audit) Remove(_ context.Context, _ Place, u User) error {
	a.found = append(a.found, fmt.Sprintf("user %s is of a golden that is gone", u))
	return nil
}

// readOnly is a ledger that is not written.
type readOnly struct{ Ledger }

// CreateRecord does nothing.
func (readOnly) CreateRecord(context.Context, Place, string, []byte) error { return nil }

// SwapRecord does nothing.
func (readOnly) SwapRecord(context.Context, Place, string, []byte, []byte) error { return nil }
