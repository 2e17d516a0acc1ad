package tenant

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Limits bound what a tenant can have. A field that is 0 is no limit.
type Limits struct {
	// Volumes is how many volumes there may be.
	Volumes int64 `yaml:"volumes,omitempty"`
	// Bytes is how much they may have together, as provisioned.
	Bytes Bytes `yaml:"bytes,omitempty"`
	// Largest is how much one volume may have.
	Largest Bytes `yaml:"largest,omitempty"`
	// InlinePerNode is how many inline volumes its pods may have on one node.
	// Left out it is DefaultInlinePerNode: each is a row in the node's mount
	// table, which one manifest by mistake could fill.
	InlinePerNode *int64 `yaml:"inlinePerNode,omitempty"`
}

// DefaultInlinePerNode is about as many as the pods that a kubelet runs.
const DefaultInlinePerNode = 100

// Usage is what a tenant has.
type Usage struct {
	Volumes int64
	Bytes   int64
}

// Admit says whether a tenant that would have `after` once it got a volume of
// size bytes stays within the limits. It wraps volume.ErrNoSpace and names
// what is used and what is allowed. before is what it has now.
func (l Limits) Admit(size int64, before, after Usage) error {
	switch {
	case l.Largest > 0 && size > int64(l.Largest):
		return fmt.Errorf("a volume of %d bytes is over the tenant's limit for one volume, %d bytes: ask for less, or raise «largest» in the policy file: %w", size, l.Largest, volume.ErrNoSpace)
	case l.Volumes > 0 && after.Volumes > l.Volumes && after.Volumes > before.Volumes:
		return fmt.Errorf("the tenant has %d of %d volumes: delete one, or raise «volumes» in the policy file: %w", before.Volumes, l.Volumes, volume.ErrNoSpace)
	case l.Bytes > 0 && after.Bytes > int64(l.Bytes) && after.Bytes > before.Bytes:
		return fmt.Errorf("the tenant has %d of %d bytes, %d more are asked for: delete volumes, or raise «bytes» in the policy file: %w", before.Bytes, l.Bytes, after.Bytes-before.Bytes, volume.ErrNoSpace)
	}
	return nil
}

// Inline returns how many inline volumes the tenant's pods may have on one
// node; 0 is no limit.
func (l Limits) Inline() int64 {
	if l.InlinePerNode == nil {
		return DefaultInlinePerNode
	}
	return *l.InlinePerNode
}

// AdmitInline says whether a tenant that has so many other inline volumes on a
// node may have one more there. It wraps volume.ErrNoSpace.
func (l Limits) AdmitInline(others int) error {
	if limit := l.Inline(); limit > 0 && int64(others) >= limit {
		return fmt.Errorf("the tenant has %d of %d inline volumes on this node: end pods that have some, or raise «inlinePerNode» in the policy file: %w", others, limit, volume.ErrNoSpace)
	}
	return nil
}

// Left returns the bytes that a tenant can still get, free being what the
// pool can still store.
func (l Limits) Left(used Usage, free int64) int64 {
	if l.Volumes > 0 && used.Volumes >= l.Volumes {
		return 0
	}
	if l.Bytes > 0 {
		free = min(free, max(int64(l.Bytes)-used.Bytes, 0))
	}
	return free
}

// IsZero says that the volumes and their bytes are not limited.
func (l Limits) IsZero() bool { return l.Volumes == 0 && l.Bytes == 0 && l.Largest == 0 }

// Bytes is a number of bytes; in YAML also with a unit, like 100Gi.
type Bytes int64

// UnmarshalYAML reads 107374182400, 100Gi or 1.5Ti.
func (b *Bytes) UnmarshalYAML(node *yaml.Node) error {
	n, err := parseBytes(node.Value)
	if err != nil || node.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: %.32q is no number of bytes, like 1073741824 or 100Gi", node.Line, node.Value)
	}
	*b = n
	return nil
}

func parseBytes(s string) (Bytes, error) {
	factor := 1.0
	for i, unit := range [...]string{"Ki", "Mi", "Gi", "Ti", "Pi"} {
		if number, ok := strings.CutSuffix(s, unit); ok {
			s, factor = number, math.Pow(1024, float64(i+1))
			break
		}
	}
	if factor == 1 {
		n, err := strconv.ParseInt(s, 10, 64)
		return Bytes(n), err
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.Abs(f*factor) > math.MaxInt64/2 {
		return 0, strconv.ErrRange
	}
	return Bytes(f * factor), nil
}
