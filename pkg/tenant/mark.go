package tenant

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
)

// Mark returns a text that is another one when users have come or gone, or
// goldens were sealed, retired or removed: what Sync and Keys depend on beside
// the policy. It opens no image, so it can be asked often.
func (r *Registrar) Mark(ctx context.Context, at Place) (string, error) {
	users, err := r.accounts.Users(ctx, at)
	if err != nil {
		return "", fmt.Errorf("list the users of cluster %s: %w", at.cluster.ID, err)
	}
	owners, err := r.owners(ctx, at)
	if err != nil {
		return "", err
	}
	var lines []string
	for _, u := range users {
		if u.Volume == "" { // no Secret has the others' keys
			lines = append(lines, u.String())
		}
	}
	for _, owner := range owners {
		goldens, err := r.catalog.Goldens(ctx, owner)
		if err != nil {
			return "", fmt.Errorf("look at the goldens of tenant %s: %w", owner.tenant, err)
		}
		for _, g := range goldens {
			lines = append(lines, g.Ref.String()+" "+g.ImageID+" "+string(g.State))
		}
	}
	slices.Sort(lines)
	sum := sha256.New()
	for _, line := range lines {
		_, _ = io.WriteString(sum, line+"\n") // a hash takes all
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
