package main

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/manifest/schema2"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// weight is what an image weighs: as the registry keeps and sends it, and as
// the tars that a node unpacks.
type weight struct {
	Compressed int64   `json:"compressed"` // bytes of all layers
	Unpacked   int64   `json:"unpacked"`
	Layers     []layer `json:"layers"` // the lowest first
}

type layer struct {
	Digest     digest.Digest `json:"digest"`
	Compressed int64         `json:"compressed"`
	Unpacked   int64         `json:"unpacked"`
}

// printSizes writes the weights of a repository's images by their tags.
func printSizes(ctx context.Context, w io.Writer, dir, name string, tags []string) error {
	repository, err := open(ctx, dir, name)
	if err != nil {
		return err
	}
	weights := map[string]weight{}
	for _, tag := range tags {
		if weights[tag], err = weigh(ctx, repository, tag); err != nil {
			return fmt.Errorf("weigh %s:%s: %w", name, tag, err)
		}
	}
	return json.NewEncoder(w).Encode(weights)
}

func open(ctx context.Context, dir, name string) (distribution.Repository, error) {
	registry, err := storage.NewRegistry(ctx, filesystem.New(filesystem.DriverParameters{RootDirectory: dir, MaxThreads: 25}))
	if err != nil {
		return nil, err
	}
	named, err := reference.WithName(name)
	if err != nil {
		return nil, fmt.Errorf("repository %q: %w", name, err)
	}
	return registry.Repository(ctx, named)
}

func weigh(ctx context.Context, repository distribution.Repository, tag string) (sum weight, err error) {
	image, err := manifest(ctx, repository, tag)
	if err != nil {
		return sum, err
	}
	for _, l := range image.Layers {
		unpacked, err := unpackedSize(ctx, repository, l.Digest)
		if err != nil {
			return sum, fmt.Errorf("layer %s: %w", l.Digest, err)
		}
		sum.Layers = append(sum.Layers, layer{Digest: l.Digest, Compressed: l.Size, Unpacked: unpacked})
		sum.Compressed += l.Size
		sum.Unpacked += unpacked
	}
	return sum, nil
}

func manifest(ctx context.Context, repository distribution.Repository, tag string) (*schema2.DeserializedManifest, error) {
	manifests, err := repository.Manifests(ctx)
	if err != nil {
		return nil, err
	}
	tagged, err := repository.Tags(ctx).Get(ctx, tag)
	if err != nil {
		return nil, err
	}
	found, err := manifests.Get(ctx, tagged.Digest)
	if err != nil {
		return nil, err
	}
	image, ok := found.(*schema2.DeserializedManifest)
	if !ok {
		return nil, fmt.Errorf("the manifest is a %T, not one that hack/registry/prepare pushes", found)
	}
	return image, nil
}

func unpackedSize(ctx context.Context, repository distribution.Repository, layer digest.Digest) (int64, error) {
	packed, err := repository.Blobs(ctx).Open(ctx, layer)
	if err != nil {
		return 0, err
	}
	defer packed.Close()
	tar, err := gzip.NewReader(packed)
	if err != nil {
		return 0, err
	}
	return io.Copy(io.Discard, tar)
}
