package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// builtins are functions of the language that a variable would hide.
var builtins = []string{"new", "copy", "close", "len"}

func TestNoVariableHidesABuiltin(t *testing.T) {
	eachFile(t, func(at func(token.Pos) string, file *ast.File) {
		for _, name := range variables(file) {
			if slices.Contains(builtins, name.Name) {
				t.Errorf("%s: a variable has the name of the function %s", at(name.Pos()), name.Name)
			}
		}
	})
}

// TestOnlyMainExits: what is below main returns, so that it can be tested and cleans up.
func TestOnlyMainExits(t *testing.T) {
	eachFile(t, func(at func(token.Pos) string, file *ast.File) {
		if file.Name.Name == "main" {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Exit" && isPackage(s.X, "os") {
				t.Errorf("%s: os.Exit below main", at(s.Pos()))
			}
			return true
		})
	})
}

func isPackage(x ast.Expr, name string) bool {
	id, ok := x.(*ast.Ident)
	return ok && id.Name == name
}

// variables returns the names of variables where they come into being.
func variables(file *ast.File) (names []*ast.Ident) {
	add := func(exprs ...ast.Expr) {
		for _, e := range exprs {
			if id, ok := e.(*ast.Ident); ok {
				names = append(names, id)
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncType:
			names = append(names, parameters(n.Params)...)
			names = append(names, parameters(n.Results)...)
		case *ast.ValueSpec:
			names = append(names, n.Names...)
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				add(n.Lhs...)
			}
		case *ast.RangeStmt:
			add(n.Key, n.Value)
		}
		return true
	})
	return names
}

func parameters(list *ast.FieldList) (names []*ast.Ident) {
	if list == nil {
		return nil
	}
	for _, field := range list.List {
		names = append(names, field.Names...)
	}
	return names
}

func TestVariables(t *testing.T) {
	const source = `package p
var a int
func f(b int) (c int) {
	d, e := 1, 2
	for f, g := range []int{} { _ = func(h int) { a = f } }
	return
}
type t struct{ new int }`
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, name := range variables(file) {
		got = append(got, name.Name)
	}
	if slices.Sort(got); strings.Join(got, "") != "abcdefgh" {
		t.Errorf("variables = %q; want a to h", got)
	}
}
