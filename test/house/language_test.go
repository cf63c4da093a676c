package house

import (
	"bufio"
	"go/ast"
	"go/parser"
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

// The part of plain English that a program can check.

// written are the folders with what people read: messages, comments and pages.
var written = []string{"cmd", "internal", "finalize", "generators", "health", "prepare-root", "standalone", "docs"}

// translated matches phrases that sound translated. A command shows, lists or checks; a
// value is invalid; a program is no "who"; a change is durable. apply skips an image.
var translated = regexp.MustCompile(`\bSay (what|which)\b|"say (what|which)\b|(?i)\b(makes? no sense|who (does|has|reads)|for good|at one stroke|out of sight|(bring|brings|brought) .*to light|also (if|while|after)|pass(es|ed|ing)? (it )?over)\b`)

func TestPhrases(t *testing.T) {
	for _, path := range filesBelow(t, written, ".go", ".txtar", ".md", ".txt", ".8", ".7", ".5", ".catalog") {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		scanner := bufio.NewScanner(file)
		scanner.Buffer(nil, 1<<20)
		prose := filepath.Ext(path) != ".go"
		last := ""
		for n := 1; scanner.Scan(); n++ {
			if found := findTranslated(last, scanner.Text(), prose); found != "" {
				t.Errorf("%s:%d: %q: write it again in plain English", path, n, found)
			}
			last = scanner.Text()
		}
		if err := scanner.Err(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		file.Close()
	}
}

// findTranslated returns a phrase that sounds translated in a line, or broken between it
// and the line before. Only comments go on from one line of a program to the next.
func findTranslated(last, line string, prose bool) string {
	if found := translated.FindString(line); found != "" {
		return found
	}
	last, wasComment := strings.CutPrefix(strings.TrimSpace(last), "//")
	line, isComment := strings.CutPrefix(strings.TrimSpace(line), "//")
	if !prose && !(wasComment && isComment) {
		return ""
	}
	const most = 3 // words that a phrase may have in one of the lines
	ends, begins := strings.Fields(last), strings.Fields(line)
	ends, begins = ends[max(0, len(ends)-most):], begins[:min(len(begins), most)]
	if end := strings.Join(ends, " "); !translated.MatchString(end) {
		return translated.FindString(end + " " + strings.Join(begins, " "))
	}
	return "" // it is in the line before
}

// TestReportsWhether wants the usual words in the comments of exported functions that
// return one bool.
func TestReportsWhether(t *testing.T) {
	eachFile(t, func(where func(token.Pos) string, file *ast.File) {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() || f.Doc == nil || !returnsBool(f.Type) {
				continue
			}
			if text := strings.Join(strings.Fields(f.Doc.Text()), " "); !strings.Contains(text, "reports whether") {
				t.Errorf("%s: the comment of %s does not say what it reports: %q", where(f.Pos()), f.Name.Name, text)
			}
		}
	})
}

func returnsBool(f *ast.FuncType) bool {
	if f.Results.NumFields() != 1 {
		return false
	}
	name, ok := f.Results.List[0].Type.(*ast.Ident)
	return ok && name.Name == "bool"
}

// TestErrorTexts wants errors that can be part of a sentence: no capital at the beginning
// but in a name, and no period at the end.
func TestErrorTexts(t *testing.T) {
	eachFile(t, func(where func(token.Pos) string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 || !makesError(call.Fun) {
				return true
			}
			literal, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				return true
			}
			if text, err := strconv.Unquote(literal.Value); err == nil && !fitsInSentence(text) {
				t.Errorf("%s: error text %q: want no capital at the beginning and no period at the end", where(call.Pos()), text)
			}
			return true
		})
	})
}

// advice matches the names of commands and flags, which only ui and the commands know; and
// status, whose text is a screen.
var advice = regexp.MustCompile(`\bsysupdate-image (apply|etc|image|install|pin|prune|repo|rm|rollback|status|unpin)\b|` +
	`--(allow-missing-verity|arch|authfile|esp|etc-conflicts|force|insecure-registry|karg|offline|plan|policy|reboot|repair|repo|reuse|sysroot|track)\b`)

// TestLibrariesNameNoCommands wants advice in ui alone.
func TestLibrariesNameNoCommands(t *testing.T) {
	eachFile(t, func(where func(token.Pos) string, file *ast.File) {
		path, err := filepath.Rel(repository(t), where(file.Pos()))
		if err != nil {
			t.Fatal(err)
		}
		if !within(path, []string{"internal"}) || within(path, []string{"internal/ui", "internal/status", "internal/testing"}) {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			if found := advice.FindString(literal.Value); found != "" {
				t.Errorf("%s: %q: libraries name no commands and flags; return a typed error, and let ui advise", where(n.Pos()), found)
			}
			return true
		})
	})
}

func makesError(f ast.Expr) bool {
	s, ok := f.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := s.X.(*ast.Ident)
	return ok && (pkg.Name == "fmt" && s.Sel.Name == "Errorf" || pkg.Name == "errors" && s.Sel.Name == "New")
}

func fitsInSentence(text string) bool {
	r := []rune(text)
	if len(r) == 0 || r[len(r)-1] == '.' {
		return false
	}
	word, _, _ := strings.Cut(text, " ")
	return !unicode.IsUpper(r[0]) || strings.ContainsFunc(word[1:], unicode.IsUpper)
}

func TestLanguageRulesRefuse(t *testing.T) {
	for text, want := range map[string]bool{
		"cannot read x": true, "SELinux policy: %w": true, "EFI program": true, "%w": true, "": false,
		"Cannot read x": false, "cannot read x.": false,
	} {
		if got := fitsInSentence(text); got != want {
			t.Errorf("fitsInSentence(%q) = %v; want %v", text, got, want)
		}
	}
	for text, want := range map[string]bool{"Say what it is": true, "makes no sense": true, "shows what it is": false, "good": false} {
		if got := translated.MatchString(text); got != want {
			t.Errorf("%q is translated: %v; want %v", text, got, want)
		}
	}
	for _, tt := range []struct {
		last, line string
		prose      bool
		want       string
	}{
		{"an entry that makes", "no sense is reported", true, "makes no sense"},
		{"\t// at one", "\t// stroke", false, "at one stroke"},
		{"makes := 1", "// no sense", false, ""},
		{"", "it makes no sense", false, "makes no sense"},
		{"it makes no sense", "and more", true, ""},
	} {
		if got := findTranslated(tt.last, tt.line, tt.prose); got != tt.want {
			t.Errorf("findTranslated(%q, %q, %v) = %q; want %q", tt.last, tt.line, tt.prose, got, tt.want)
		}
	}
}

// eachFile calls f for the Go files of the programs; where tells where a node is.
func eachFile(t *testing.T, f func(where func(token.Pos) string, file *ast.File)) {
	t.Helper()
	for _, path := range filesBelow(t, []string{"cmd", "internal", "finalize", "generators", "health", "prepare-root", "standalone"}, ".go") {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		f(func(p token.Pos) string { return set.Position(p).String() }, file)
	}
}

// filesBelow returns the files of some kinds below folders of the repository.
func filesBelow(t *testing.T, folders []string, kinds ...string) (paths []string) {
	t.Helper()
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(repository(t), folder), func(path string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && slices.Contains(kinds, filepath.Ext(path)) {
				paths = append(paths, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return paths
}
