package lint

import (
	"context"
	"fmt"
	"path"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/tmpfiles"
)

// checkVarLog finds logs of the build.
func checkVarLog(_ context.Context, t *target) error {
	logs := t.Root.Lookup("var/log")
	if logs == nil || !logs.IsDir() {
		return nil
	}
	logs.Walk(func(p string, n *tree.Node) {
		if n.IsRegular() && n.Size > 0 {
			t.find("/var/log"+p, "a log of the build")
		}
	})
	return nil
}

// checkVarTmpfiles finds what is in /var that systemd-tmpfiles would not make.
func checkVarTmpfiles(_ context.Context, t *target) error {
	set, err := tmpfiles.Load(t.files, t.release)
	if err != nil {
		return err
	}
	data := t.Root.Entry("var")
	if data != nil && data.IsDir() {
		t.missing(&set, "/var", data)
	}
	return nil
}

// missing finds what is missing in set of a directory, at its top: what has no line is told
// with all that is in it.
func (t *target) missing(set *tmpfiles.Set, dir string, n *tree.Node) {
	for _, e := range n.Entries() {
		p := path.Join(dir, e.Name)
		switch {
		case p == "/var/run" && !e.Node.IsSymlink(): // see checkVarRun
		case set.Makes(p), isPlain(e.Node) && set.Implies(p):
			if e.Node.IsDir() {
				t.missing(set, p, e.Node)
			}
		case e.Node.IsRegular() && isLog(p) && e.Node.Size > 0: // see checkVarLog
		case isSecret(p[1:], e.Node): // see checkSecrets
		default:
			t.add(Finding{Path: p, What: describeAll(e.Node), Mend: howToMake(p, e.Node)})
		}
	}
}

// isPlain reports whether a directory is such as systemd-tmpfiles makes it on the way to
// another.
func isPlain(n *tree.Node) bool {
	return n.IsDir() && n.Mode&0o7777 == 0o755 && n.UID == 0 && n.GID == 0
}

func isLog(p string) bool { return path.Dir(p) == "/var/log" || path.Dir(path.Dir(p)) == "/var/log" }

// describeAll is describe, with how many files are in a directory, or else directories.
func describeAll(n *tree.Node) string {
	dirs, others := -1, 0
	n.Walk(func(_ string, n *tree.Node) {
		if n.IsDir() {
			dirs++
		} else {
			others++
		}
	})
	switch {
	case !n.IsDir() || dirs+others == 0:
		return describe(n)
	case others == 1:
		return describe(n) + " with one file in it"
	case others > 1:
		return fmt.Sprintf("%s with %d files in it", describe(n), others)
	case dirs == 1:
		return describe(n) + " with one directory in it"
	}
	return fmt.Sprintf("%s with %d directories in it", describe(n), dirs)
}

// howToMake says how a path comes into being on every machine.
func howToMake(p string, n *tree.Node) string {
	switch {
	case n.IsDir() && len(n.Entries()) == 0:
		return fmt.Sprintf("Add %q to a file in /usr/lib/tmpfiles.d, or remove the directory.", fmt.Sprintf("d %s %04o %d %d -", p, n.Mode&0o7777, n.UID, n.GID))
	case n.IsSymlink():
		return fmt.Sprintf("Add %q to a file in /usr/lib/tmpfiles.d, or remove the link.", fmt.Sprintf("L %s - - - - %s", p, n.Target))
	case n.IsDir():
		return "Move what the system needs to /usr, add lines to a file in /usr/lib/tmpfiles.d for the directories, and remove the rest."
	}
	return fmt.Sprintf("Move it to /usr/share/factory%s and add %q to a file in /usr/lib/tmpfiles.d, or remove it.", p, "C "+p)
}
