package tenant

import (
	"errors"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document is a policy file as YAML nodes, to find the line of a fault.
type document struct {
	root yaml.Node
}

// line returns the line of what the steps lead to: keys of mappings (string)
// and places in lists (int). Where a step leads nowhere, it is the line of
// what the steps before led to.
func (d document) line(steps ...any) int {
	node := &d.root
	if node.Kind == yaml.DocumentNode && len(node.Content) > 0 {
		node = node.Content[0]
	}
	for _, step := range steps {
		next := child(node, step)
		if next == nil {
			break
		}
		node = next
	}
	return max(node.Line, 1)
}

func child(node *yaml.Node, step any) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	switch step := step.(type) {
	case int:
		if node.Kind == yaml.SequenceNode && step < len(node.Content) {
			return node.Content[step]
		}
	case string:
		if node.Kind != yaml.MappingNode {
			return nil
		}
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == step {
				return node.Content[i+1]
			}
		}
	}
	return nil
}

// oneLine tells all that the YAML decoder found in one line of text. It
// begins with the first fault's own line.
func oneLine(err error) string {
	var faults *yaml.TypeError
	if errors.As(err, &faults) {
		return strings.Join(faults.Errors, "; ")
	}
	return strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", " "), "yaml: ")
}
