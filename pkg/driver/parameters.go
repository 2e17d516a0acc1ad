package driver

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The keys of CreateVolume's parameters. Those of Kubernetes begin with
// kubernetesPrefix; of them only the PVC's namespace has a meaning here.
const (
	paramGolden   = "golden"
	paramCluster  = "cluster"
	paramShare    = "share"
	paramPrefetch = "prefetch"
	paramBackend  = "backend"

	kubernetesPrefix = "csi.storage.k8s.io/"
	paramNamespace   = kubernetesPrefix + "pvc/namespace"
	podNamespace     = kubernetesPrefix + "pod.namespace"
)

// parameters are a class's parameters, read.
type parameters struct {
	namespace string
	cluster   string
	golden    volume.GoldenRef // zero: none
	share     volume.Share
	prefetch  volume.Prefetch
	backend   volume.Backend
}

// parseParameters reads them in the order of their keys, so that of several
// faults the same one is always named.
func parseParameters(m map[string]string) (parameters, error) {
	p := parameters{share: volume.ShareNode, prefetch: volume.PrefetchNone, backend: volume.RBD}
	if err := checkMap("parameters", m); err != nil {
		return parameters{}, err
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if err := p.set(key, m[key]); err != nil {
			return parameters{}, err
		}
	}
	return p, nil
}

func (p *parameters) set(key, value string) (err error) {
	switch {
	case key == paramNamespace:
		p.namespace = value
	case hasKubernetesPrefix(key):
	case key == paramGolden:
		p.golden, err = volume.ParseGoldenRef(value)
	case key == paramCluster:
		p.cluster = value
	case key == paramShare:
		p.share = volume.Share(value)
		err = oneOf(key, value, string(volume.ShareNode), string(volume.ShareClone))
	case key == paramPrefetch:
		p.prefetch = volume.Prefetch(value)
		err = oneOf(key, value, string(volume.PrefetchNone), string(volume.PrefetchMetadata), string(volume.PrefetchAll))
	case key == paramBackend:
		p.backend = volume.Backend(value)
		err = oneOf(key, value, string(volume.RBD), string(volume.CephFS))
	default:
		err = unknownParameter(key)
	}
	return err
}

func hasKubernetesPrefix(key string) bool { return strings.HasPrefix(key, kubernetesPrefix) }

func oneOf(key, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("parameter %s cannot be %.64q: use %s: %w", key, value, strings.Join(allowed, " or "), volume.ErrInvalid)
}

func unknownParameter(key string) error {
	known := []string{paramBackend, paramCluster, paramGolden, paramPrefetch, paramShare}
	return fmt.Errorf("parameter %.64q is not known: did you mean %q? Known are %s: %w",
		key, nearest(key, known), strings.Join(known, ", "), volume.ErrInvalid)
}

// nearest returns the known word with the least edits from word.
func nearest(word string, known []string) string {
	return slices.MinFunc(known, func(a, b string) int { return edits(word, a) - edits(word, b) })
}

// edits is the Levenshtein distance in bytes of the first 64 bytes of a and b.
func edits(a, b string) int {
	a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
