package arch

import (
	"go/ast"
	"maps"
	"path"
	"slices"
	"strings"
)

const (
	maxFunction = 60
	maxFile     = 400
)

// documents wants a doc.go, with a package comment, in each package.
func documents(t Tree) (all []Violation) {
	documented := map[string]bool{}
	for _, f := range t {
		documented[f.Dir] = documented[f.Dir] || path.Base(f.Name) == "doc.go" && f.AST.Doc.Text() != ""
	}
	for _, dir := range slices.Sorted(maps.Keys(documented)) {
		if !documented[dir] {
			all = append(all, Violation{Place: dir, Says: "the package has no doc.go with a package comment"})
		}
	}
	return all
}

// lengths keeps functions and files, but tests, short.
func lengths(t Tree) []Violation {
	return t.each(func(f File) (all []Violation) {
		if f.Test {
			return nil
		}
		if n := f.line(f.AST.FileEnd); n > maxFile {
			all = append(all, f.at(f.AST.FileEnd, "the file has %d lines, more than %d", n, maxFile))
		}
		for _, d := range f.AST.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := f.line(fn.End()) - f.line(fn.Pos()) + 1; n > maxFunction {
				all = append(all, f.at(fn.Pos(), "%s has %d lines, more than %d", fn.Name.Name, n, maxFunction))
			}
		}
		return all
	})
}

// emptyWords are names that do not say what is inside.
func emptyWords() []string {
	return []string{"util", "utils", "common", "helper", "helpers", "manager", "base", "misc"}
}

// names keeps empty words out of file and package names.
func names(t Tree) []Violation {
	return t.each(func(f File) (all []Violation) {
		words := strings.FieldsFunc(strings.ToLower(f.Name), func(r rune) bool { return strings.ContainsRune("/_-.", r) })
		words = append(words, strings.TrimSuffix(f.AST.Name.Name, "_test"))
		for _, w := range emptyWords() {
			if slices.Contains(words, w) {
				all = append(all, f.at(f.AST.Package, "%q does not say what is inside", w))
			}
		}
		return all
	})
}

// leftovers keeps notes about unfinished work out of comments.
func leftovers(t Tree) []Violation {
	marks := []string{"TO" + "DO", "FIX" + "ME", "XX" + "X"}
	return t.each(func(f File) (all []Violation) {
		for _, group := range f.AST.Comments {
			for _, c := range group.List {
				for _, m := range marks {
					if slices.Contains(strings.FieldsFunc(c.Text, isNoLetter), m) {
						all = append(all, f.at(c.Pos(), "a comment says %s", m))
					}
				}
			}
		}
		return all
	})
}

func isNoLetter(r rune) bool { return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') }
