package update

import (
	"archive/tar"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/image/packages"
	ocitest "github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/sample"
)

// A content is what a random image has: what a plan has to tell apart.
type content struct {
	packages map[string]string // versions by name
	etc      map[string]string
	kargs    []string
	kver     string
	linux    string
	initrd   string
	files    map[string]string
}

// randomContent returns one that may have much in common with the one before.
func randomContent(r *rand.Rand, before content) content {
	c := content{
		packages: maps.Clone(before.packages), etc: maps.Clone(before.etc), files: maps.Clone(before.files),
		kargs: before.kargs, kver: before.kver, linux: before.linux, initrd: before.initrd,
	}
	if c.packages == nil {
		c.packages, c.etc, c.files = map[string]string{"base": "1"}, map[string]string{"default": "1"}, map[string]string{}
		c.kver, c.linux, c.initrd = "6.1", "kernel 6.1", "initramfs 6.1"
	}
	for _, some := range []map[string]string{c.packages, c.etc, c.files} {
		for range r.IntN(4) {
			name, value := fmt.Sprintf("x%d", r.IntN(8)), fmt.Sprintf("v%d", r.IntN(5))
			if some[name] = strings.Repeat(value, 1+r.IntN(200)); r.IntN(3) == 0 {
				delete(some, name)
			}
		}
	}
	if r.IntN(3) == 0 {
		c.kargs = [][]string{nil, {"quiet"}, {"quiet", "splash"}, {"console=ttyS0"}}[r.IntN(4)]
	}
	switch r.IntN(4) {
	case 0:
		c.kver = fmt.Sprintf("6.%d", r.IntN(3))
		c.linux = strings.Repeat("kernel "+c.kver, 1+r.IntN(3000))
		fallthrough
	case 1:
		c.initrd = strings.Repeat("initramfs "+c.kver, 1+r.IntN(3000))
	}
	return c
}

// layers returns the archives of an image: the base, and the rest, which may be there twice.
func (c content) layers(t *testing.T, r *rand.Rand) [][]byte {
	t.Helper()
	var status strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c.packages)) {
		fmt.Fprintf(&status, "Package: %s\nStatus: install ok installed\nVersion: %s\n\n", name, c.packages[name])
	}
	modules := "usr/lib/modules/" + c.kver
	base := map[string]string{
		"usr/lib/os-release": "PRETTY_NAME=OS\n", "usr/lib/sysupdate-image/prepare-root": "x", "var/lib/dpkg/status": status.String(),
		modules + "/vmlinuz": c.linux, modules + "/initramfs.img": c.initrd,
	}
	for name, value := range c.etc {
		base["etc/"+name] = value
	}
	if len(c.kargs) > 0 {
		base["usr/lib/bootc/kargs.d/10.toml"] = fmt.Sprintf("kargs = [%q]\n", strings.Join(c.kargs, " "))
	}
	more := map[string]string{"usr/share/doc": "doc"}
	for name, value := range c.files {
		more["usr/share/"+name] = value
	}
	all := [][]byte{archive(t, base, "boot", "sysroot", "etc", "var"), archive(t, more)}
	if r.IntN(4) == 0 {
		all = append(all, all[1])
	}
	return all
}

// archive returns an archive of files, and of directories besides theirs.
func archive(t *testing.T, content map[string]string, dirs ...string) []byte {
	t.Helper()
	made := make(map[string]bool)
	for _, dir := range dirs {
		made[dir] = true
	}
	for name := range content {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			made[dir] = true
		}
	}
	var headers []tar.Header
	for _, dir := range slices.Sorted(maps.Keys(made)) {
		headers = append(headers, tar.Header{Name: dir + "/", Typeflag: tar.TypeDir, Mode: 0o755})
	}
	for _, name := range slices.Sorted(maps.Keys(content)) {
		headers = append(headers, tar.Header{Name: name, Mode: 0o644})
	}
	data, err := ocitest.Tar(headers, content)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// counting is a Reporter that counts what is fetched.
type counting struct {
	silent
	layers int
	bytes  atomic.Int64
}

func (c *counting) Fetching(layers int, _ int64) { c.layers = layers }
func (c *counting) Fetched(n int64)              { c.bytes.Add(n) }

// disk returns the files below directories with their sizes, and what blocks of all they take.
func disk(t *testing.T, root string, dirs ...string) (files map[string]int64, used int64) {
	t.Helper()
	files = make(map[string]int64)
	for _, dir := range dirs {
		err := filepath.WalkDir(filepath.Join(root, dir), func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			used += info.Sys().(*syscall.Stat_t).Blocks * 512
			if info.Mode().IsRegular() && filepath.Base(name) != ".reserve" {
				files[name] = info.Size()
			}
			return nil
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	return files, used
}

// added returns how many bytes the files have that are new.
func added(before, after map[string]int64) (sum int64) {
	for name, size := range after {
		if _, ok := before[name]; !ok {
			sum += size
		}
	}
	return sum
}

// TestPlanNumbers plans and applies 50 random images on random machines, and compares each
// number of the plan with what happened, to the byte.
func TestPlanNumbers(t *testing.T) {
	t.Parallel()
	same, freed := 0, 0
	seeds := sample.Of(5)
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 17))
		b := &bench{t: t, layout: t.TempDir(), dir: t.TempDir()}
		b.must(os.Mkdir(b.dir+"/boot", 0o755))
		var before content
		for i := range 10 {
			tag, next := fmt.Sprint(i), randomContent(r, before)
			b.must(ocitest.WriteLayout(b.layout, tag, ocitest.Image{Layers: next.layers(t, r), Version: tag}))
			n := &numbers{bench: b, about: fmt.Sprintf("seed %d, image %d", seed, i), before: before, now: next}
			if n.check(tag) {
				same++
			}
			freed += n.frees
			before = next
			BlessAll(t, b.dir)
		}
	}
	if freed < 2*seeds {
		t.Errorf("only %d of %d plans removed a deployment", freed, 10*seeds)
	}
	if same < 2*seeds {
		t.Errorf("only %d of %d images needed no kernel to be written", same, 10*seeds)
	}
}

// numbers compares a plan with what becomes of it.
type numbers struct {
	*bench
	about       string
	before, now content
	frees       int // plans that removed something
}

func (n *numbers) errorf(format string, args ...any) {
	n.t.Helper()
	n.t.Errorf(n.about+": "+format, args...)
}

// check reports whether no kernel was written.
func (n *numbers) check(tag string) bool {
	m := n.open(n.dir, nil)
	defer m.Close()
	ctx := n.t.Context()
	blind, err := m.Plan(ctx, n.options(tag), silent{})
	n.must(err)
	if n.before.kver == "" { // the first image: only then there is a repository
		if blind.From != nil || blind.Fetch.Layers == 0 {
			n.errorf("first plan: from %v, %d layers to fetch", blind.From, blind.Fetch.Layers)
		}
		n.apply(m, tag, nil)
		return false
	}
	var count counting
	img, o, err := m.resolve(ctx, n.options(tag), silent{})
	n.must(err)
	defer img.Close()
	n.must(img.ReadConfig(ctx))
	n.must(m.fetch(ctx, img, o, &count))
	if got := (FetchPlan{count.layers, count.bytes.Load()}); got != blind.Fetch {
		n.errorf("fetched %+v; planned %+v", got, blind.Fetch)
	}
	if known := blind.Write != nil; known != (blind.Fetch.Layers == 0) || known != (blind.Changes != nil) || known != (blind.Room[0].Need != nil) {
		n.errorf("with %d layers to fetch, what they tell is known: %v", blind.Fetch.Layers, known)
	}
	plan, err := m.Plan(ctx, n.options(tag), silent{})
	n.must(err)
	repoBefore, _ := disk(n.t, n.dir, "composefs/objects")
	bootBefore, _ := disk(n.t, n.dir, "boot/sysupdate-image")
	_, usedBefore := disk(n.t, n.dir, ".")
	got := n.apply(m, tag, nil)
	repoAfter, _ := disk(n.t, n.dir, "composefs/objects")
	bootAfter, _ := disk(n.t, n.dir, "boot/sysupdate-image")
	_, usedAfter := disk(n.t, n.dir, ".")
	wrote := WritePlan{added(repoBefore, repoAfter), added(bootBefore, bootAfter)}
	if plan.Write == nil || *plan.Write != wrote {
		n.errorf("wrote %+v; planned %+v", wrote, plan.Write)
	}
	if need := *plan.Room[0].Need; usedAfter-usedBefore > need || need > 4*(wrote.Repository+wrote.Boot)+1<<20 {
		n.errorf("used %d bytes, of which %+v are counted; planned %d at most", usedAfter-usedBefore, wrote, need)
	}
	if len(plan.Remove) > 0 {
		n.frees++
		if freed := added(repoAfter, repoBefore); plan.Frees == nil || *plan.Frees != freed {
			n.errorf("freed %d bytes; planned %v", freed, plan.Frees)
		}
	}
	n.compare(plan, got, tag)
	return wrote.Boot == 0
}

// compare compares what is not about bytes.
func (n *numbers) compare(plan Plan, got Result, tag string) {
	if plan.ID != got.ID || plan.To != (Named{got.ID, got.Name, got.Version}) || plan.Outcome != got.Outcome {
		n.errorf("came to %+v, %s; planned %+v, %+v", got.Decision, got.Name, plan.Decision, plan.To)
	}
	if !sameIDs(idsOf(plan.Remove), got.Removed) {
		n.errorf("removed %v; planned %v", short(got.Removed), plan.Remove)
	}
	if plan.Changes == nil {
		if plan.Outcome != AlreadyNext && plan.Outcome != Published {
			n.errorf("%s: no changes are planned", plan.Outcome)
		}
		return
	}
	c := *plan.Changes
	want := packages.Diff(listed(n.before.packages), listed(n.now.packages))
	if len(want) > 0 && (len(c.Packages) != 1 || !slices.Equal(c.Packages[0].Changes, want)) || len(want) == 0 && len(c.Packages) > 0 {
		n.errorf("packages: planned %v; want %v", c.Packages, want)
	}
	kernel := KernelChange{n.before.kver, n.now.kver, n.before.linux != n.now.linux, n.before.initrd != n.now.initrd}
	if c.Kernel != kernel {
		n.errorf("kernel: planned %+v; want %+v", c.Kernel, kernel)
	}
	var etc []string
	for _, change := range c.Etc.Image {
		etc = append(etc, change.Kind+" "+change.Path)
	}
	if want := changesOf(n.before.etc, n.now.etc); !slices.Equal(etc, want) {
		n.errorf("/etc: planned %v; want %v", etc, want)
	}
	if want := minus(n.now.kargs, n.before.kargs); !slices.Equal(c.KernelArguments.Added, want) {
		n.errorf("kernel arguments: %v would be added; want %v", c.KernelArguments.Added, want)
	}
	if want := minus(n.before.kargs, n.now.kargs); !slices.Equal(c.KernelArguments.Removed, want) {
		n.errorf("kernel arguments: %v would be removed; want %v", c.KernelArguments.Removed, want)
	}
}

func listed(versions map[string]string) (all []packages.Package) {
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		all = append(all, packages.Package{Name: name, Version: versions[name]})
	}
	return all
}

func changesOf(before, now map[string]string) (all []string) {
	names := slices.Sorted(maps.Keys(before))
	for name := range now {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		was, had := before[name]
		is, has := now[name]
		switch {
		case !had:
			all = append(all, "added /etc/"+name)
		case !has:
			all = append(all, "removed /etc/"+name)
		case was != is:
			all = append(all, "changed /etc/"+name)
		}
	}
	return all
}

func minus(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(append([]string{}, a...)), func(s string) bool { return slices.Contains(b, s) })
}
