package ui

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestAdvisedErrorsAreAll wants every type that Advise knows among the errors that the tests
// use.
func TestAdvisedErrorsAreAll(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "advice.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, a := range advisedErrors() {
		have = append(have, reflect.TypeOf(a.err).String())
	}
	have = append(have, "*oci.OtherPlatformError") // of AdviseArch
	known := 0
	ast.Inspect(file, func(n ast.Node) bool {
		index, ok := n.(*ast.IndexExpr)
		if !ok {
			return true
		}
		star, ok := index.Index.(*ast.StarExpr)
		if !ok {
			return true
		}
		s := star.X.(*ast.SelectorExpr)
		known++
		if name := "*" + s.X.(*ast.Ident).Name + "." + s.Sel.Name; !slices.Contains(have, name) {
			t.Errorf("no test has an error of type %s", name)
		}
		return true
	})
	if known < 15 {
		t.Errorf("found only %d types in advice.go", known)
	}
}

// named matches commands and flags in an advice, without their operands.
var named = regexp.MustCompile(`(sysupdate-image( (--)?[a-z][a-z-]*)+|--[a-z][a-z-]+)`)

// TestAdviceIsOnThePage wants what an advice names in the row that docs/errors.md has for the
// error.
func TestAdviceIsOnThePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	all := advisedErrors()
	for _, a := range always {
		all = append(all, advised{a.err, a.text})
	}
	for _, a := range all {
		rows := rowsFor(string(page), a.err.Error())
		if len(rows) == 0 {
			t.Errorf("docs/errors.md has no row for %q", a.err)
			continue
		}
		for _, name := range named.FindAllString(a.want, -1) {
			name = strings.TrimPrefix(name, "sysupdate-image ")
			name = operand.ReplaceAllString(name, "")
			if !slices.ContainsFunc(rows, func(row string) bool { return strings.Contains(row, name) }) {
				t.Errorf("docs/errors.md does not have %q for %q: %q", name, a.err, rows)
			}
		}
	}
}

// operand matches what a command is about.
var operand = regexp.MustCompile(` (old|oci|a+|--hash)$`)

var inQuotes = regexp.MustCompile("`([^`]+)`")

// rowsFor returns the rows of a page of which the first cell has a text of the error.
func rowsFor(page, text string) (rows []string) {
	for line := range strings.Lines(page) {
		cell, rest, ok := strings.Cut(line, " | ")
		if !ok || !strings.HasPrefix(cell, "| `") {
			continue
		}
		for _, m := range inQuotes.FindAllStringSubmatch(cell, -1) {
			if isIn(m[1], text) {
				rows = append(rows, rest)
				break
			}
		}
	}
	return rows
}

// isIn reports whether the pieces of a text with … between them are in another, in order.
func isIn(pattern, text string) bool {
	if len(pattern) < 10 && pattern != text {
		return false
	}
	for piece := range strings.SplitSeq(pattern, "…") {
		_, after, found := strings.Cut(text, strings.TrimSpace(piece))
		if !found {
			return false
		}
		text = after
	}
	return true
}
