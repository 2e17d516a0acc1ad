package tenant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Sync makes what all users of a cluster may do equal to the policy and to
// the goldens that there are: it is to be called after a golden was sealed or
// deleted and after a grant changed. A tenant without users gets none, so one
// that was cut off stays so. It returns the goldens whose key was replaced
// because a grant was withdrawn: the Secrets of those who keep the grant have
// to be written again.
func (r *Registrar) Sync(ctx context.Context, at Place) (rotated []volume.GoldenRef, err error) {
	s, err := r.survey(ctx, at)
	if err != nil {
		return nil, err
	}
	for _, g := range s.goldens {
		if !s.needsReader(r.policy, g) {
			continue
		}
		replaced, err := r.syncReader(ctx, s, g)
		if err != nil {
			return nil, fmt.Errorf("reader of golden %s: %w", g.golden.Ref, err)
		}
		if replaced {
			rotated = append(rotated, g.golden.Ref)
		}
	}
	if err := r.dropReaders(ctx, at, s); err != nil {
		return nil, err
	}
	if err := r.limitFiles(ctx, at, s); err != nil {
		return nil, err
	}
	return rotated, r.syncTenants(ctx, at, s)
}

// limitFiles sets what the tenants' directories in a file system may have: what
// the policy allows of volumes and, beside that, their goldens, those too that
// are being made. Volumes have quotas of their own, whose sum the policy's
// limits bound: this is one more wall, for what comes past the driver.
func (r *Registrar) limitFiles(ctx context.Context, at Place, s survey) error {
	bytes := map[string]int64{}
	for _, u := range s.users {
		if u.Role == "" {
			continue
		}
		bytes[u.Tenant] = 0
		if limit := int64(r.policy.TenantLimits(u.Tenant).Bytes); limit > 0 {
			bytes[u.Tenant] = limit + s.files[u.Tenant]
		}
	}
	if at.cluster.FileSystem == "" || len(bytes) == 0 {
		return nil
	}
	if err := r.accounts.LimitFiles(ctx, at, bytes); err != nil {
		return fmt.Errorf("limit the tenants' directories in file system %s: %w", at.cluster.FileSystem, err)
	}
	return nil
}

func (r *Registrar) syncTenants(ctx context.Context, at Place, s survey) error {
	done := map[string]bool{}
	for _, u := range s.users {
		if u.Role == "" || done[u.Tenant] {
			continue
		}
		done[u.Tenant] = true
		if err := r.putOwn(ctx, Place{cluster: at.cluster, tenant: u.Tenant}, s); err != nil {
			return err
		}
	}
	return nil
}

// makeReaders makes the readers of goldens that had none as yet.
func (r *Registrar) makeReaders(ctx context.Context, s survey) error {
	for _, g := range s.goldens {
		if _, ok := latest(s.users, g.reader()); ok || !s.needsReader(r.policy, g) {
			continue
		}
		if _, err := r.syncReader(ctx, s, g); err != nil {
			return fmt.Errorf("reader of golden %s: %w", g.golden.Ref, err)
		}
	}
	return nil
}

// dropReaders removes the readers of goldens that are no more.
func (r *Registrar) dropReaders(ctx context.Context, at Place, s survey) error {
	for _, u := range s.users {
		if !u.isGoldens() || slices.ContainsFunc(s.goldens, func(g shared) bool { return g.reader() == u.kind() }) {
			continue
		}
		if err := r.accounts.Remove(ctx, at, u); err != nil {
			return fmt.Errorf("remove user %s: %w", u, err)
		}
	}
	return nil
}

// readerRecord remembers who could have a golden's key.
type readerRecord struct {
	Version    int      `json:"v"`
	Generation int      `json:"generation"` // of the reader in force
	Holders    []string `json:"holders"`    // tenants; * for all
}

const (
	readerRecordVersion = 1
	everyone            = "*"
)

// readerPrefix begins the names of these records, which lie with the golden.
const readerPrefix = "reader."

// IsOwnRecord says whether a record is one that this package keeps: it is
// about a tenant's rights and no data of it.
func IsOwnRecord(name string) bool {
	return name == revocationName || strings.HasPrefix(name, readerPrefix)
}

// syncReader makes the golden's reader, and a new generation of it where
// somebody lost the grant. The user comes before the record that tells of it,
// so what a crash leaves is a user that the next Sync uses.
func (r *Registrar) syncReader(ctx context.Context, s survey, g shared) (replaced bool, err error) {
	name := readerPrefix + g.golden.Ref.Name + "." + g.golden.Ref.Version
	old, data, err := r.readReader(ctx, g.place, name)
	if err != nil {
		return false, err
	}
	now := readerRecord{Version: readerRecordVersion, Generation: max(old.Generation, 1), Holders: r.policy.holders(g.golden.Ref)}
	if old.lost(now.Holders) {
		now.Generation, replaced = old.Generation+1, true
	}
	if err := r.putReaders(ctx, s, g, now.Generation); err != nil {
		return false, err
	}
	return replaced, r.writeReader(ctx, g.place, name, data, now)
}

// putReaders sets what the reader in force and the older ones may do, which
// nodes can have mapped the golden with.
func (r *Registrar) putReaders(ctx context.Context, s survey, g shared, generation int) error {
	current := g.reader()
	current.Generation = generation
	readers := []User{current}
	for _, u := range s.users {
		if u.kind() == g.reader() && u != current {
			readers = append(readers, u)
		}
	}
	for _, u := range readers {
		if err := r.accounts.Put(ctx, u, Access{At: g.place, Goldens: []SharedImage{g.image()}}); err != nil {
			return err
		}
	}
	return nil
}

func (r *Registrar) readReader(ctx context.Context, at Place, name string) (rec readerRecord, data []byte, err error) {
	data, err = r.ledger.ReadRecord(ctx, at, name)
	if errors.Is(err, volume.ErrNotFound) {
		return rec, nil, nil
	}
	if err != nil {
		return rec, nil, err
	}
	if err := json.Unmarshal(data, &rec); err != nil {
		return rec, nil, fmt.Errorf("record %s is damaged: %w", name, err)
	}
	if rec.Version != readerRecordVersion {
		return rec, nil, fmt.Errorf("record %s has version %d, this sdpctl knows %d: upgrade it: %w", name, rec.Version, readerRecordVersion, volume.ErrUnsupported)
	}
	return rec, data, nil
}

func (r *Registrar) writeReader(ctx context.Context, at Place, name string, old []byte, rec readerRecord) error {
	data, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	if old == nil {
		return r.ledger.CreateRecord(ctx, at, name, data)
	}
	if string(old) == string(data) {
		return nil
	}
	return r.ledger.SwapRecord(ctx, at, name, old, data)
}

// lost says whether somebody who could have the key may not have it now.
func (rec readerRecord) lost(now []string) bool {
	if slices.Contains(now, everyone) {
		return false
	}
	return slices.ContainsFunc(rec.Holders, func(t string) bool { return !slices.Contains(now, t) })
}

// holders are the tenants that may have the key of another one's golden.
func (p *Policy) holders(ref volume.GoldenRef) []string {
	if !p.knows(ref.Tenant) {
		return []string{}
	}
	if covers(p.file.Defaults.Goldens, ref) {
		return []string{everyone}
	}
	holders := []string{}
	for _, t := range p.file.Tenants {
		if covers(t.Goldens, ref) {
			holders = append(holders, t.Name)
		}
	}
	slices.Sort(holders)
	return holders
}
