package arch

import (
	"path/filepath"
	"testing"
)

func TestTheProjectKeepsItsRules(t *testing.T) {
	tree, err := Read(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree) < 50 {
		t.Fatalf("only %d sources were found", len(tree))
	}
	for _, v := range Check(tree) {
		t.Error(v)
	}
}
