package inspect

import (
	"path"
	"reflect"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// TestUnitsOf: links enable, alias and mask units; /usr and /etc count together.
func TestUnitsOf(t *testing.T) {
	root := &tree.Node{Mode: tree.TypeDir | 0o755}
	for _, link := range [][2]string{
		{"etc/systemd/system/multi-user.target.wants/a.service", "/usr/lib/systemd/system/a.service"},
		{"usr/lib/systemd/system/sysinit.target.wants/a.service", "../a.service"},
		{"usr/lib/systemd/system/b.target.requires/b.service", "../b.service"},
		{"etc/systemd/system/b.service", "/dev/null"},
		{"etc/systemd/user/default.target.wants/c.socket", "/usr/lib/systemd/user/c.socket"},
		{"etc/systemd/system/x.service", "/usr/lib/systemd/system/y.service"},
		{"usr/lib/systemd/system/b.target.wants/gone.service", "/dev/null"},
	} {
		add(root, link[0], &tree.Node{Mode: tree.TypeSymlink | 0o777, Target: link[1]})
	}
	want := map[string]string{
		"system a.service": "wanted by multi-user.target, wanted by sysinit.target", "system b.service": "masked",
		"user c.socket": "wanted by default.target", "system y.service": "also called x.service",
	}
	if got := unitsOf(root); !reflect.DeepEqual(got, want) {
		t.Errorf("unitsOf() = %q; want %q", got, want)
	}
}

// add enters a node, and the directories that it is in.
func add(root *tree.Node, name string, n *tree.Node) {
	dir := root
	for _, element := range strings.Split(path.Dir(name), "/") {
		if dir.Entry(element) == nil {
			dir.Set(element, &tree.Node{Mode: tree.TypeDir | 0o755})
		}
		dir = dir.Entry(element)
	}
	dir.Set(path.Base(name), n)
}
