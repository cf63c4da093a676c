package tree

import (
	"errors"
	"syscall"
	"testing"
)

// TestResolve: links are followed as in the system that boots.
func TestResolve(t *testing.T) {
	root, etc, fstab := &Node{Mode: TypeDir}, &Node{Mode: TypeDir}, &Node{Mode: TypeRegular}
	root.Set("etc", etc)
	etc.Set("fstab", fstab)
	for name, target := range map[string]string{"a": "/usr/../b", "b": "../../../etc/fstab", "c": "d/../etc", "d": "etc", "e": "/", "loop": "loop", "none": "etc/none"} {
		root.Set(name, &Node{Mode: TypeSymlink, Target: target})
	}
	root.Set("usr", &Node{Mode: TypeDir})
	for _, tt := range []struct {
		name   string
		follow bool
		path   string
		node   *Node
	}{
		{"etc/fstab", true, "etc/fstab", fstab}, {"/etc//./fstab/", false, "etc/fstab", fstab}, {"a", true, "etc/fstab", fstab},
		{"a", false, "a", root.Entry("a")}, {"a/x", true, "", nil}, {"c/fstab", true, "etc/fstab", fstab}, {"c", true, "etc", etc}, {"e/etc/fstab", true, "etc/fstab", fstab},
		{"e", true, ".", root}, {"..", true, ".", root}, {"none", true, "", nil}, {"etc/fstab/x", true, "", nil}, {"", true, ".", root},
	} {
		if p, n, err := Resolve(root, tt.name, tt.follow); p != tt.path || n != tt.node || err != nil {
			t.Errorf("Resolve(%q, %v) = %q, %v, %v; want %q, %v", tt.name, tt.follow, p, n, err, tt.path, tt.node)
		}
	}
	if _, _, err := Resolve(root, "loop", true); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("Resolve(loop) error = %v; want %v", err, syscall.ELOOP)
	}
}
