package arch

import (
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"path"
	"slices"
	"strings"
)

// state keeps packages without init and without variables that change: what a
// package-level variable may be is a sentinel error, a compiled pattern, an
// embedded file, a check of a type, or a table that nothing writes to.
func state(t Tree) (all []Violation) {
	packages := map[string]Tree{}
	for _, f := range t {
		if !f.Test {
			key := f.Dir + " " + f.AST.Name.Name
			packages[key] = append(packages[key], f)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(packages)) {
		files := packages[key]
		all = append(all, files.each(initializers)...)
		all = append(all, files.each(variables)...)
		all = append(all, writes(files)...)
	}
	return all
}

func initializers(f File) (all []Violation) {
	for _, d := range f.AST.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			all = append(all, f.at(fn.Pos(), "init runs before anybody asked for it"))
		}
	}
	return all
}

func variables(f File) (all []Violation) {
	for _, d := range f.AST.Decls {
		group, ok := d.(*ast.GenDecl)
		if !ok || group.Tok != token.VAR {
			continue
		}
		for _, s := range group.Specs {
			spec, _ := s.(*ast.ValueSpec) // var groups have no others
			if !isEmbedded(group, spec) && !isConstant(spec) {
				all = append(all, f.at(spec.Pos(), "%s is package-level state", spec.Names[0].Name))
			}
		}
	}
	return all
}

// isEmbedded says whether the compiler fills the variable from a file.
func isEmbedded(group *ast.GenDecl, spec *ast.ValueSpec) bool {
	for _, doc := range []*ast.CommentGroup{group.Doc, spec.Doc} {
		if doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") }) {
			return true
		}
	}
	return false
}

// isConstant says whether all values are of kinds that do not change.
func isConstant(spec *ast.ValueSpec) bool {
	if spec.Names[0].Name == "_" {
		return true
	}
	return len(spec.Values) > 0 && !slices.ContainsFunc(spec.Values, func(v ast.Expr) bool { return !isValue(v) })
}

func isValue(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit, *ast.Ident, *ast.BinaryExpr, *ast.SelectorExpr:
		return true
	case *ast.CompositeLit:
		name := selector(e.Type)
		return !strings.HasPrefix(name, "sync.") && !strings.HasPrefix(name, "atomic.")
	case *ast.CallExpr:
		return slices.Contains([]string{"errors.New", "fmt.Errorf", "regexp.MustCompile", "strings.NewReplacer"}, selector(e.Fun))
	}
	return false
}

// selector returns pkg.Name, also of pkg.Name[T]; empty for anything else.
func selector(e ast.Expr) string {
	if generic, ok := e.(*ast.IndexExpr); ok {
		e = generic.X
	}
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	x, ok := s.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return x.Name + "." + s.Sel.Name
}

// writes finds what changes a package-level variable, or gives its address
// away.
func writes(files Tree) []Violation {
	uses, scope := resolve(files)
	return files.each(func(f File) (all []Violation) {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			for _, e := range written(n) {
				name := rootOf(e)
				if name == nil {
					continue
				}
				if v, ok := uses[name].(*types.Var); ok && v.Parent() == scope {
					all = append(all, f.at(e.Pos(), "%s is a package-level variable and is changed", name.Name))
				}
			}
			return true
		})
		return all
	})
}

// written returns the expressions that a node may change.
func written(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			return slices.DeleteFunc([]ast.Expr{n.Key, n.Value}, func(e ast.Expr) bool { return e == nil })
		}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			return []ast.Expr{n.X}
		}
	case *ast.CallExpr:
		if fn, ok := n.Fun.(*ast.Ident); ok && (fn.Name == "delete" || fn.Name == "clear" || fn.Name == "copy") && len(n.Args) > 0 {
			return n.Args[:1]
		}
	}
	return nil
}

// rootOf returns the variable that x, x[i], x.f, *x are about.
func rootOf(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// resolve tells which name means what, as far as that needs no other package.
func resolve(files Tree) (map[*ast.Ident]types.Object, *types.Scope) {
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: blind{}, Error: func(error) {}, FakeImportC: true}
	parsed := make([]*ast.File, len(files))
	for i, f := range files {
		parsed[i] = f.AST
	}
	pkg, _ := config.Check(files[0].Dir, files[0].fset, parsed, info) // what is imported is not known, so it has errors
	return info.Uses, pkg.Scope()
}

// blind imports packages without looking at them.
type blind struct{}

var _ types.Importer = blind{}

// Import returns an empty package.
func (blind) Import(name string) (*types.Package, error) {
	p := types.NewPackage(name, path.Base(name))
	p.MarkComplete()
	return p, nil
}
