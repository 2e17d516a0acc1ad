package function

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// errEOF is what the parser says of an empty document.
var errEOF = io.EOF

// Bind writes a binding into the manifest, in place of one that was at the
// same path. container is the container that sees it; empty where there is one
// only. To bind the same again changes nothing.
func (m *Manifest) Bind(b Binding, container string) error {
	if err := b.Check(); err != nil {
		return err
	}
	template, err := m.template()
	if err != nil {
		return err
	}
	pod, err := template.Pipe(yaml.LookupCreate(yaml.MappingNode, "spec"))
	if err != nil {
		return m.broken(err)
	}
	c, err := m.container(pod, container)
	if err != nil {
		return err
	}
	if err := m.refuseTaken(template, pod, c, b); err != nil {
		return err
	}
	return m.broken(errors.Join(
		dropAt(template, pod, b),
		annotate(template, b),
		set(pod, "volumes", "name", b.Volume(), b.podVolume()),
		set(c, "volumeMounts", "mountPath", b.Path, b.podMount()),
	))
}

// broken says that the manifest is not shaped as Kubernetes wants it.
func (m *Manifest) broken(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s is not a valid manifest: %w: %w", m.Kind(), m.Name(), err, volume.ErrInvalid)
}

// container returns the container that is named, or the only one.
func (m *Manifest) container(pod *yaml.RNode, name string) (*yaml.RNode, error) {
	list, err := elements(pod, "containers")
	if err != nil {
		return nil, m.broken(err)
	}
	var names []string
	for _, c := range list {
		names = append(names, text(c, "name"))
		if name != "" && text(c, "name") == name {
			return c, nil
		}
	}
	if name == "" && len(list) == 1 {
		return list[0], nil
	}
	return nil, fmt.Errorf("%s %s has the containers %s: name one with --container: %w", m.Kind(), m.Name(), strings.Join(names, ", "), volume.ErrInvalid)
}

// refuseTaken refuses a path, or a name of a volume, that something else has.
func (m *Manifest) refuseTaken(template, pod, c *yaml.RNode, b Binding) error {
	own := template.GetAnnotations()
	bound := func(name string) bool { return own[annotation(name, annotationGolden)] != "" }
	mounts, err := elements(c, "volumeMounts")
	if err != nil {
		return m.broken(err)
	}
	for _, mount := range mounts {
		if text(mount, "mountPath") == b.Path && !bound(text(mount, "name")) {
			return fmt.Errorf("%s %s has volume %s at %s already: choose another --path: %w", m.Kind(), m.Name(), text(mount, "name"), b.Path, volume.ErrConflict)
		}
	}
	volumes, err := elements(pod, "volumes")
	if err != nil {
		return m.broken(err)
	}
	for _, v := range volumes {
		if text(v, "name") == b.Volume() && !bound(b.Volume()) {
			return fmt.Errorf("%s %s has a volume %s that `sdpctl function bind` did not write: rename it: %w", m.Kind(), m.Name(), b.Volume(), volume.ErrConflict)
		}
	}
	return nil
}

// dropAt takes out what was bound at the same path, and where else the same
// volume was bound. What is to be set again in its place keeps it.
func dropAt(template, pod *yaml.RNode, b Binding) error {
	for name, at := range boundVolumes(template) {
		same, here := name == b.Volume(), at == b.Path
		if same == here {
			continue
		}
		if err := drop(template, pod, name); err != nil {
			return err
		}
	}
	return nil
}

// drop takes a binding's parts out.
func drop(template, pod *yaml.RNode, name string) error {
	list, err := elements(pod, "containers")
	if err != nil {
		return err
	}
	var failed []error
	for _, c := range list {
		failed = append(failed, remove(c, "volumeMounts", name))
	}
	failed = append(failed, remove(pod, "volumes", name))
	for _, field := range annotationFields() {
		failed = append(failed, template.PipeE(yaml.ClearAnnotation(annotation(name, field))))
	}
	return errors.Join(failed...)
}

// boundVolumes are the volumes that the annotations tell of, with their paths.
func boundVolumes(template *yaml.RNode) map[string]string {
	found := map[string]string{}
	all := template.GetAnnotations()
	for key := range all {
		if name, ok := strings.CutSuffix(key, annotationDomain+annotationGolden); ok {
			found[name] = all[annotation(name, annotationPath)]
		}
	}
	return found
}

func annotate(template *yaml.RNode, b Binding) error {
	all := b.annotations()
	for _, field := range annotationFields() {
		key := annotation(b.Volume(), field)
		if err := template.PipeE(yaml.SetAnnotation(key, all[key])); err != nil {
			return err
		}
	}
	return nil
}

// set puts an element into a list of mappings, in place of the one with the
// same key.
func set(in *yaml.RNode, list, key, value string, element any) error {
	encoded, err := encode(element)
	if err != nil {
		return err
	}
	node, err := yaml.Parse(encoded)
	if err != nil {
		return err
	}
	at, err := in.Pipe(yaml.LookupCreate(yaml.SequenceNode, list))
	if err != nil {
		return err
	}
	return at.PipeE(yaml.ElementSetter{Keys: []string{key}, Values: []string{value}, Element: node.YNode()})
}

// remove takes the elements of a name out of a list, and the list when it is
// empty then.
func remove(in *yaml.RNode, list, name string) error {
	at, err := in.Pipe(yaml.Lookup(list))
	if err != nil || at == nil {
		return err
	}
	content := at.YNode().Content
	at.YNode().Content = slices.DeleteFunc(content, func(n *yaml.Node) bool { return text(yaml.NewRNode(n), "name") == name })
	if len(at.YNode().Content) == 0 {
		return in.PipeE(yaml.Clear(list))
	}
	return nil
}

// elements returns a list's elements; none where there is no list.
func elements(in *yaml.RNode, list string) ([]*yaml.RNode, error) {
	at, err := in.Pipe(yaml.Lookup(list))
	if err != nil || at == nil {
		return nil, err
	}
	return at.Elements()
}

func text(n *yaml.RNode, field string) string {
	value, err := n.Pipe(yaml.Lookup(field))
	if err != nil || value == nil {
		return ""
	}
	return value.YNode().Value
}
