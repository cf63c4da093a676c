package edit

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/merge"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// tree makes a directory of files, by their names: "-> TARGET" is a symbolic link, and
// a content that begins with "#!" is that of a program.
func treeOf(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			err = errors.Join(err, os.Symlink(target, path))
		} else {
			mode := os.FileMode(0o644)
			if strings.HasPrefix(content, "#!") {
				mode = 0o755
			}
			err = errors.Join(err, os.WriteFile(path, []byte(content), mode))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestPatch has patch(1) make of one tree another one, with names, contents and types
// of all kinds.
func TestPatch(t *testing.T) {
	if _, err := exec.LookPath("patch"); err != nil {
		t.Skip("there is no patch(1)")
	}
	names := []string{"plain", "with space", "new\nline", "tab\there", "quo\"te", "back\\slash", "é", "latin-\xe9", "control\x01\x7f", "a\\040b", "-dash", "dir/sub dir/f", "#x", " lead", "trail ", "'single'", "\\n", "b (copy).conf", "x\vy"}
	old, now := map[string]string{}, map[string]string{}
	for _, name := range names {
		old["changed/"+name], now["changed/"+name] = "1\n2\n3\n", "1\ntwo\n3\n"
		old["removed/"+name], old["emptied/"+name], now["emptied/"+name] = "gone\n", "x\n", ""
		now["added/"+name] = "new\n"
		old["mode/"+name], now["mode/"+name] = "echo\n", "echo\n"
		now["empty/"+name] = ""
		old["noempty/"+name] = ""
		old["link/"+name], now["link/"+name] = "-> a", "-> b b"
		now["newlink/"+name] = "-> /absolute"
		old["nolink/"+name] = "-> gone"
		old["tolink/"+name], now["tolink/"+name] = "file\n", "-> link"
		old["fromlink/"+name], now["fromlink/"+name] = "-> link", "file\n"
		old["nonewline/"+name], now["nonewline/"+name] = "a\nb", "a\nc"
		old["newline/"+name], now["newline/"+name] = "a\nb", "a\nb\n"
		old["latin/"+name], now["latin/"+name] = "caf\xe9\n", "caf\xe9\n\xff\n"
		old["crlf/"+name], now["crlf/"+name] = "a\r\nb\r\n", "a\r\nc\r\n"
	}
	now["added/program"], now["untouched"], old["untouched"] = "#!/bin/sh\n", "same", "same"
	dir := t.TempDir()
	treeOf(t, filepath.Join(dir, "image/etc"), old)
	treeOf(t, filepath.Join(dir, "local/etc"), now)
	for _, name := range names {
		if err := os.Chmod(filepath.Join(dir, "local/etc/mode", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	patch := patchOf(t, dir)
	cmd := exec.Command("patch", "-p1", "--no-backup-if-mismatch", "--silent")
	cmd.Dir, cmd.Stdin = filepath.Join(dir, "image"), strings.NewReader(patch)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("patch: %v\n%s", err, out)
	}
	if left := patchOf(t, dir); left != "" {
		t.Errorf("what is otherwise after patch -p1:\n%s", left)
	}
	out, err := exec.Command("diff", "-r", "--no-dereference", filepath.Join(dir, "image"), filepath.Join(dir, "local")).CombinedOutput()
	if err != nil {
		t.Errorf("diff -r: %v\n%s", err, out)
	}
}

// TestSwapped tells of what patch(1) cannot do, without a patch that fails.
func TestSwapped(t *testing.T) {
	dir := t.TempDir()
	treeOf(t, filepath.Join(dir, "image/etc"), map[string]string{"a": "file\n", "b/sub/f": "below\n", "c": "1\n"})
	treeOf(t, filepath.Join(dir, "local/etc"), map[string]string{"a/sub/f": "below\n", "b": "file\n", "c": "2\n"})
	const want = `~ /etc/a/  type file -> directory, mode 0644 -> 0755
+ /etc/a/sub/
+ /etc/a/sub/f
~ /etc/b  type directory -> file, mode 0755 -> 0644
- /etc/b/sub/
- /etc/b/sub/f
~ /etc/c  content
diff --git image/etc/c local/etc/c
--- image/etc/c
+++ local/etc/c
@@ -1,1 +1,1 @@
-1
+2
`
	if got := patchOf(t, dir); got != want {
		t.Errorf("etc diff:\n%s\nwant:\n%s", got, want)
	}
}

// The mode of a symbolic link is no change, as a full copy of /etc has it otherwise.
func TestLinkMode(t *testing.T) {
	link := func(mode uint32) *tree.Node {
		root := &tree.Node{Mode: tree.TypeDir | 0o755}
		root.Set("l", &tree.Node{Mode: tree.TypeSymlink | mode, Target: "x"})
		return root
	}
	e := &Etc{Base: link(0o755), Local: link(0o777)}
	if changes, err := e.Changes(t.Context()); err != nil || len(changes) > 0 {
		t.Errorf("Changes = %v, %v; want none", changes, err)
	}
}

// patchOf returns what etc diff prints of the trees image/etc and local/etc.
func patchOf(t *testing.T, dir string) string {
	t.Helper()
	var dirs []*os.File
	for _, name := range []string{"image/etc", "local/etc"} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		dirs = append(dirs, f)
	}
	trees, open, err := merge.ReadDirs(t.Context(), digest.SHA512, dirs...)
	if err != nil {
		t.Fatal(err)
	}
	e := &Etc{Base: trees[0], Local: trees[1], open: open}
	changes, err := e.Changes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, c := range changes {
		b.WriteString(c.String() + "\n" + c.Diff)
	}
	return b.String()
}
