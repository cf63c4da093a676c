package boot

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
)

// A book is a Ledger in memory.
type book struct {
	paths []string
	full  bool   // as a disk is
	root  string // where the record of entries is
	tag   string
}

func (b *book) Kernels() ([]string, error) { return b.paths, nil }
func (b *book) SetKernels(paths []string) error {
	if b.full {
		return errors.New("no space left")
	}
	b.paths = paths
	return nil
}
func (b *book) SetEntries(bases []string) error {
	if b.full {
		return errors.New("no space left")
	}
	text := ""
	for _, base := range bases {
		text += base + "\n"
	}
	file := filepath.Join(b.root, deployment.EntriesRecord)
	return errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644))
}
func (b *book) Tag() string { return b.tag }

// shared opens dir as the boot partition of a machine that has deployments with these
// letters, by their state or by their image.
func shared(t *testing.T, dir string, ledger Ledger, wrap func(durable.FS) durable.FS, state, images string) *Partition {
	t.Helper()
	root := t.TempDir()
	for _, letter := range strings.Split(state, "") {
		put(t, root, map[string]string{id(letter).OriginFile(): ""})
	}
	for _, letter := range strings.Split(images, "") {
		put(t, root, map[string]string{deployment.RepositoryDir + "/images/" + string(id(letter)): ""})
	}
	r, err := os.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	p := open(t, dir, wrap).Of(nil, r, ledger)
	p.place = "HERE"
	return p
}

// sharedDir returns a partition with two deployments of our machine, c staged, and those of two
// others: one that sysupdate-image manages, which is staging, and one that bootc has.
func sharedDir(t *testing.T) string {
	dir := machineWith(t, "sysupdate-image-000001-a00000000000.conf=a", "sysupdate-image-000003-b00000000000.conf=b",
		"sysupdate-image-000006-c00000000000+3-0.conf.staged=c", "sysupdate-image-000002-d00000000000.conf=d",
		"sysupdate-image-000005-e00000000000+3-0.conf.staged=e")
	const theirs = "linux /EFI/Linux/bootc_composefs-f/vmlinuz\nversion 1\nsort-key bootc-os-0\noptions root=UUID=1 composefs="
	put(t, dir, map[string]string{
		entriesDir + "/bootc_os-1-1.conf":                                 theirs + string(id("f")) + "\n",
		entriesDir + "/sysupdate-image-000007-e00000000000+3.conf.staged": "half of one of theirs",
		entriesDir + "/sysupdate-image-000008-a00000000000+3.conf.staged": "half of one of ours",
		"EFI/Linux/bootc_composefs-f/vmlinuz":                             "theirs",
		"EFI/Linux/bootc_composefs-0/vmlinuz":                             "theirs, about to be named",
		kernelsDir + "/theirs/vmlinuz":                                    "theirs, about to be named",
		kernelsDir + "/ours/vmlinuz":                                      "of an apply that was killed",
		scratchDir + "/BOOTTHERE-theirs/vmlinuz":                          "theirs, being written",
		scratchDir + "/BOOTHERE-ours/vmlinuz":                             "ours",
	})
	return dir
}

// What belongs to another system on the partition stays, whatever it looks like.
func TestPruneShared(t *testing.T) {
	dir := sharedDir(t)
	before := tree(t, dir)
	ledger := &book{paths: []string{kernelsDir + "/ours", kernelsDir + "/gone"}}
	p := shared(t, dir, ledger, nil, "ab", "c")
	if err := prune(p, "sysupdate-image-000006-c00000000000+3-0.conf", "b", "c"); err != nil {
		t.Fatal(err)
	}
	want := slices.DeleteFunc(before, func(name string) bool {
		return strings.Contains(name, "000001-a") || strings.Contains(name, "000008-a") ||
			strings.Contains(name, "/ours/") || strings.Contains(name, "HERE-ours")
	})
	if got := tree(t, dir); !reflect.DeepEqual(got, want) {
		t.Errorf("left: %q\nwant: %q", got, want)
	}
	if len(ledger.paths) > 0 {
		t.Errorf("the ledger has %q, which are gone", ledger.paths)
	}
	if err := p.Unstage(); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, dir); len(got) != len(want)-1 || !slices.ContainsFunc(got, func(name string) bool { return strings.Contains(name, "000005-e") }) {
		t.Errorf("after Unstage: %q; want theirs still staged", got)
	}
}

// To all but its machine an entry is no deployment: nothing is inherited from it.
func TestEntriesShared(t *testing.T) {
	files, err := shared(t, sharedDir(t), nil, nil, "ab", "c").Entries()
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, f := range files {
		switch {
		case f.Foreign && (f.IsDeployment() || f.Good() || f.isStaged()):
			t.Errorf("%s is foreign, and a deployment", f.File)
		case f.Foreign:
			got += "-"
		case f.IsDeployment():
			got += string(f.Target.ID[:1])
		default:
			got += "?"
		}
	}
	if want := "-b-ac--?"; got != want {
		t.Errorf("entries are of %s; want %s", got, want)
	}
}

// A kernel that two systems boot goes with the last entry that names it, and with
// nothing that another system is about to name.
func TestKernelShared(t *testing.T) {
	dir := machineWith(t)
	ours, theirs := &book{}, &book{}
	a, b := shared(t, dir, ours, nil, "a", "a"), shared(t, dir, theirs, nil, "b", "b")
	b.place = "THERE"
	digest, created, err := a.WriteKernel(t.Context(), strings.NewReader("kernel"), strings.NewReader("initrd"))
	if err != nil || !created || !slices.Equal(ours.paths, []string{kernelsDir + "/" + digest}) {
		t.Fatalf("WriteKernel: %v, %v; the ledger has %q", created, err, ours.paths)
	}
	has := func(when string, want bool) {
		t.Helper()
		if hasFile(b, kernelsDir+"/"+digest+"/vmlinuz") != want {
			t.Errorf("%s: the kernel is there: %v; want %v", when, !want, want)
		}
	}
	if err := prune(b, ""); err != nil {
		t.Fatal(err)
	}
	has("the other one prunes before it is named", true)
	if _, created, err := b.WriteKernel(t.Context(), strings.NewReader("kernel"), strings.NewReader("initrd")); err != nil || created || len(theirs.paths) > 0 {
		t.Errorf("WriteKernel of what is there: %v, %v; the ledger has %q", created, err, theirs.paths)
	}
	if _, err := b.StageEntry(NewEntry("B", "", b.KernelDir(digest), "composefs="+string(id("b")))); err != nil {
		t.Fatal(err)
	}
	if err := prune(a, ""); err != nil {
		t.Fatal(err)
	}
	has("its writer prunes when the other one has staged it", true)
	if err := b.Unstage(); err != nil {
		t.Fatal(err)
	}
	if err := prune(b, ""); err != nil {
		t.Fatal(err)
	}
	has("the other one prunes when nothing names it", true)
	if err := prune(a, ""); err != nil {
		t.Fatal(err)
	}
	has("its writer prunes when nothing names it", false)
}

// Where bootc has another system on the partition, ours keeps to its own directory.
func TestKernelBesideForeignBootc(t *testing.T) {
	p := shared(t, sharedDir(t), &book{}, nil, "ab", "c")
	digest, _, err := p.WriteKernel(t.Context(), strings.NewReader("kernel"), strings.NewReader("initrd"))
	if err != nil || p.KernelDir(digest) != kernelsDir+"/"+digest {
		t.Errorf("kernel is in %s, %v", p.KernelDir(digest), err)
	}
}

// What another system has written half of the same kernel is completed, not removed.
func TestKernelHalfTheirs(t *testing.T) {
	dir := machineWith(t)
	digest, _, err := open(t, machineWith(t), nil).WriteKernel(t.Context(), strings.NewReader("kernel"), strings.NewReader("initrd"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, map[string]string{kernelsDir + "/" + digest + "/vmlinuz": "ker", kernelsDir + "/" + digest + "/their.tmp": "x"})
	var trace *durabletest.Recorder
	p := shared(t, dir, &book{}, func(fsys durable.FS) durable.FS { trace = durabletest.Trace(fsys); return trace }, "a", "")
	if _, created, err := p.WriteKernel(t.Context(), strings.NewReader("kernel"), strings.NewReader("initrd")); err != nil || !created {
		t.Fatal(created, err)
	}
	if strings.Contains(trace.String(), "remove") {
		t.Errorf("steps: %s", trace)
	}
	f, err := p.Open(kernelsDir + "/" + digest + "/vmlinuz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if text, _ := io.ReadAll(f); string(text) != "kernel" {
		t.Errorf("kernel is %q", text)
	}
}

// Stopped after any step, and where the ledger cannot be written, pruning again leaves
// what it leaves when nothing has stopped it: also kernels that were written before
// there was a ledger.
func TestPruneSharedStopped(t *testing.T) {
	seed := func() string {
		dir := sharedDir(t)
		put(t, dir, map[string]string{
			kernelsDir + "/old/vmlinuz":                              "of a",
			entriesDir + "/sysupdate-image-000001-a00000000000.conf": "linux /sysupdate-image/old/vmlinuz\noptions composefs=" + string(id("a")) + "\n",
		})
		return dir
	}
	var want []string
	for n := -1; ; n++ {
		dir, ledger := seed(), &book{paths: []string{kernelsDir + "/ours"}}
		wrap := func(fsys durable.FS) durable.FS { return fsys }
		if n >= 0 {
			wrap = durabletest.Crash(n)
		}
		err := prune(shared(t, dir, ledger, wrap, "ab", "c"), "sysupdate-image-000006-c00000000000+3-0.conf", "b", "c")
		if again := prune(shared(t, dir, ledger, nil, "ab", "c"), "sysupdate-image-000006-c00000000000+3-0.conf", "b", "c"); again != nil {
			t.Errorf("after %d steps: again: %v", n, again)
		}
		got := append(tree(t, dir), ledger.paths...)
		switch {
		case n < 0:
			want = got
		case !reflect.DeepEqual(got, want):
			t.Errorf("after %d steps and again: %q\nwant %q", n, got, want)
		}
		if n >= 0 && err == nil {
			break
		}
	}
	dir := seed()
	if err := prune(shared(t, dir, &book{full: true}, nil, "ab", "c"), "sysupdate-image-000006-c00000000000+3-0.conf", "b", "c"); err != nil {
		t.Errorf("on a full disk: %v", err)
	}
	if slices.Contains(tree(t, dir), kernelsDir+"/old/vmlinuz") {
		t.Error("on a full disk, the kernel of an entry that goes stays")
	}
}
