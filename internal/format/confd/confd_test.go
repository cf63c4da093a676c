package confd

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	tests := []struct {
		line    string
		escapes bool
		want    []string
		rest    string
		err     error
	}{
		{"", false, nil, "", nil},
		{"  one \t two", false, []string{"one", "two"}, "", nil},
		{`a "b c" d`, false, []string{"a", "b c"}, "d", nil},
		{`a'b "'"c'"`, false, []string{`ab "c'`}, "", nil},
		{`"" x`, false, []string{"", "x"}, "", nil},
		{`a\ b\x`, false, []string{"a bx"}, "", nil},
		{`a\x20b\tc`, true, []string{"a b\tc"}, "", nil},
		{`\303\244 \u00e4`, true, []string{"ä", "ä"}, "", nil},
		{`a b   rest "of" it`, false, []string{"a", "b"}, `rest "of" it`, nil},
		{`a "b`, false, nil, "", ErrQuote},
		{`a b\`, false, nil, "", ErrEscape},
		{`a\q`, true, nil, "", ErrEscape},
		{`a\x0`, true, nil, "", ErrEscape},
		{`a\x00`, true, nil, "", ErrEscape},
	}
	for _, tt := range tests {
		got, rest, err := Words(tt.line, 2, tt.escapes)
		if !slices.Equal(got, tt.want) || rest != tt.rest || !errors.Is(err, tt.err) {
			t.Errorf("Words(%q, 2, %v) = %q, %q, %v; want %q, %q, %v", tt.line, tt.escapes, got, rest, err, tt.want, tt.rest, tt.err)
		}
	}
}

func TestExpand(t *testing.T) {
	s := OfImage(map[string]string{"ID": "debian"}).With(Specifiers{'C': "/var/cache"})
	for text, want := range map[string]string{
		"/a": "/a", "%o": "debian", "%w/x": "/x", "100%%": "100%", "a%": "a%", "%-": "%-", "%%%": "%%", "%C/%T": "/var/cache//tmp",
		"/%m/": "/" + Anything + "/", "%Q": "error", "%9": "error", "%t": "error",
	} {
		got, err := s.Expand(text)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("Expand(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
}

// tree makes a root with files of several directories, of one name and of different ones.
func tree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"usr/lib/tmpfiles.d/a.conf": "d /a1", "etc/tmpfiles.d/a.conf": "d /a2",
		"usr/lib/tmpfiles.d/b.conf": "d /b", "run/tmpfiles.d/b.conf": "d /b2",
		"usr/lib/tmpfiles.d/masked.conf": "d /masked",
		"usr/lib/tmpfiles.d/blank.conf":  "d /blank", "etc/tmpfiles.d/blank.conf": "# nothing\n",
		"usr/lib/tmpfiles.d/.hidden.conf": "d /h", "usr/lib/tmpfiles.d/old.conf.dpkg-old": "d /o",
		"usr/lib/tmpfiles.d/README": "x", "usr/share/linked.conf": "d /linked",
		"etc/tmpfiles.d/0.conf": "d /zero",
	} {
		name = filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"etc/tmpfiles.d/masked.conf": "/dev/null", "usr/lib/tmpfiles.d/linked.conf": "../../share/linked.conf"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestFiles compares which files count with systemd-tmpfiles.
func TestFiles(t *testing.T) {
	root := tree(t)
	files, err := Files(os.DirFS(root), "tmpfiles.d")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, f.Path)
	}
	want := []string{"etc/tmpfiles.d/0.conf", "etc/tmpfiles.d/a.conf", "run/tmpfiles.d/b.conf", "etc/tmpfiles.d/blank.conf", "usr/lib/tmpfiles.d/linked.conf"}
	if !slices.Equal(got, want) {
		t.Errorf("Files() = %q; want %q", got, want)
	}
	tool, err := exec.LookPath("systemd-tmpfiles")
	if err != nil {
		t.Skip("systemd-tmpfiles is not installed")
	}
	out, err := exec.Command(tool, "--root="+root, "--cat-config").CombinedOutput()
	if err != nil {
		t.Fatalf("systemd-tmpfiles --cat-config: %v\n%s", err, out)
	}
	var theirs []string
	for line := range strings.Lines(string(out)) {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "# "+root+"/")
		// A masked file is listed, with nothing in it.
		if ok && name != "etc/tmpfiles.d/masked.conf" {
			theirs = append(theirs, name)
		}
	}
	if !slices.Equal(got, theirs) {
		t.Errorf("Files() = %q; systemd-tmpfiles has %q", got, theirs)
	}
}

func TestIsMask(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc/tmpfiles.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]bool{
		"/dev/null": true, "//dev/./null": true, "../../dev/null": true, "../../../dev/null": true, "../dev/null": false, "null": false,
	} {
		name := "etc/tmpfiles.d/" + strings.ReplaceAll(target, "/", "-")
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
		if got := IsMask(os.DirFS(root), name); got != want {
			t.Errorf("IsMask() of a link to %s = %v; want %v", target, got, want)
		}
	}
}

// TestLeadsNowhere: a link that leads nowhere, which only newer versions of systemd skip.
func TestLeadsNowhere(t *testing.T) {
	root := tree(t)
	if err := os.Symlink("no/such/file", filepath.Join(root, "run/tmpfiles.d/linked.conf")); err != nil {
		t.Fatal(err)
	}
	files, err := Files(os.DirFS(root), "tmpfiles.d")
	if err != nil {
		t.Fatal(err)
	}
	if last := files[len(files)-1]; last.Path != "usr/lib/tmpfiles.d/linked.conf" {
		t.Errorf("the last file is %s; want usr/lib/tmpfiles.d/linked.conf", last.Path)
	}
}

func FuzzWords(f *testing.F) {
	for _, line := range []string{"a b", `"a\x20b" 'c'`, `\`, `"`, `\u00e4`, `\777`} {
		f.Add(line, true)
	}
	f.Fuzz(func(t *testing.T, line string, escapes bool) {
		words, rest, err := Words(line, 3, escapes)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, w := range words {
			again.WriteString(Quote(w) + " ")
		}
		same, sameRest, err := Words(again.String()+rest, 3, escapes)
		if err != nil || !slices.Equal(words, same) || rest != sameRest {
			t.Errorf("Words(%q) = %q, %q; as %q it is %q, %q, %v", line, words, rest, &again, same, sameRest, err)
		}
	})
}
