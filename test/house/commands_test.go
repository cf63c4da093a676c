package house

import (
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file of a command is flags, a call and what prints the result. What it decides is in a
// library, what it prints in internal/ui, and its help text in a file below help.

// The most lines of code, without imports and comments, that a file of sysupdate-image has: with
// a command in it, and with what commands share.
const (
	mostOfCommand = 60
	mostOfOther   = 110
)

func TestCommandsAreThin(t *testing.T) {
	commands := 0
	for _, path := range filesBelow(t, []string{"cmd/sysupdate-image"}, ".go") {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f := lookAtCommand(t, path, text)
		name := filepath.Base(path)
		commands += f.commands
		most := mostOfOther
		if f.commands > 0 {
			most = mostOfCommand
		}
		if f.commands > 1 {
			t.Errorf("%s has %d commands; want a file for each", name, f.commands)
		}
		if f.lines > most {
			t.Errorf("%s has %d lines of code; want at most %d", name, f.lines, most)
		}
		if f.commands > 0 && f.prints != "" {
			t.Errorf("%s: %s: internal/ui prints", name, f.prints)
		}
		if f.helps != "" {
			t.Errorf("%s: %s: the help text of a command is in a file below help", name, f.helps)
		}
	}
	if commands < 40 {
		t.Errorf("found %d commands; want at least 40: are they not found any more?", commands)
	}
}

// A commandFile is what matters of a file of sysupdate-image.
type commandFile struct {
	lines    int    // of code, without imports
	commands int    // that are made in it
	prints   string // a call that prints
	helps    string // a help text
}

func lookAtCommand(t *testing.T, name string, text []byte) (f commandFile) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	first := 0
	for _, d := range file.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.IMPORT {
			first = set.Position(g.End()).Line
		}
	}
	f.lines = codeLines(text, max(first, set.Position(file.Name.End()).Line))
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			if isName(n.Type, "cobra", "Command") {
				f.commands++
				f.helps = keyOf(n, "Long", "Example")
			}
		case *ast.CallExpr:
			if s, ok := n.Fun.(*ast.SelectorExpr); ok && isName(s, "fmt", s.Sel.Name) && strings.Contains(s.Sel.Name, "rint") &&
				!strings.HasPrefix(s.Sel.Name, "S") {
				f.prints = "fmt." + s.Sel.Name
			}
		}
		return true
	})
	return f
}

// codeLines returns how many lines below one have code on them. Of a text of several lines, only
// the first and the last one count.
func codeLines(text []byte, below int) int {
	set := token.NewFileSet()
	file := set.AddFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, 0)
	lines := make(map[int]bool)
	for {
		pos, kind, literal := s.Scan()
		if kind == token.EOF {
			return len(lines)
		}
		added := kind == token.SEMICOLON && literal == "\n"
		if line := set.Position(pos).Line; line > below && !added {
			lines[line] = true
		}
	}
}

func isName(e ast.Expr, pkg, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != name {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == pkg
}

// keyOf returns the first key of a literal that is one of names.
func keyOf(c *ast.CompositeLit, names ...string) string {
	for _, e := range c.Elts {
		pair, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		key, ok := pair.Key.(*ast.Ident)
		for _, name := range names {
			if ok && key.Name == name {
				return name
			}
		}
	}
	return ""
}

func TestCommandRulesRefuse(t *testing.T) {
	const text = `package main

import (
	"fmt"
)

// A comment.
func f() {
	c := &cobra.Command{Use: "a",
		Long: "text",
	}

	fmt.Fprintln(out, ` + "`" + `a
b` + "`" + `)
	fmt.Sprint(c)
}
`
	want := commandFile{lines: 8, commands: 1, prints: "fmt.Fprintln", helps: "Long"}
	if got := lookAtCommand(t, "a.go", []byte(text)); got != want {
		t.Errorf("lookAtCommand = %+v; want %+v", got, want)
	}
}
