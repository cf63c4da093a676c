package tree

import (
	"strings"
	"testing"
)

// testTree returns a small image: /usr with metadata of its own, /run, /boot
// and /sysroot with content, and one file with two names.
func testTree() *Node {
	dir := func(mtime int64) *Node {
		return &Node{Mode: TypeDir | 0o755, Mtime: Time{Sec: mtime, Nsec: 7}}
	}
	file := func(xattrs ...string) *Node {
		n := &Node{Mode: TypeRegular | 0o644, Nlink: 9}
		for _, name := range xattrs {
			n.SetXattr(name, "value of "+name)
		}
		return n
	}
	root := dir(1)
	root.SetXattr("security.selinux", "old")
	usr := dir(1000)
	usr.Mode, usr.UID, usr.GID, usr.Mtime.Nsec = TypeDir|0o711, 3, 4, 55
	usr.SetXattr("user.note", "of usr")
	usr.SetXattr("security.selinux", "label of usr")
	root.Set("usr", usr)
	linked := file("security.selinux", "security.capability", "user.x", "trusted.y", "system.posix_acl_access")
	usr.Set("a", linked)
	usr.Set("b", linked)
	for i, name := range []string{"boot", "run", "sysroot", "var"} {
		d := dir(int64(10 + i))
		d.Set("content", file())
		root.Set(name, d)
	}
	return root
}

func xattrNames(n *Node) string {
	var names []string
	for _, x := range n.Xattrs() {
		names = append(names, x.Name)
	}
	return strings.Join(names, " ")
}

func TestTransformForOCI(t *testing.T) {
	for _, keep := range []bool{false, true} {
		root := testTree()
		if err := TransformForOCI(root, keep); err != nil {
			t.Fatalf("TransformForOCI = %v", err)
		}
		if root.Mode != TypeDir|0o711 || root.UID != 3 || root.GID != 4 || root.Mtime != (Time{1000, 55}) {
			t.Errorf("root is %o %d:%d %v; want the metadata of /usr", root.Mode, root.UID, root.GID, root.Mtime)
		}
		wantRoot, wantFile := "", "security.capability"
		if keep {
			wantRoot, wantFile = "user.note", "security.capability user.x"
		}
		if got := xattrNames(root); got != wantRoot {
			t.Errorf("attributes of / = %q; want %q", got, wantRoot)
		}
		if got := xattrNames(root.Lookup("usr/a")); got != wantFile {
			t.Errorf("attributes of /usr/a = %q; want %q", got, wantFile)
		}
		run := root.Entry("run")
		if len(run.Entries()) != 0 || run.Mtime != (Time{1000, 55}) {
			t.Errorf("/run has %d entries, time %v; want none and the time of /usr", len(run.Entries()), run.Mtime)
		}
		for path, want := range map[string]uint32{"usr/a": 2, "var/content": 1, "/": 7, "run": 2} {
			if got := root.Lookup(path).Nlink; got != want {
				t.Errorf("links of %s = %d; want %d", path, got, want)
			}
		}
		if root.Lookup("boot/content") == nil {
			t.Error("TransformForOCI emptied /boot")
		}
	}
}

func TestTransformForOCIRunIsNotADirectory(t *testing.T) {
	root := testTree()
	root.Set("run", &Node{Mode: TypeSymlink | 0o777, Target: "var/run"})
	if err := TransformForOCI(root, false); err != nil {
		t.Fatalf("TransformForOCI = %v", err)
	}
	if got := root.Entry("run"); got.Target != "var/run" || got.Mtime != (Time{}) {
		t.Errorf("/run = %q %v; want the link unchanged", got.Target, got.Mtime)
	}
}

func TestTransformForBootEmpties(t *testing.T) {
	root := testTree()
	if err := TransformForBoot(root, nil); err != nil {
		t.Fatalf("TransformForBoot = %v", err)
	}
	for _, name := range []string{"boot", "sysroot"} {
		d := root.Entry(name)
		if len(d.Entries()) != 0 || d.Mtime != root.Entry("usr").Mtime {
			t.Errorf("/%s has %d entries, time %v; want none, and that of /usr", name, len(d.Entries()), d.Mtime)
		}
	}
	root.Walk(func(path string, n *Node) {
		if _, ok := n.Xattr(XattrSELinux); ok {
			t.Errorf("%s has a label without a policy", path)
		}
	})
	if got := root.Lookup("usr/a"); got != root.Lookup("usr/b") || got.Nlink != 2 {
		t.Error("TransformForBoot broke a hard link without need")
	}
}

// labels is a policy in the form of a table: no entry, no label.
type labels map[string]string

func (l labels) Label(path string, _ uint32) (string, bool) {
	label, ok := l[path]
	return label, ok
}

func TestTransformForBootLabels(t *testing.T) {
	tests := []struct {
		name       string
		policy     labels
		wantLinked bool
	}{
		{"same label", labels{"/": "root", "/usr/a": "x", "/usr/b": "x"}, true},
		{"two labels", labels{"/": "root", "/usr/a": "x", "/usr/b": "y"}, false},
		{"second has none", labels{"/": "root", "/usr/a": "x"}, false},
		{"first has none", labels{"/": "root", "/usr/b": "y"}, false},
		{"none has one", labels{"/": "root"}, true},
	}
	for _, tt := range tests {
		root := testTree()
		if err := TransformForBoot(root, tt.policy); err != nil {
			t.Fatalf("%s: TransformForBoot = %v", tt.name, err)
		}
		root.Walk(func(path string, n *Node) {
			got, ok := n.Xattr(XattrSELinux)
			if want, wantOK := tt.policy[path]; got != want || ok != wantOK {
				t.Errorf("%s: label of %s = %q, %v; want %q, %v", tt.name, path, got, ok, want, wantOK)
			}
		})
		a, b := root.Lookup("usr/a"), root.Lookup("usr/b")
		if (a == b) != tt.wantLinked {
			t.Errorf("%s: one file = %v; want %v", tt.name, a == b, tt.wantLinked)
		}
		wantLinks := uint32(1)
		if tt.wantLinked {
			wantLinks = 2
		}
		if a.Nlink != wantLinks || b.Nlink != wantLinks {
			t.Errorf("%s: links = %d and %d; want %d", tt.name, a.Nlink, b.Nlink, wantLinks)
		}
	}
}

// A third name does not join the copy made for the second: composefs-rs makes
// one for each name whose label is not that of the first.
func TestTransformForBootCopiesForEachName(t *testing.T) {
	root := testTree()
	usr := root.Entry("usr")
	usr.Set("c", usr.Entry("a"))
	usr.Set("d", usr.Entry("a"))
	if err := TransformForBoot(root, labels{"/usr/a": "x", "/usr/b": "y", "/usr/c": "y", "/usr/d": "x"}); err != nil {
		t.Fatalf("TransformForBoot = %v", err)
	}
	a, b, c, d := usr.Entry("a"), usr.Entry("b"), usr.Entry("c"), usr.Entry("d")
	if b == c || a == b || a != d {
		t.Error("want a and d to be one file, b and c each one of its own")
	}
}

func TestTransformNeedsDirectories(t *testing.T) {
	tests := []struct {
		name, missing string
		asFile        bool
		transform     func(*Node) error
		want          string
	}{
		{"OCI", "usr", false, func(n *Node) error { return TransformForOCI(n, false) }, "image has no directory /usr"},
		{"OCI", "usr", true, func(n *Node) error { return TransformForOCI(n, false) }, "/usr in image is not a directory"},
		{"boot", "usr", false, func(n *Node) error { return TransformForBoot(n, nil) }, "image has no directory /usr"},
		{"boot", "boot", false, func(n *Node) error { return TransformForBoot(n, nil) }, "image has no directory /boot"},
		{"boot", "sysroot", true, func(n *Node) error { return TransformForBoot(n, nil) }, "/sysroot in image is not a directory"},
	}
	for _, tt := range tests {
		root := testTree()
		root.Remove(tt.missing)
		if tt.asFile {
			root.Set(tt.missing, &Node{Mode: TypeRegular | 0o644})
		}
		if err := tt.transform(root); err == nil || err.Error() != tt.want {
			t.Errorf("%s without /%s: error = %v; want %q", tt.name, tt.missing, err, tt.want)
		}
		if boot := root.Entry("boot"); boot != nil && len(boot.Entries()) == 0 {
			t.Errorf("%s without /%s: /boot was emptied in spite of the error", tt.name, tt.missing)
		}
	}
}
