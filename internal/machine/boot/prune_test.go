package boot

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
)

// prune prunes all but the deployments with the letters, of which one may have
// an entry that is staged to have a name.
func prune(p *Partition, staged string, letters ...string) error {
	var keep []deployment.ID
	for _, letter := range letters {
		keep = append(keep, id(letter))
	}
	r, err := p.PlanPrune(keep, staged)
	if err != nil {
		return err
	}
	return p.Prune(r)
}

func TestPrune(t *testing.T) {
	dir := machineWith(t, "sysupdate-image-000001-a00000000000.conf=a", "sysupdate-image-000002-b00000000000.conf=b",
		"sysupdate-image-000003-c00000000000+0-3.conf=c", "sysupdate-image-000004-d00000000000+3-0.conf.staged=d")
	put(t, dir, map[string]string{
		kernelsDir + "/unnamed/vmlinuz":                  "x",
		entriesDir + "/" + filler(3):                     "",
		scratchDir + "/BOOT-one/vmlinuz":                 "of a program that was killed",
		scratchDir + "/other-two/vmlinuz":                "from before the last boot",
		kernelsDir + "/textual/vmlinuz":                  "x",
		entriesDir + "/broken.conf":                      "title /sysupdate-image/textual/vmlinuz\n",
		entriesDir + "/debian.conf":                      "linux /sysupdate-image/k/vmlinuz\n",
		"EFI/Linux/bootc_composefs-1/vmlinuz":            "x",
		"EFI/Linux/bootc_composefs-2/vmlinuz":            "x",
		"EFI/Linux/debian.efi":                           "x",
		"EFI/Linux/bootc/bootc_composefs-3.efi":          "x",
		entriesDir + "/bootc_os-1-1.conf":                "linux /EFI/Linux/bootc_composefs-2/vmlinuz\noptions composefs=" + string(id("e")) + "\n",
		entriesDir + "/sysupdate-image-000000-f00+.conf": "linux /none\noptions composefs=" + string(id("f")) + "\n",
	})
	p := open(t, dir, nil)
	if _, err := p.PlanPrune([]deployment.ID{id("9")}, ""); err == nil {
		t.Error("Prune of all that can be booted: no error")
	}
	before := tree(t, dir)
	if _, err := p.PlanPrune([]deployment.ID{id("d")}, "sysupdate-image-000004-d00000000000+3-0.conf"); err == nil || !reflect.DeepEqual(before, tree(t, dir)) {
		t.Errorf("Prune of all but a staged entry: %v; want an error and no change", err)
	}
	if err := prune(p, "sysupdate-image-000004-d00000000000+3-0.conf", "b", "d", "e"); err != nil {
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
		scratchDir + "/other-two/vmlinuz",
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
	if err := prune(open(t, dir, nil), "sysupdate-image-000006-a00000000000+3.conf", "a", "b"); err != nil {
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

// Of staged entries only the one that finalize is to publish stays.
func TestPruneStaged(t *testing.T) {
	dir := machineWith(t, "sysupdate-image-000001-a00000000000.conf=a", "sysupdate-image-000002-b00000000000+3-0.conf.staged=b",
		"sysupdate-image-000003-b00000000000+3-0.conf.staged=b")
	put(t, dir, map[string]string{entriesDir + "/debian.conf.staged": "linux /sysupdate-image/k/vmlinuz\n"})
	for _, staged := range []string{"sysupdate-image-000003-b00000000000+3-0.conf", ""} {
		want := min(len(staged), 1)
		if err := prune(open(t, dir, nil), staged, "a", "b"); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, name := range tree(t, dir) {
			if strings.HasSuffix(name, stagedSuffix) && strings.Contains(name, sortKey+"-0") {
				got = append(got, name)
			}
		}
		if len(got) != want || want == 1 && !strings.HasSuffix(got[0], "/"+staged+stagedSuffix) {
			t.Errorf("with %q staged, Prune leaves %q", staged, got)
		}
	}
	if got := tree(t, dir); !slices.Contains(got, entriesDir+"/debian.conf.staged") {
		t.Errorf("Prune removed what is not a deployment's: left %q", got)
	}
}

// On FAT directories are removed where nobody lists more than names, and not
// before they are durable.
func TestPruneOnFAT(t *testing.T) {
	seed := func(t *testing.T) string {
		dir := machineWith(t, "sysupdate-image-000002-b00000000000.conf=b")
		put(t, dir, map[string]string{kernelsDir + "/old/vmlinuz": "x", kernelsDir + "/old/initrd": "x"})
		p := openFAT(t, dir, nil)
		if err := p.makeDirs(); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	dir := seed(t)
	p, trace := traced(t, dir)
	p.fat = true
	if err := prune(p, "", "b"); err != nil {
		t.Fatal(err)
	}
	temp := p.inScratch("old")
	want := "rename sysupdate-image/old TEMP\nsyncfs\nsync .\nremove TEMP/initrd\nremove TEMP/vmlinuz\nremove TEMP\nsync " + scratchDir + "\n"
	if got := strings.ReplaceAll(trace.String(), temp, "TEMP"); got != want {
		t.Errorf("steps:\n%s\nwant:\n%s", got, want)
	}
	after := tree(t, dir)
	for n := 0; ; n++ {
		dir := seed(t)
		err := prune(openFAT(t, dir, func(fsys durable.FS) durable.FS { return durabletest.CrashAfter(fsys, n) }), "", "b")
		if again := prune(openFAT(t, dir, nil), "", "b"); again != nil || !slices.Equal(tree(t, dir), after) {
			t.Errorf("after %d steps and again: %v, files are %q; want %q", n, again, tree(t, dir), after)
		}
		if err == nil {
			return
		}
	}
}
