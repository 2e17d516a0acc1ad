package tenant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// revocationName is the record that notes whether a tenant was cut off, so that
// a program that makes tenants by itself does not let it in again.
const revocationName = "revocation"

// revocation lies where the tenant's writer can write: see Revoke.
type revocation struct {
	Version int  `json:"v"`
	Revoked bool `json:"revoked"`
}

const revocationVersion = 1

// Ensure is Create for a program that runs by itself: what is missing is made,
// and a tenant that was revoked stays so and wraps volume.ErrDenied.
func (r *Registrar) Ensure(ctx context.Context, at Place) error {
	if err := r.refuseRevoked(ctx, at); err != nil {
		return err
	}
	users, err := r.accounts.Users(ctx, at)
	if err != nil {
		return fmt.Errorf("list the users of cluster %s: %w", at.cluster.ID, err)
	}
	if _, err := r.inForce(users, at); err == nil {
		return nil
	}
	if _, err := r.enrol(ctx, at); err != nil {
		return err
	}
	return r.undoRevoked(ctx, at)
}

// undoRevoked removes users that were made while an operator cut the tenant
// off. Nobody has seen their keys as yet.
func (r *Registrar) undoRevoked(ctx context.Context, at Place) error {
	refused := r.refuseRevoked(ctx, at)
	if !errors.Is(refused, volume.ErrDenied) {
		return refused
	}
	if err := r.removeUsers(ctx, at, func(u User) bool { return u.serves(at.tenant) }); err != nil {
		return err
	}
	return refused
}

// Revoked says whether the tenant was cut off and not let in again.
func (r *Registrar) Revoked(ctx context.Context, at Place) (bool, error) {
	rec, _, err := r.readRevocation(ctx, at)
	return rec.Revoked, err
}

func (r *Registrar) refuseRevoked(ctx context.Context, at Place) error {
	rec, _, err := r.readRevocation(ctx, at)
	if err != nil {
		return fmt.Errorf("look whether tenant %s was revoked: %w", at.tenant, err)
	}
	if rec.Revoked {
		return fmt.Errorf("tenant %s was revoked in cluster %s: `sdpctl tenant create %s` lets it in again: %w", at.tenant, at.cluster.ID, at.tenant, volume.ErrDenied)
	}
	return nil
}

func (r *Registrar) readRevocation(ctx context.Context, at Place) (rec revocation, data []byte, err error) {
	data, err = r.ledger.ReadRecord(ctx, at, revocationName)
	if errors.Is(err, volume.ErrNotFound) {
		return rec, nil, nil
	}
	if err != nil {
		return rec, nil, err
	}
	if json.Unmarshal(data, &rec) != nil || rec.Version != revocationVersion {
		return rec, nil, fmt.Errorf("record %s of %s cannot be read: %w", revocationName, at, volume.ErrUnsupported)
	}
	return rec, data, nil
}

// setRevoked writes the note. A tenant without one was not revoked.
func (r *Registrar) setRevoked(ctx context.Context, at Place, revoked bool) error {
	rec, old, err := r.readRevocation(ctx, at)
	if err != nil || rec.Revoked == revoked {
		return err
	}
	data, err := json.Marshal(revocation{Version: revocationVersion, Revoked: revoked})
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	if old == nil {
		err = r.ledger.CreateRecord(ctx, at, revocationName, data)
	} else {
		err = r.ledger.SwapRecord(ctx, at, revocationName, old, data)
	}
	if errors.Is(err, volume.ErrExists) {
		err = fmt.Errorf("somebody else does the same just now: %w", volume.ErrPending)
	}
	if err != nil {
		return fmt.Errorf("note whether to keep out tenant %s: %w", at.tenant, err)
	}
	return nil
}
