package boot

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
)

// bootcFiles are a boot partition as bootc leaves it: two deployments, a before b.
func bootcFiles() map[string]string {
	files := make(map[string]string)
	for i, letter := range []string{"a", "b"} {
		kernel := bootcDir + "/" + bootcPrefix + string(id(letter))
		files[kernel+"/vmlinuz"], files[kernel+"/initrd"] = "kernel "+letter, "initrd "+letter
		e := NewEntry("OS", "", kernel, "root=UUID=1 composefs="+string(id(letter)))
		e.SortKey, e.Version = "bootc-fedora-"+string(rune('0'+i)), "42"
		files[entriesDir+"/bootc_fedora-42-"+string(rune('1'-i))+".conf"] = string(e.Encode())
	}
	return files
}

// bootcOrder returns what bootc makes of all entries, the first first: it reads none if
// one has no version, or a kernel elsewhere, and looks at neither names nor tries.
func bootcOrder(t *testing.T, p *Partition) string {
	t.Helper()
	files, err := p.Entries()
	if err != nil {
		t.Fatal(err)
	}
	var all []EntryFile
	for _, f := range files {
		if f.Staged {
			continue
		}
		dir := path.Dir(f.Entry.Linux)
		if f.Err != nil || f.Entry.Version == "" || path.Dir(dir) != "/EFI/Linux" || !strings.HasPrefix(path.Base(dir), "bootc_composefs-") {
			t.Errorf("bootc cannot read entry %s: %v\n%s", f.File, f.Err, f.raw)
		}
		all = append(all, f)
	}
	slices.SortStableFunc(all, func(a, b EntryFile) int {
		return cmp.Or(strings.Compare(a.Entry.SortKey, b.Entry.SortKey), bootentry.CompareVersions(b.Entry.Version, a.Entry.Version))
	})
	order := ""
	for _, f := range all {
		order += string(f.Target.ID[:1])
	}
	return order
}

func order(t *testing.T, p *Partition) string {
	t.Helper()
	files, err := p.Entries()
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for _, f := range files {
		if f.Bootable() {
			all += string(f.Target.ID[:1])
		}
	}
	return all
}

// deploy makes a deployment the next to boot.
func deploy(t *testing.T, p *Partition, letter, linux, initrd string) error {
	t.Helper()
	digest, _, err := writeKernel(p, linux, initrd)
	if err != nil {
		return err
	}
	name, err := p.StageEntry(NewEntry("OS", "7", p.KernelDir(digest), "composefs="+string(id(letter))))
	if err != nil {
		return err
	}
	return p.Publish(name)
}

// Beside bootc's entries, which stay as they are, ours come first for systemd-boot and
// for bootc, and have their kernels where bootc looks for them.
func TestBesideBootc(t *testing.T) {
	for n := 0; ; n++ {
		dir := t.TempDir()
		put(t, dir, bootcFiles())
		err := deploy(t, open(t, dir, func(fsys durable.FS) durable.FS { return durabletest.CrashAfter(fsys, n) }), "c", "new kernel", "initrd")
		if got := next(t, dir); got != "a" && got != "c" || err == nil && got != "c" {
			t.Fatalf("after %d steps %s boots next (%v)", n, got, err)
		}
		p := open(t, dir, nil)
		if got := bootcOrder(t, p); got != "ab" && got != "cab" {
			t.Errorf("after %d steps the order of bootc is %s", n, got)
		}
		if err := deploy(t, p, "c", "new kernel", "initrd"); err != nil {
			t.Fatalf("after %d steps: again: %v", n, err)
		}
		for name, content := range bootcFiles() {
			if got, err := p.root.ReadFile(name); err != nil || string(got) != content {
				t.Errorf("after %d steps %s is %q, %v; want it as it was", n, name, got, err)
			}
		}
		if there(p, kernelsDir) {
			if list, _ := p.readDir(kernelsDir); slices.ContainsFunc(list, func(name string) bool { return name[0] != '.' }) {
				t.Errorf("kernels are in %s: %q", kernelsDir, list)
			}
		}
		if err == nil {
			break
		}
	}
}

// What bootc has written already is shared, and goes with the last entry that names it.
func TestShareBootcKernel(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, bootcFiles())
	p := open(t, dir, nil)
	before := tree(t, dir)
	digest, created, err := writeKernel(p, "kernel b", "initrd b")
	if want := bootcDir + "/" + bootcPrefix + string(id("b")); err != nil || created || p.KernelDir(digest) != want {
		t.Errorf("WriteKernel wrote %v to %s, %v; want nothing, and %s", created, p.KernelDir(digest), err, want)
	}
	if after := tree(t, dir); !slices.Equal(before, after) {
		t.Errorf("files are %q; want %q", after, before)
	}
	if err := deploy(t, p, "c", "kernel b", "initrd b"); err != nil {
		t.Fatal(err)
	}
	if err := prune(p, "", "c"); err != nil {
		t.Fatal(err)
	}
	if got := order(t, p) + bootcOrder(t, p); got != "cc" {
		t.Errorf("the orders are %s; want that c is left, with a kernel", got)
	}
	// One that is damaged is not shared.
	put(t, dir, map[string]string{bootcDir + "/" + bootcPrefix + string(id("b")) + "/vmlinuz": "kerneX b"})
	if digest, created, err := writeKernel(p, "kernel b", "initrd b"); err != nil || !created || p.KernelDir(digest) != bootcDir+"/"+bootcPrefix+digest {
		t.Errorf("WriteKernel = %v, %s, %v; want one of ours", created, p.KernelDir(digest), err)
	}
}

// Going back and forth leaves all entries such that bootc reads them in our order.
func TestRollbackBesideBootc(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, bootcFiles())
	p := open(t, dir, nil)
	if err := deploy(t, p, "c", "new kernel", "initrd"); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"a", "c", "b", "b", "c"} {
		if _, err := p.Rollback(id(to)); err != nil {
			t.Fatal(err)
		}
		if got, bootc := order(t, p), bootcOrder(t, p); got != bootc || got[:1] != to || len(got) != 3 {
			t.Errorf("after a rollback to %s the order is %s, and bootc's %s", to, got, bootc)
		}
	}
	// bootc's own rollback writes both entries anew, with sort-keys of its own.
	put(t, dir, map[string]string{entriesDir + "/sysupdate-image-000009-d.conf": ""})
	for _, name := range tree(t, path.Join(dir, entriesDir)) {
		if err := p.root.Remove(entriesDir + "/" + name); err != nil {
			t.Fatal(err)
		}
	}
	put(t, dir, bootcFiles())
	if err := deploy(t, p, "d", "newer kernel", "initrd"); err != nil {
		t.Fatal(err)
	}
	if got, bootc := order(t, p), bootcOrder(t, p); got != "dab" || bootc != got {
		t.Errorf("the order is %s, and bootc's %s; want dab", got, bootc)
	}
}

// Entries without a version, as earlier versions wrote them, get one beside bootc's,
// and stay at their places at every moment.
func TestAddVersions(t *testing.T) {
	for n := 0; ; n++ {
		dir := t.TempDir()
		put(t, dir, bootcFiles())
		for i, letter := range []string{"a", "b"} {
			e := NewEntry("OS", "", bootcDir+"/"+bootcPrefix+string(id(letter)), "composefs="+string(id(letter)))
			put(t, dir, map[string]string{entriesDir + "/sysupdate-image-00000" + string(rune('2'-i)) + "-" + letter + ".conf": string(e.Encode())})
		}
		for _, name := range []string{"1", "0"} {
			if err := open(t, dir, nil).root.Remove(entriesDir + "/bootc_fedora-42-" + name + ".conf"); err != nil {
				t.Fatal(err)
			}
		}
		err := open(t, dir, func(fsys durable.FS) durable.FS { return durabletest.CrashAfter(fsys, n) }).addVersions()
		p := open(t, dir, nil)
		if got := order(t, p); got != "ab" {
			t.Errorf("after %d steps the order is %s; want ab", n, got)
		}
		if err := p.addVersions(); err != nil {
			t.Fatal(err)
		}
		if got := bootcOrder(t, p); got != "ab" {
			t.Errorf("after %d steps and again the order of bootc is %s; want ab", n, got)
		}
		if err == nil {
			break
		}
	}
}

// A kernel that bootc has staged is not what a crash has left.
func TestPruneKeepsStagedByBootc(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, bootcFiles())
	kernel := bootcDir + "/" + bootcPrefix + string(id("e"))
	e := NewEntry("OS", "", kernel, "composefs="+string(id("e")))
	put(t, dir, map[string]string{
		kernel + "/vmlinuz": "k", kernel + "/initrd": "i", bootcStaged + "/bootc_fedora-43-1.conf": string(e.Encode()),
		bootcDir + "/" + bootcPrefix + "left/vmlinuz": "k",
	})
	p := open(t, dir, nil)
	if err := prune(p, "", "a", "b"); err != nil {
		t.Fatal(err)
	}
	if !there(p, kernel+"/initrd") || there(p, bootcDir+"/"+bootcPrefix+"left") {
		t.Errorf("left are %q", tree(t, dir))
	}
}
