package function

import (
	"cmp"
	"fmt"
	"slices"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Bound is a binding that a manifest tells of.
type Bound struct {
	Binding
	// Broken tells what is missing of it in the manifest; empty: nothing.
	Broken string
}

// Bindings returns what is bound, in the order of the paths. Annotations that
// nobody can have written by Bind wrap volume.ErrInvalid.
func (m *Manifest) Bindings() ([]Bound, error) {
	template, err := m.template()
	if err != nil {
		return nil, err
	}
	pod, err := template.Pipe(yaml.LookupCreate(yaml.MappingNode, "spec"))
	if err != nil {
		return nil, m.broken(err)
	}
	found := []Bound{}
	for name := range boundVolumes(template) {
		b, err := readBinding(template.GetAnnotations(), name)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", m.Kind(), m.Name(), err)
		}
		if err := b.look(pod, name); err != nil {
			return nil, m.broken(err)
		}
		found = append(found, b)
	}
	slices.SortFunc(found, func(a, b Bound) int { return cmp.Compare(a.Path, b.Path) })
	return found, nil
}

func readBinding(all map[string]string, name string) (Bound, error) {
	ref, err := volume.ParseGoldenRef(all[annotation(name, annotationGolden)])
	if err != nil {
		return Bound{}, fmt.Errorf("annotation %s: %w", annotation(name, annotationGolden), err)
	}
	return Bound{Binding: Binding{Golden: ref, Digest: all[annotation(name, annotationDigest)], Path: all[annotation(name, annotationPath)]}}, nil
}

// look compares the annotations with the volume and the mount.
func (b *Bound) look(pod *yaml.RNode, name string) error {
	volumes, err := elements(pod, "volumes")
	if err != nil {
		return err
	}
	i := slices.IndexFunc(volumes, func(v *yaml.RNode) bool { return text(v, "name") == name })
	if i < 0 {
		b.Broken = "the volume " + name + " is missing"
		return nil
	}
	b.readVolume(volumes[i])
	containers, err := elements(pod, "containers")
	if err != nil {
		return err
	}
	for _, c := range containers {
		mounts, err := elements(c, "volumeMounts")
		if err != nil {
			return err
		}
		for _, m := range mounts {
			if text(m, "name") == name && text(m, "mountPath") == b.Path {
				return nil
			}
		}
	}
	b.Broken = "nothing is mounted at " + b.Path
	return nil
}

func (b *Bound) readVolume(v *yaml.RNode) {
	b.Claim = at(v, "persistentVolumeClaim", "claimName")
	b.Cluster = at(v, "csi", "volumeAttributes", "cluster")
	b.Backend = volume.Backend(cmp.Or(at(v, "csi", "volumeAttributes", "backend"), string(volume.RBD)))
	b.Secret = at(v, "csi", "nodePublishSecretRef", "name")
	if golden := at(v, "csi", "volumeAttributes", "golden"); b.Claim == "" && golden != b.Golden.String() {
		b.Broken = "the volume shows golden " + cmp.Or(golden, "-")
	}
}

func at(v *yaml.RNode, fields ...string) string {
	found, err := v.Pipe(yaml.Lookup(fields...))
	if err != nil || found == nil {
		return ""
	}
	return found.YNode().Value
}
