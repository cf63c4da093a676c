// Package mutate makes variants of the programs in which one thing that keeps
// power cuts from doing harm is left out: a sync, or an order. What it changes is
// the source that the compiler sees (go build -overlay), never a file.
package mutate

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// packages are where the programs change file systems.
var packages = []string{
	"internal/linux/durable", "internal/composefs/repo", "internal/machine/boot", "internal/machine/records",
	"internal/etc/merge", "internal/etc/carry", "internal/update", "finalize",
}

// calls are the functions and methods that make something durable.
var calls = []string{"Sync", "Syncfs", "sync", "syncDir", "syncRenamed", "syncParent"}

// A Mutant is a variant of a source file.
type Mutant struct {
	Name string // what is left out, such as "internal/linux/durable.writeTemp: f.Sync()"
	File string // below the repository
	Line int
	text []byte
}

// Find returns a mutant for each call that makes something durable, and for each
// of the named orders, of the repository in a directory.
func Find(repository string) ([]Mutant, error) {
	var all []Mutant
	for _, pkg := range packages {
		files, err := filepath.Glob(filepath.Join(repository, pkg, "*.go"))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			name, err := filepath.Rel(repository, file)
			if err != nil {
				return nil, err
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			found, err := omissions(name, text)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
	}
	ordered, err := reorderings(os.DirFS(repository))
	return append(all, ordered...), err
}

// omissions returns a mutant for each call in a file.
func omissions(name string, text []byte) ([]Mutant, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var all []Mutant
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !slices.Contains(calls, called(call.Fun)) {
				return true
			}
			from, to := set.Position(call.Pos()), set.Position(call.End())
			source := string(text[from.Offset:to.Offset])
			all = append(all, Mutant{
				Name: fmt.Sprintf("%s.%s: %s", filepath.Dir(name), f.Name.Name, source),
				File: name, Line: from.Line,
				text: replaced(text, from.Offset, to.Offset, omitted(source, text[set.Position(call.Lparen).Offset:to.Offset])),
			})
			return true
		})
	}
	return all, nil
}

// called returns the name of the function or method that is called.
func called(fun ast.Expr) string {
	switch f := fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// omitted returns an expression that does nothing, successfully, and uses all that
// the call used, so that it compiles. arguments is the call from its parenthesis.
func omitted(call string, arguments []byte) string {
	fun := strings.TrimSuffix(call, string(arguments))
	rest := strings.TrimPrefix(string(arguments), "(")
	if rest != ")" {
		rest = ", " + rest
	}
	return "func(...any) error { return nil }(" + fun + rest
}

func replaced(text []byte, from, to int, by string) []byte {
	return slices.Concat(text[:from], []byte(by), text[to:])
}

// reorderings returns the mutants of the table orders.
func reorderings(repository fs.FS) ([]Mutant, error) {
	var all []Mutant
	var errs []error
	for _, o := range orders {
		text, err := fs.ReadFile(repository, o.file)
		if err != nil {
			return nil, err
		}
		at := strings.Index(string(text), o.from)
		if at < 0 || strings.Count(string(text), o.from) != 1 {
			errs = append(errs, fmt.Errorf("%s has changed: the order %q of test/powercut/mutate cannot be turned round there", o.file, o.name))
			continue
		}
		all = append(all, Mutant{
			Name: o.name, File: o.file, Line: 1 + strings.Count(string(text[:at]), "\n"),
			text: replaced(text, at, at+len(o.from), o.to),
		})
	}
	return all, errors.Join(errs...)
}

// Overlay writes the mutant to dir and returns the flags that have the compiler
// see it.
func (m Mutant) Overlay(repository, dir string) ([]string, error) {
	source := filepath.Join(dir, "mutant.go")
	if err := os.WriteFile(source, m.text, 0o644); err != nil {
		return nil, err
	}
	absolute, err := filepath.Abs(filepath.Join(repository, m.File))
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {absolute: source}})
	if err != nil {
		return nil, err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return []string{"-overlay", overlay}, os.WriteFile(overlay, text, 0o644)
}

// BuildTags returns the tags that the repository's Makefile builds with.
func BuildTags(repository string) (string, error) {
	text, err := os.ReadFile(filepath.Join(repository, "Makefile"))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "TAGS "); ok {
			return strings.TrimSpace(strings.TrimLeft(value, " :=")), nil
		}
	}
	return "", errors.New("there are no TAGS in the Makefile")
}
