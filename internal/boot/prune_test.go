package boot

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
)

func TestPrune(t *testing.T) {
	dir := machineWith(t, "sysupdate-image-000001-a00000000000.conf=a", "sysupdate-image-000002-b00000000000.conf=b",
		"sysupdate-image-000003-c00000000000+0-3.conf=c", "sysupdate-image-000004-d00000000000+3-0.conf.staged=d")
	put(t, dir, map[string]string{
		kernelsDir + "/unnamed/vmlinuz":                     "x",
		kernelsDir + "/.tmp-12/vmlinuz":                     "x",
		entriesDir + "/sysupdate-image-1-a.conf.staged.tmp": "half",
		kernelsDir + "/textual/vmlinuz":                     "x",
		entriesDir + "/broken.conf":                         "title /sysupdate-image/textual/vmlinuz\n",
		entriesDir + "/debian.conf":                         "linux /sysupdate-image/k/vmlinuz\n",
		"EFI/Linux/bootc_composefs-1/vmlinuz":               "x",
		"EFI/Linux/bootc_composefs-2/vmlinuz":               "x",
		"EFI/Linux/debian.efi":                              "x",
		"EFI/Linux/bootc/bootc_composefs-3.efi":             "x",
		entriesDir + "/bootc_os-1-1.conf":                   "linux /EFI/Linux/bootc_composefs-2/vmlinuz\noptions composefs=" + string(id("e")) + "\n",
		entriesDir + "/sysupdate-image-000000-f00+.conf":    "linux /none\noptions composefs=" + string(id("f")) + "\n",
	})
	p := open(t, dir, nil)
	if err := p.Prune([]deployment.ID{id("9")}); err == nil {
		t.Error("Prune of all that can be booted: no error")
	}
	before := tree(t, dir)
	if err := p.Prune([]deployment.ID{id("d")}); err == nil || !reflect.DeepEqual(before, tree(t, dir)) {
		t.Errorf("Prune of all but a staged entry: %v; want an error and no change", err)
	}
	if err := p.Prune([]deployment.ID{id("b"), id("d"), id("e")}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"EFI/Linux/bootc_composefs-2/vmlinuz",
		"EFI/Linux/debian.efi",
		entriesDir + "/bootc_os-1-1.conf",
		entriesDir + "/broken.conf",
		entriesDir + "/debian.conf",
		entriesDir + "/sysupdate-image-000002-b00000000000.conf",
		entriesDir + "/sysupdate-image-000004-d00000000000+3-0.conf.staged",
		kernelsDir + "/k/initrd", kernelsDir + "/k/vmlinuz",
		kernelsDir + "/textual/vmlinuz",
	}
	if got := tree(t, dir); !slices.Equal(got, want) {
		t.Errorf("after Prune: %q; want %q", got, want)
	}
}

func TestPruneRedundant(t *testing.T) {
	dir := machineWith(t, "sysupdate-image-000001-a00000000000.conf=a", "sysupdate-image-000002-a00000000000.conf=a",
		"sysupdate-image-000003-b00000000000.conf=b", "sysupdate-image-000004-a00000000000+2-1.conf=a",
		"sysupdate-image-000005-a00000000000+3.conf=a", "sysupdate-image-000006-a00000000000+3.conf.staged=a")
	if err := open(t, dir, nil).Prune([]deployment.ID{id("a"), id("b")}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		entriesDir + "/sysupdate-image-000002-a00000000000.conf", // the first good one
		entriesDir + "/sysupdate-image-000003-b00000000000.conf",
		entriesDir + "/sysupdate-image-000005-a00000000000+3.conf", // the first
		entriesDir + "/sysupdate-image-000006-a00000000000+3.conf.staged",
	}
	got := slices.DeleteFunc(tree(t, dir), func(name string) bool { return !strings.HasPrefix(name, entriesDir) })
	if !slices.Equal(got, want) {
		t.Errorf("after Prune: %q; want %q", got, want)
	}
}
