package rbd

import (
	"context"
	"errors"
	"fmt"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// kinds is a mapper that makes new devices in one way, and goes on with those
// that were made in another one before the driver's flags were changed.
type kinds struct {
	Mapper
	others []Mapper
}

// Kinds returns a Mapper that maps with the preferred one, and finds, uses and
// removes what the others have mapped.
func Kinds(preferred Mapper, others ...Mapper) Mapper {
	return &kinds{Mapper: preferred, others: others}
}

// that returns the mapper that has m mapped; the preferred one if none has.
func (k *kinds) that(ctx context.Context, m Mapping) (Mapper, error) {
	for _, one := range append([]Mapper{k.Mapper}, k.others...) {
		_, err := one.Find(ctx, m)
		if err == nil {
			return one, nil
		}
		if !errors.Is(err, volume.ErrNotFound) {
			return nil, err
		}
	}
	return k.Mapper, nil
}

// Map implements Mapper. What is mapped in another way stays so.
func (k *kinds) Map(ctx context.Context, m Mapping, c volume.Credentials) (Device, error) {
	that, err := k.that(ctx, m)
	if err != nil {
		return Device{}, err
	}
	return that.Map(ctx, m, c)
}

// Find implements Mapper.
func (k *kinds) Find(ctx context.Context, m Mapping) (Device, error) {
	that, err := k.that(ctx, m)
	if err != nil {
		return Device{}, err
	}
	return that.Find(ctx, m)
}

// Refresh implements Mapper.
func (k *kinds) Refresh(ctx context.Context, m Mapping) error {
	that, err := k.that(ctx, m)
	if err != nil {
		return err
	}
	return that.Refresh(ctx, m)
}

// List implements Mapper.
func (k *kinds) List(ctx context.Context) ([]Mapped, error) {
	all, err := k.Mapper.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, other := range k.others {
		more, err := other.List(ctx)
		if err != nil {
			return nil, fmt.Errorf("look for what another mapper has left: %w", err)
		}
		all = append(all, more...)
	}
	return all, nil
}

// Unmap implements Mapper. Half-made mappings of every kind go.
func (k *kinds) Unmap(ctx context.Context, m Mapping) error {
	failed := []error{k.Mapper.Unmap(ctx, m)}
	for _, other := range k.others {
		failed = append(failed, other.Unmap(ctx, m))
	}
	return errors.Join(failed...)
}
