package selabel

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

const (
	file    = tree.TypeRegular | 0o644
	dir     = tree.TypeDir | 0o755
	symlink = tree.TypeSymlink | 0o777
)

// policyFiles is an image that has these files.
type policyFiles map[string]string

func (p policyFiles) open(path string) ([]byte, error) {
	data, ok := p[path]
	if !ok {
		return nil, fmt.Errorf("open %s: %w", path, fs.ErrNotExist)
	}
	return []byte(data), nil
}

// contexts returns an image whose policy has the given file_contexts, and more
// files by the rest of their names.
func contexts(main string, more ...string) policyFiles {
	p := policyFiles{"etc/selinux/config": "SELINUXTYPE=test\n"}
	p["etc/selinux/test/contexts/files/file_contexts"] = main
	for i := 0; i < len(more); i += 2 {
		p["etc/selinux/test/contexts/files/file_contexts"+more[i]] = more[i+1]
	}
	return p
}

func TestLabel(t *testing.T) {
	tests := []struct {
		name   string
		policy policyFiles
		path   string
		mode   uint32
		want   string // "" for no label
	}{
		{"literal", contexts("/ root\n/usr usr"), "/usr", dir, "usr"},
		{"the root", contexts("/ root\n/usr usr"), "/", dir, "root"},
		{"a literal is the whole path", contexts("/usr usr"), "/usr/bin", dir, ""},
		{"subtree", contexts("/usr(/.*)? usr"), "/usr/bin/true", file, "usr"},
		{"subtree with its top", contexts("/usr(/.*)? usr"), "/usr", dir, "usr"},
		{"no sibling", contexts("/usr(/.*)? usr"), "/usrlocal", dir, ""},
		{"last wins", contexts("/etc/.* one\n/etc/passwd two\n/etc/.* three"), "/etc/passwd", file, "three"},
		{"short prefix wins when last", contexts("/etc/passwd two\n/.* all"), "/etc/passwd", file, "all"},
		{"long prefix wins when last", contexts("/.* all\n/etc/passwd two"), "/etc/passwd", file, "two"},
		{"regular file", contexts("/x -- plain\n/x -d dir"), "/x", file, "plain"},
		{"directory", contexts("/x -- plain\n/x -d dir"), "/x", dir, "dir"},
		{"link", contexts("/x.* -l link"), "/xy", symlink, "link"},
		{"other type", contexts("/x.* -l link"), "/xy", file, ""},
		{"char", contexts("/x -c c"), "/x", tree.TypeChar, "c"},
		{"block", contexts("/x -b b"), "/x", tree.TypeBlock, "b"},
		{"pipe", contexts("/x -p p"), "/x", tree.TypeFIFO, "p"},
		{"socket", contexts("/x -s s"), "/x", tree.TypeSocket, "s"},
		{"type letter is no part of the path", contexts("/x -- plain"), "/x-", symlink, ""},
		{"none", contexts("/proc/.* proc\n/proc/.* <<none>>"), "/proc/x", file, ""},
		{"none is not last", contexts("/a <<none>>\n/a a"), "/a", file, "a"},
		{"local after main", contexts("/a main", ".local", "/a local"), "/a", file, "local"},
		{"homedirs after local", contexts("/a main", ".homedirs", "/a home", ".local", "/a local"), "/a", file, "home"},
		{"comments, blanks and tabs", contexts("# a comment\n\n\t /a\t\t--  a  \r\n  #x y z w\n"), "/a", file, "a"},
		{"no line feed at the end", contexts("/a a"), "/a", file, "a"},
		{"top-level alternation", contexts("/a|/b ab"), "/b", file, "ab"},
		{"escaped dot", contexts(`/a\.so lib`), "/aXso", file, ""},
		{"suffix", contexts(`/usr/.*\.so(\.[0-9]+)* lib`), "/usr/lib/libc.so.6", file, "lib"},
		{"suffix in the way", contexts(`/usr/.*\.so lib`), "/usr/lib/libc.so.6", file, ""},
		{"ignoring case", contexts("(?i)/ABC x"), "/abc", file, "x"},
		{"optional last letter", contexts("/abc? x"), "/ab", file, "x"},
		{"dot is a line feed too", contexts("/a.b x"), "/a\nb", file, "x"},
		{"dot is one byte", contexts("/a.b x"), "/aéb", file, ""},
		{"two bytes", contexts("/a..b x"), "/aéb", file, "x"},
		{"not UTF-8", contexts("/a[^/]b x"), "/a\xffb", file, "x"},
		{"UTF-8 literal", contexts("/é/.* x"), "/é/ü", file, "x"},
		{"end in the middle matches nothing", contexts("/a$ x"), "/a", file, ""},

		{"substituted", contexts("/usr/bin/.* bin", ".subs", "/bin /usr/bin"), "/bin/sh", file, "bin"},
		{"substituted directory itself", contexts("/usr/bin bin", ".subs", "/bin /usr/bin"), "/bin", dir, "bin"},
		{"substitution is not by text", contexts("/usr/bin.* bin", ".subs", "/bin /usr/bin"), "/binary", file, ""},
		{"substituted twice", contexts("/c/x c", ".subs", "/a /b\n/b/y /c"), "/a/y/x", file, "c"},
		{"not again at the same place", contexts("/b/x b\n/c/x c", ".subs", "/a /b\n/b /c"), "/a/x", file, "b"},
		{"subs_dist after subs", contexts("/b b\n/c c", ".subs", "/a /b", ".subs_dist", "/a /c"), "/a", file, "c"},
		{"the root is not substituted", contexts("/ root\n/x x", ".subs", "/ /x"), "/", dir, "root"},
		{"substituted by the root", contexts("/y y", ".subs", "/x /"), "/x/y", file, "y"},
		{"substituted by a directory with a slash", contexts("/y/z yz\n/y/ y", ".subs", "/x /y/"), "/x/z", file, "yz"},

		{"key in lower case", policyFiles{
			"etc/selinux/config":                         "# SELINUXTYPE=no\nSELINUX=enforcing\n selinuxtype = a \nSELINUXTYPE=b\n",
			"etc/selinux/a/contexts/files/file_contexts": "/x a",
		}, "/x", file, "a"},
		{"no configuration", policyFiles{}, "/x", file, ""},
		{"no policy named", policyFiles{"etc/selinux/config": "SELINUX=disabled\n"}, "/x", file, ""},
	}
	for _, tt := range tests {
		l, err := Load(t.Context(), tt.policy.open)
		if err != nil {
			t.Errorf("%s: Load = %v", tt.name, err)
			continue
		}
		got, ok := l.Label(tt.path, tt.mode)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: Label(%q, %o) = %q, %v; want %q", tt.name, tt.path, tt.mode, got, ok, tt.want)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	const files = "etc/selinux/test/contexts/files/file_contexts"
	tests := []struct {
		policy policyFiles
		want   string
	}{
		{policyFiles{"etc/selinux/config": "SELINUXTYPE=test"}, files + ": file does not exist"},
		{policyFiles{"etc/selinux/config": "SELINUXTYPE=../../x"}, "SELINUXTYPE=../../x is not the name of a policy"},
		{policyFiles{"etc/selinux/config": "SELINUXTYPE="}, "SELINUXTYPE= is not the name of a policy"},
		{contexts("/a a\n\n/b"), files + ":3: cannot tell the fields apart"},
		{contexts("/a -- a b"), files + ":1: cannot tell the fields apart"},
		{contexts("/a --"), files + ":1: cannot tell the fields apart"},
		{contexts("/a -x a"), files + `:1: unknown file type "-x"`},
		{contexts("/a - a"), files + `:1: unknown file type "-"`},
		{contexts("/ok ok\n/a(?!b) a"), files + `:2: cannot use "/a(?!b)", only regular expressions as of RE2`},
		{contexts("/ok ok", ".local", "/a( a"), files + `.local:1: cannot use "/a("`},
		{contexts("/ok ok", ".subs", "# x\n/a"), files + ".subs:2: 1 fields"},
		{contexts("/ok ok", ".subs_dist", "/a /b /c"), files + ".subs_dist:1: 3 fields"},
	}
	for _, tt := range tests {
		l, err := Load(t.Context(), tt.policy.open)
		if err == nil || !strings.Contains(err.Error(), tt.want) || l != nil {
			t.Errorf("Load(%q) = %v, %v; want an error with %q", tt.policy, l, err, tt.want)
		}
	}
}

func TestLoadPassesErrorsOn(t *testing.T) {
	broken := errors.New("input/output error")
	for _, path := range []string{"config", "test/contexts/files/file_contexts", "test/contexts/files/file_contexts.subs"} {
		policy := contexts("/a a")
		_, err := Load(t.Context(), func(p string) ([]byte, error) {
			if p == "etc/selinux/"+path {
				return nil, broken
			}
			return policy.open(p)
		})
		if !errors.Is(err, broken) {
			t.Errorf("Load with unreadable %s = %v; want %v", path, err, broken)
		}
	}
}

// tree returns an image that holds p.
func (p policyFiles) tree() *tree.Node {
	root := &tree.Node{Mode: dir}
	for path, data := range p {
		n := root
		parts := strings.Split(path, "/")
		for _, name := range parts[:len(parts)-1] {
			if n.Entry(name) == nil {
				n.Set(name, &tree.Node{Mode: dir})
			}
			n = n.Entry(name)
		}
		n.Set(parts[len(parts)-1], &tree.Node{Mode: file, Inline: []byte(data)})
	}
	return root
}

func inline(n *tree.Node) ([]byte, error) { return n.Inline, nil }

func TestLoadTree(t *testing.T) {
	root := contexts("/a a", ".subs", "/b /a").tree()
	l, err := LoadTree(t.Context(), root, inline)
	if err != nil {
		t.Fatalf("LoadTree = %v", err)
	}
	if got, _ := l.Label("/b", file); got != "a" {
		t.Errorf("Label(/b) = %q; want a", got)
	}
	root.Lookup("etc").Set("selinux", &tree.Node{Mode: symlink, Target: "/usr/selinux"})
	if l, err := LoadTree(t.Context(), root, inline); err == nil {
		t.Errorf("LoadTree with etc/selinux as a link = %v, nil; want an error", l)
	}
	root.Remove("etc")
	if l, err := LoadTree(t.Context(), root, inline); l != nil || err != nil {
		t.Errorf("LoadTree without etc = %v, %v; want no policy", l, err)
	}
}

// The policy of an image without one goes through the interface as it is.
func TestNilLabelerStripsLabels(t *testing.T) {
	root := policyFiles{"usr/a": "", "boot/a": "", "sysroot/a": ""}.tree()
	root.Lookup("usr/a").SetXattr(tree.XattrSELinux, "old")
	l, err := LoadTree(t.Context(), root, inline)
	if err != nil {
		t.Fatalf("LoadTree = %v", err)
	}
	if err := tree.TransformForBoot(root, l); err != nil {
		t.Fatalf("TransformForBoot = %v", err)
	}
	if got, ok := root.Lookup("usr/a").Xattr(tree.XattrSELinux); ok {
		t.Errorf("label of /usr/a = %q; want none", got)
	}
}

// The index must never change which line wins: without it, the answer is the
// last line whose expression matches.
func TestIndexAgreesWithLinearSearch(t *testing.T) {
	l, err := Load(t.Context(), contexts(manyContexts(300)).open)
	if err != nil {
		t.Fatalf("Load = %v", err)
	}
	for _, path := range manyPaths(299) {
		for _, mode := range []uint32{file, dir, symlink} {
			key := latin1(path + typeCode(mode))
			want := -1
			for i := range l.specs {
				s := l.specs[i]
				s.literal, s.suffix = false, ""
				if s.matches(key) {
					want = i
				}
			}
			if got, ok := l.index.find(l.specs, key, &l.budget); ok != (want >= 0) || ok && got != want {
				t.Fatalf("find(%q) = %d, %v; want %d", key, got, ok, want)
			}
		}
	}
}

// manyContexts returns a policy in which expressions of all shapes overlap.
func manyContexts(n int) string {
	shapes := []string{"/usr/lib/d%d(/.*)?", `/usr/lib/d%d/.*\.so`, "/usr/lib/d%d/f%d --", "/usr/(lib|share)/d%d/.* -d",
		"/.*/f%d", "/usr/lib/d%d", "/(usr/)?lib/d%d/f[0-9]+ -l", "/usr/lib/d%d/f%d?"}
	var b strings.Builder
	b.WriteString("/.* all\n")
	for i := range n {
		shape := shapes[i%len(shapes)]
		args := []any{i % 17, i % 11}[:strings.Count(shape, "%d")]
		fmt.Fprintf(&b, shape+" context%d\n", append(args, i)...)
	}
	return b.String()
}

func manyPaths(n int) []string {
	var paths []string
	for i := range n {
		paths = append(paths, fmt.Sprintf("/usr/%s/d%d/f%d%s", []string{"lib", "share", "x"}[i%3], i%23, i%13, []string{"", ".so", "é"}[i%7%3]))
	}
	return paths
}

func BenchmarkLabel(b *testing.B) {
	l, err := Load(b.Context(), contexts(manyContexts(400)).open)
	if err != nil {
		b.Fatal(err)
	}
	paths := manyPaths(4000)
	for b.Loop() {
		for _, p := range paths {
			l.Label(p, file)
		}
	}
}

// Whatever the files hold, Load gives an error or a policy that answers.
func FuzzLoad(f *testing.F) {
	f.Add("/a(/.*)? -- x\n# c\n", "/b /a\n", "/b/c")
	f.Add("/a|b x\n(?i)q -d <<none>>", "", "/")
	f.Add("/[^/]+\\.so(\\..*)? l\n", "/x /y z", "/x\xff.so")
	f.Add("/a{2,3}?$ b", "/ /", "/aa")
	f.Fuzz(func(t *testing.T, main, subs, path string) {
		l, err := Load(t.Context(), contexts(main, ".subs", subs).open)
		if err != nil {
			return
		}
		for _, mode := range []uint32{file, dir} {
			label, ok := l.Label("/"+path, mode)
			if ok && !strings.Contains(main, label) {
				t.Errorf("Label(%q) = %q, which the policy does not have", path, label)
			}
		}
	})
}
