package arch

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Module is the project's import path.
const Module = "github.com/sdp-csi/sdp-csi"

// File is one source file.
type File struct {
	Name string // below the module's root, with slashes
	Dir  string
	Test bool // of a package's tests
	AST  *ast.File
	fset *token.FileSet
}

// Tree is all sources of a module.
type Tree []File

// Violation is a rule that is broken at a place.
type Violation struct {
	Place string // file:line, or a directory
	Says  string
}

// String returns the violation as a compiler would print it.
func (v Violation) String() string { return v.Place + ": " + v.Says }

// Read parses the sources below root.
func Read(root string) (Tree, error) {
	var tree Tree
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return enter(root, name)
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		file, err := read(fset, root, name)
		tree = append(tree, file)
		return err
	})
	if err == nil && len(tree) == 0 {
		err = errors.New("there are no sources")
	}
	if err != nil {
		return nil, fmt.Errorf("read the sources below %s: %w", root, err)
	}
	return tree, nil
}

// enter leaves out what the go command leaves out, modules of their own among
// them, and what is built.
func enter(root, dir string) error {
	if dir == root {
		return nil
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
		return fs.SkipDir
	}
	base := filepath.Base(dir)
	if base == "testdata" || base == "bin" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	return nil
}

func read(fset *token.FileSet, root, name string) (File, error) {
	parsed, err := parser.ParseFile(fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return File{}, err
	}
	below, err := filepath.Rel(root, name)
	if err != nil {
		return File{}, err
	}
	below = filepath.ToSlash(below)
	return File{Name: below, Dir: path.Dir(below), Test: strings.HasSuffix(below, "_test.go"), AST: parsed, fset: fset}, nil
}

// at says something about a node of the file.
func (f File) at(pos token.Pos, format string, args ...any) Violation {
	return Violation{Place: fmt.Sprintf("%s:%d", f.Name, f.line(pos)), Says: fmt.Sprintf(format, args...)}
}

func (f File) line(pos token.Pos) int { return f.fset.Position(pos).Line }

// in says whether dir is root or below it.
func in(dir, root string) bool { return dir == root || strings.HasPrefix(dir, root+"/") }

// Check returns all violations of all rules.
func Check(t Tree) []Violation {
	var all []Violation
	for _, rule := range []func(Tree) []Violation{
		ownImports, foreignImports, documents, lengths, state, names, leftovers,
	} {
		all = append(all, rule(t)...)
	}
	return all
}

// each collects what a rule says about files one by one.
func (t Tree) each(rule func(File) []Violation) []Violation {
	var all []Violation
	for _, f := range t {
		all = append(all, rule(f)...)
	}
	return all
}
