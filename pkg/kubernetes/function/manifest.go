package function

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// File is a file of one or more manifests. What is not changed is written as
// it was read, to the byte.
type File struct {
	parts []string
}

// ParseFile reads manifests (YAML or JSON).
func ParseFile(data []byte) *File {
	// A line that begins with three hyphens begins a document.
	separator := regexp.MustCompile(`(?m)^---`)
	f := &File{}
	text, begin := string(data), 0
	for _, at := range separator.FindAllStringIndex(text, -1) {
		if at[0] > begin {
			f.parts = append(f.parts, text[begin:at[0]])
			begin = at[0]
		}
	}
	f.parts = append(f.parts, text[begin:])
	return f
}

// String returns the file's text.
func (f *File) String() string { return strings.Join(f.parts, "") }

// Add appends a manifest.
func (f *File) Add(text string) {
	if all := f.String(); all != "" && !strings.HasSuffix(all, "\n") {
		text = "\n---\n" + text
	} else {
		text = "---\n" + text
	}
	f.parts = append(f.parts, text)
}

// Which tells functions of a file apart: empty fields match all.
type Which struct{ Kind, Name string }

// Change applies change to the one function of the file that is meant, and
// notes what it makes of it.
func (f *File) Change(w Which, change func(*Manifest) error) error {
	i, m, err := f.find(w)
	if err != nil {
		return err
	}
	before := f.parts[i]
	if err := change(m); err != nil {
		return err
	}
	text, err := m.render(before)
	if err != nil {
		return err
	}
	f.parts[i] = text
	return nil
}

// Has says whether there is an object of that kind and name.
func (f *File) Has(kind, name string) bool {
	for _, part := range f.parts {
		m, err := parse(part)
		if err == nil && m != nil && m.Kind() == kind && m.Name() == name {
			return true
		}
	}
	return false
}

// Find returns the function that is meant. None, and several, wrap
// volume.ErrInvalid.
func (f *File) Find(w Which) (*Manifest, error) {
	_, m, err := f.find(w)
	return m, err
}

// find returns where it is too.
func (f *File) find(w Which) (int, *Manifest, error) {
	var at []int
	var found *Manifest
	for i, part := range f.parts {
		m, err := parse(part)
		if err != nil {
			return 0, nil, err
		}
		if m != nil && m.is(w) {
			at, found = append(at, i), m
		}
	}
	switch len(at) {
	case 1:
		return at[0], found, nil
	case 0:
		return 0, nil, fmt.Errorf("the file has no such object with a pod template (%s): %w", strings.Join(Kinds(), ", "), volume.ErrInvalid)
	}
	return 0, nil, fmt.Errorf("the file has %d objects with a pod template: name one by KIND NAME: %w", len(at), volume.ErrInvalid)
}

// parse reads one document; nil for one that is no object.
func parse(part string) (*Manifest, error) {
	node, err := yaml.Parse(strings.TrimPrefix(part, "---"))
	if errors.Is(err, errEOF) || (err == nil && yaml.IsMissingOrNull(node)) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the file is no YAML: %w: %w", err, volume.ErrInvalid)
	}
	if node.YNode().Kind != yaml.MappingNode {
		return nil, nil
	}
	return &Manifest{node: node}, nil
}

// Manifest is an object with a pod template.
type Manifest struct {
	node *yaml.RNode
}

// Kind returns the object's kind.
func (m *Manifest) Kind() string { return m.node.GetKind() }

// Name returns the object's name.
func (m *Manifest) Name() string { return m.node.GetName() }

// Namespace returns the object's namespace; empty where it names none.
func (m *Manifest) Namespace() string { return m.node.GetNamespace() }

func (m *Manifest) is(w Which) bool {
	k, ok := kindOf(m.Kind(), m.node.GetApiVersion())
	if !ok || (w.Name != "" && w.Name != m.Name()) {
		return false
	}
	return w.Kind == "" || k.isCalled(w.Kind)
}

// template returns the pod template: what has metadata and spec of a pod.
func (m *Manifest) template() (*yaml.RNode, error) {
	k, ok := kindOf(m.Kind(), m.node.GetApiVersion())
	if !ok {
		return nil, fmt.Errorf("%s %s has no pod template: %w", m.Kind(), m.Name(), volume.ErrInvalid)
	}
	node := m.node
	if len(k.template) > 0 {
		var err error
		node, err = m.node.Pipe(yaml.Lookup(k.template...))
		if err != nil || node == nil {
			return nil, fmt.Errorf("%s %s has no %s: %w", m.Kind(), m.Name(), strings.Join(k.template, "."), volume.ErrInvalid)
		}
	}
	return node, nil
}

// render writes the document in the way in which lists of the text before
// are indented.
func (m *Manifest) render(before string) (string, error) {
	options := &yaml.EncoderOptions{SeqIndent: yaml.SequenceIndentStyle(yaml.DeriveSeqIndentStyle(before))}
	text, err := yaml.MarshalWithOptions(m.node.YNode(), options)
	if err != nil {
		return "", fmt.Errorf("write the manifest: %w", err)
	}
	head, _, _ := strings.Cut(before, "\n")
	if strings.HasPrefix(head, "---") {
		return head + "\n" + string(text), nil
	}
	return string(text), nil
}

func encode(v any) (string, error) {
	text, err := yaml.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("write YAML: %w", err)
	}
	return string(text), nil
}
