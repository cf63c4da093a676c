package house

import (
	"cmp"
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// docs/errors.md lists errors as the programs print them, with … for what is put in. Both
// directions are checked: a text on the page is in the code, and an error has its row.

// explained are the packages each of whose errors has a row, if it is about no other error.
// Of all other packages, only errors that callers tell apart have one.
var explained = []string{
	"cmd/sysupdate-image", "internal/update", "internal/repair", "internal/etc/edit", "internal/machine",
	"internal/image/oci", "internal/image/updateconfig",
	"internal/install/*.go", "internal/install/device", "internal/install/layout", "internal/install/tools",
}

// notExplained are errors that nobody sees, or sees only with more in front of it that is
// explained, and why.
var notExplained = map[string]string{
	"an update is available": "is an exit code, and not printed",
	"not found":              "waits for the root of an initramfs, and becomes another error",
	"as in the image":        "tells apart where a setting comes from",
	"masked":                 "a unit is skipped",
	"unexpected end":         "comes with the file that it is in",
	"one goes beyond":        "comes with the image that it is in",
	"has more extended":      "comes with the file that it is in",
	"no composefs= on the":   "the kernel command line of another system",
}

// A message is a text of the code with … for what is put in.
type message struct{ where, text string }

// verb matches what fmt puts in.
var verb = regexp.MustCompile(`%[-+# 0]*[\d.*]*[a-zA-Z]`)

// textOf returns a text made of literals, with … for the rest; "" if nothing of it is one.
func textOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return strings.ReplaceAll(verb.ReplaceAllString(text, "…"), "%%", "%")
		}
	case *ast.BinaryExpr:
		if left, right := textOf(e.X), textOf(e.Y); e.Op == token.ADD && left+right != "" {
			return cmp.Or(left, "…") + cmp.Or(right, "…")
		}
	}
	return ""
}

// allTexts returns every text of the programs.
func allTexts(t *testing.T) (all []message) {
	t.Helper()
	eachFile(t, func(where func(token.Pos) string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok {
				if text := textOf(e); text != "" {
					all = append(all, message{where(n.Pos()), text})
					return false
				}
			}
			return true
		})
	})
	return all
}

// shortText is the length of texts that would be part of too many messages.
const shortText = 10

// has reports whether a text of the page is part of the message. A short one must be all of it.
func (m message) has(text string) bool {
	if len(text) < shortText {
		return strings.Trim(m.text, "…: ") == strings.Trim(text, "… ")
	}
	rest := m.text
	for piece := range strings.SplitSeq(text, "…") {
		_, after, found := strings.Cut(rest, strings.TrimSpace(piece))
		if !found {
			return false
		}
		rest = after
	}
	return true
}

// A row explains errors.
type row struct {
	line  int
	texts []string
}

var quoted = regexp.MustCompile("`([^`]+)`")

// errorRows returns the rows of docs/errors.md that are about texts of the programs.
func errorRows(t *testing.T) (rows []row) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(repository(t), "docs/errors.md"))
	if err != nil {
		t.Fatal(err)
	}
	ours := false
	for n, line := range strings.Split(string(page), "\n") {
		if strings.HasPrefix(line, "|") != ours {
			ours = strings.HasPrefix(line, "| error |")
		}
		cells := strings.Split(line, " | ")
		if !ours || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| error") {
			continue
		}
		if len(cells) != 3 {
			t.Errorf("docs/errors.md:%d: %d cells; want an error, its cause and what to do", n+1, len(cells))
			continue
		}
		r := row{line: n + 1}
		for _, m := range quoted.FindAllStringSubmatch(cells[0], -1) {
			r.texts = append(r.texts, m[1])
		}
		rows = append(rows, r)
	}
	return rows
}

// TestErrorsArePrinted wants each text of docs/errors.md in the code, and long enough to mean
// something.
func TestErrorsArePrinted(t *testing.T) {
	all := allTexts(t)
	for _, r := range errorRows(t) {
		if len(r.texts) == 0 {
			t.Errorf("docs/errors.md:%d: no text of an error in backquotes", r.line)
		}
		for _, text := range r.texts {
			letters := strings.Count(strings.Map(onlyLetters, text), "x")
			if letters < 3 || !slices.ContainsFunc(all, func(m message) bool { return m.has(text) }) {
				t.Errorf("docs/errors.md:%d: %q is in no text of the programs", r.line, text)
			}
		}
	}
}

func onlyLetters(r rune) rune {
	if unicode.IsLetter(r) {
		return 'x'
	}
	return '.'
}

// TestErrorsAreExplained wants a row for the errors that a person can get.
func TestErrorsAreExplained(t *testing.T) {
	rows := errorRows(t)
	used := make(map[string]bool)
	for _, m := range ownErrors(t) {
		isRow := func(r row) bool { return slices.ContainsFunc(r.texts, m.has) }
		if slices.ContainsFunc(rows, isRow) {
			continue
		}
		known := false
		for text := range notExplained {
			if strings.Contains(m.text, text) {
				used[text], known = true, true
			}
		}
		if !known {
			t.Errorf("%s: %q is not in docs/errors.md", m.where, m.text)
		}
	}
	for text := range notExplained {
		if !used[text] {
			t.Errorf("notExplained has %q, which is the text of no error, or is explained", text)
		}
	}
}

// ownErrors returns the errors that begin in the programs: sentinels and types of all
// packages, and in those that are explained each error that is about no other error.
func ownErrors(t *testing.T) (all []message) {
	t.Helper()
	eachFile(t, func(where func(token.Pos) string, file *ast.File) {
		path, err := filepath.Rel(repository(t), strings.TrimSuffix(where(file.Pos()), ":1:1"))
		if err != nil {
			t.Fatal(err)
		}
		path, _, _ = strings.Cut(path, ":")
		if within(filepath.Dir(path), forTests) {
			return
		}
		for _, d := range file.Decls {
			all = append(all, declared(where, d, isExplained(t, path))...)
		}
	})
	return all
}

func isExplained(t *testing.T, path string) bool {
	t.Helper()
	return slices.ContainsFunc(explained, func(pattern string) bool {
		whole, err := filepath.Match(pattern, path)
		if err != nil {
			t.Fatal(err)
		}
		return whole || within(filepath.Dir(path), []string{pattern})
	})
}

// declared returns the errors of a declaration: a sentinel, what a method Error returns, and,
// of all that a function makes, what wraps nothing.
func declared(where func(token.Pos) string, d ast.Decl, all bool) (list []message) {
	f, isFunc := d.(*ast.FuncDecl)
	if isFunc && f.Name.Name == "Error" && f.Recv != nil {
		return firstTexts(where, f.Body)
	}
	if isFunc && !all {
		return nil
	}
	ast.Inspect(d, func(n ast.Node) bool {
		if c, ok := n.(*ast.CompositeLit); ok && isUsageError(c) {
			return false
		}
		call, ok := n.(*ast.CallExpr)
		if !ok || !makesError(call.Fun) || len(call.Args) == 0 || wraps(call.Args[0]) {
			return true
		}
		if text := textOf(call.Args[0]); strings.Contains(strings.Map(onlyLetters, text), "x") {
			list = append(list, message{where(call.Pos()), text})
		}
		return true
	})
	return list
}

// firstTexts returns the longest text of what a method Error returns.
func firstTexts(where func(token.Pos) string, body ast.Node) []message {
	var longest message
	ast.Inspect(body, func(n ast.Node) bool {
		if e, ok := n.(ast.Expr); ok {
			if text := textOf(e); text != "" {
				if len(text) > len(longest.text) {
					longest = message{where(n.Pos()), text}
				}
				return false
			}
		}
		return true
	})
	if !strings.Contains(strings.Map(onlyLetters, longest.text), "x") {
		return nil
	}
	return []message{longest}
}

// isUsageError reports whether an error is about the command line: --help explains that.
func isUsageError(c *ast.CompositeLit) bool {
	name, ok := c.Type.(*ast.Ident)
	return ok && name.Name == "usageError"
}

func wraps(e ast.Expr) bool {
	literal, ok := e.(*ast.BasicLit)
	return ok && strings.Contains(literal.Value, "%w")
}

func TestErrorTextsMatch(t *testing.T) {
	for _, tt := range []struct {
		message, text string
		want          bool
	}{
		{"registry … refuses access to …, …: …", "registry … refuses access to …", true},
		{"registry … refuses access to …", "refuses access", true},
		{"cannot read …", "cannot read it", false},
		{"… was replaced", "… was replaced", true},
		{"a b", "b … a", false},
	} {
		if got := (message{text: tt.message}).has(tt.text); got != tt.want {
			t.Errorf("%q has %q: %v; want %v", tt.message, tt.text, got, tt.want)
		}
	}
}
