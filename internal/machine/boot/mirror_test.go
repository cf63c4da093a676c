package boot

import (
	"context"
	"errors"
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

// A mirrorBench is a boot partition, and a mirror.
type mirrorBench struct {
	t           *testing.T
	first, copy string
}

const (
	goodA   = "sysupdate-image-000001-a00000000000.conf"
	goodB   = "sysupdate-image-000002-b00000000000.conf"
	onTrial = "sysupdate-image-000003-c00000000000+3-0.conf"
)

func loaderOfVersion(version string) string {
	return "MZ" + loaderMark + "systemd-boot " + version + " ####"
}

// newMirrorBench has two deployments that are proven, one that is on trial, and an empty mirror.
func newMirrorBench(t *testing.T) mirrorBench {
	t.Helper()
	b := mirrorBench{t, machineWith(t, goodA+"=a", goodB+"=b", onTrial+"=c"), t.TempDir()}
	put(t, b.first, map[string]string{
		LoaderPaths()[0]: loaderOfVersion("257"), LoaderPaths()[1]: loaderOfVersion("257"),
		loaderConfFile: "timeout 3\n", "loader/random-seed": "secret",
		kernelsDir + "/b/x/vmlinuz": "kernel b", kernelsDir + "/b/initrd": "initrd b",
		entriesDir + "/" + goodB:  "title B\nsort-key sysupdate-image\nversion 000002\nlinux /sysupdate-image/b/x/vmlinuz\ninitrd /sysupdate-image/b/initrd\noptions composefs=" + string(id("b")) + "\n",
		kernelsDir + "/c/vmlinuz": "nobody's",
	})
	return b
}

// plan compares the two with contents, for the deployments with the letters.
func (b mirrorBench) plan(wrap func(durable.FS) durable.FS, letters ...string) (Mirroring, error) {
	b.t.Helper()
	var proven []deployment.ID
	for _, letter := range letters {
		proven = append(proven, id(letter))
	}
	return open(b.t, b.first, nil).PlanMirror(context.Background(), open(b.t, b.copy, wrap), proven, true)
}

// run makes the mirror equal, and checks that it is then.
func (b mirrorBench) run(letters ...string) {
	b.t.Helper()
	m, err := b.plan(nil, letters...)
	if err = errors.Join(err, m.Run(context.Background())); err != nil {
		b.t.Fatal(err)
	}
	if m, err := b.plan(nil, letters...); err != nil || !m.Equal() {
		b.t.Errorf("after Run: %q, %q, %v; want that they are equal", m.Writes(), m.Removal.Paths(), err)
	}
}

func (b mirrorBench) wantTree(want ...string) {
	b.t.Helper()
	got := slices.DeleteFunc(tree(b.t, b.copy), func(name string) bool { return name == reserveFile })
	slices.Sort(want)
	if !slices.Equal(got, want) {
		b.t.Errorf("the mirror has %q; want %q", got, want)
	}
}

var (
	filesOfLoader = append(LoaderPaths(), loaderConfFile)
	filesOfA      = []string{entriesDir + "/" + goodA, kernelsDir + "/k/initrd", kernelsDir + "/k/vmlinuz"}
	filesOfB      = []string{entriesDir + "/" + goodB, kernelsDir + "/b/initrd", kernelsDir + "/b/x/vmlinuz"}
)

// A mirror has what is proven, and nothing else; it follows the first in both directions.
func TestMirror(t *testing.T) {
	b := newMirrorBench(t)
	before := contents(t, b.first)
	b.run("a", "b")
	b.wantTree(slices.Concat(filesOfA, filesOfB, filesOfLoader)...)
	if got := next(t, b.copy); got != "b" {
		t.Errorf("the mirror boots %s; want b", got)
	}
	b.run("a")
	b.wantTree(slices.Concat(filesOfA, filesOfLoader)...)
	put(t, b.copy, map[string]string{onTrialStaged: string(entryFor("c").Encode()), entriesDir + "/other.conf": "title other\nefi /shell.efi\n"})
	b.run("b")
	b.wantTree(slices.Concat(filesOfB, filesOfLoader, []string{entriesDir + "/other.conf"})...)
	if after := contents(t, b.first); !reflect.DeepEqual(before, after) {
		t.Errorf("the first is now %q; want %q", after, before)
	}
	if _, err := b.plan(nil, "c"); !errors.Is(err, ErrNothingProven) {
		t.Errorf("PlanMirror without proven deployments: %v", err)
	}
	if err := open(t, b.copy, nil).Clear(); err != nil {
		t.Fatal(err)
	}
	b.wantTree(append(filesOfLoader, entriesDir+"/other.conf")...)
}

const onTrialStaged = entriesDir + "/" + onTrial + stagedSuffix

// contents returns all files below dir with what is in them.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, name := range tree(t, dir) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(data)
	}
	return all
}

// What is damaged is found: by contents, or without reading them by the sizes.
func TestMirrorDamaged(t *testing.T) {
	for name, content := range map[string]string{
		kernelsDir + "/b/initrd": "initrd x", kernelsDir + "/k/vmlinuz": "", entriesDir + "/" + goodB: "title B\n",
		LoaderPaths()[0]: "damage", loaderConfFile: "timeout 9\n", LoaderPaths()[1]: loaderOfVersion("256"),
	} {
		b := newMirrorBench(t)
		b.run("a", "b")
		want := contents(t, b.copy)
		put(t, b.copy, map[string]string{name: content})
		m, err := b.plan(nil, "a", "b")
		if err != nil || !slices.ContainsFunc(m.Writes(), func(path string) bool { return strings.HasPrefix(name, path) }) {
			t.Errorf("with another %s: writes %q, %v", name, m.Writes(), err)
		}
		b.run("a", "b")
		if got := contents(t, b.copy); !reflect.DeepEqual(got, want) {
			t.Errorf("with another %s: then %q; want %q", name, got, want)
		}
	}
	b := newMirrorBench(t)
	b.run("b")
	put(t, b.copy, map[string]string{kernelsDir + "/b/initrd": "initrd x"})
	first, mirror := open(t, b.first, nil), open(t, b.copy, nil)
	if m, err := first.PlanMirror(t.Context(), mirror, []deployment.ID{id("b")}, false); err != nil || !m.Equal() {
		t.Errorf("with another content: writes %q, %v; want that the sizes do not tell", m.Writes(), err)
	}
}

// A newer loader stays, and so does that of another program where firmware looks.
func TestMirrorLoader(t *testing.T) {
	b := newMirrorBench(t)
	put(t, b.copy, map[string]string{LoaderPaths()[0]: loaderOfVersion("258"), LoaderPaths()[1]: "MZ shim"})
	m, err := b.plan(nil, "a")
	if err != nil || m.Occupied != LoaderPaths()[1] {
		t.Errorf("PlanMirror = %q, %v; want that another loader is at %s", m.Occupied, err, LoaderPaths()[1])
	}
	b.run("a")
	all := contents(t, b.copy)
	for name, want := range map[string]string{LoaderPaths()[0]: loaderOfVersion("258"), LoaderPaths()[1]: "MZ shim"} {
		if all[name] != want {
			t.Errorf("%s is %q; want %q", name, all[name], want)
		}
	}
	put(t, b.first, map[string]string{LoaderPaths()[0]: "MZ GRUB", LoaderPaths()[1]: "MZ GRUB"})
	if _, err := b.plan(nil, "a"); err == nil || !strings.Contains(err.Error(), "no systemd-boot") {
		t.Errorf("PlanMirror without systemd-boot: %v", err)
	}
}

// TestMirrorOrder: a kernel is complete before its entry is there, and an entry goes before
// its kernel.
func TestMirrorOrder(t *testing.T) {
	b := newMirrorBench(t)
	b.run("a")
	var trace *durabletest.Recorder
	m, err := b.plan(func(fsys durable.FS) durable.FS {
		trace = durabletest.Trace(fsys)
		return trace
	}, "b")
	if err = errors.Join(err, m.Run(t.Context())); err != nil {
		t.Fatal(err)
	}
	const want = `mkdir sysupdate-image/.new/BOOT-b
mkdir sysupdate-image/.new/BOOT-b/x
syncfs
sync .
rename sysupdate-image/.new/BOOT-b sysupdate-image/b
create sysupdate-image/b/initrd
write sysupdate-image/b/initrd
create sysupdate-image/b/x/vmlinuz
write sysupdate-image/b/x/vmlinuz
syncfs
sync .
create sysupdate-image/.new/BOOT-B
write sysupdate-image/.new/BOOT-B
sync sysupdate-image/.new/BOOT-B
rename sysupdate-image/.new/BOOT-B loader/entries/B
sync loader/entries/B
sync loader/entries
remove loader/entries/A
sync loader/entries
remove sysupdate-image/k/initrd
remove sysupdate-image/k/vmlinuz
remove sysupdate-image/k
sync sysupdate-image
`
	if got := strings.NewReplacer(goodA, "A", goodB, "B").Replace(trace.String()); got != want {
		t.Errorf("steps:\n%s\nwant:\n%s", got, want)
	}
}

// TestMirrorStopped stops after each step, until it gets through: the mirror always boots what it
// had or is to have, and the next try completes it.
func TestMirrorStopped(t *testing.T) {
	for _, had := range [][]string{nil, {"a"}, {"b"}} {
		for n := 0; ; n++ {
			b := newMirrorBench(t)
			if had != nil {
				b.run(had...)
			}
			m, err := b.plan(durabletest.Crash(n), "a", "b")
			if err != nil {
				t.Fatal(err)
			}
			err = m.Run(t.Context())
			if got := next(t, b.copy); had != nil && got != had[0] && got != "b" {
				t.Errorf("after %d steps from %v the mirror boots %q", n, had, got)
			}
			files, errRead := open(t, b.copy, nil).Entries()
			for _, f := range files {
				if f.Err != nil || errRead != nil {
					t.Errorf("after %d steps from %v: %s: %v, %v", n, had, f.File, f.Err, errRead)
				}
			}
			b.run("a", "b")
			if err == nil {
				break
			}
		}
	}
}

// Where there is no room for both, what is not wanted makes room, but never the last that boots.
func TestMirrorRoom(t *testing.T) {
	b := newMirrorBench(t)
	b.run("a")
	m, err := b.plan(nil, "b")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.superseded(); err != nil || len(got) != 0 {
		t.Errorf("superseded = %q, %v; want that a stays", got, err)
	}
	m.to.space = func() (free, block int64, err error) { return 1100, 1, nil }
	err = m.Run(t.Context())
	if noRoom := (*NoRoomError)(nil); !errors.As(err, &noRoom) {
		t.Errorf("Run without room: %v", err)
	}
	need, free, err := m.Room()
	if err = errors.Join(err, m.CheckRoom(need, free)); err != nil {
		t.Errorf("CheckRoom: %v; want that what goes is enough", err)
	}
	b.run("a", "b")
	if m, err = b.plan(nil, "b"); err != nil {
		t.Fatal(err)
	}
	if got, err := m.superseded(); err != nil || !slices.Equal(got, []deployment.ID{id("a")}) {
		t.Errorf("superseded = %q, %v; want a", got, err)
	}
}

// A partition with anything of another system does not become a mirror.
func TestCheckMirror(t *testing.T) {
	for name, refused := range map[string]bool{
		"":                                 false,
		"EFI/BOOT/BOOTX64.EFI":             false,
		"EFI/systemd/systemd-bootx64.efi":  false,
		"loader/entries.srel":              false,
		entriesDir + "/" + goodA:           false,
		kernelsDir + "/old/vmlinuz":        false,
		"EFI/Linux/bootc_composefs-1/x":    false,
		"EFI/Linux/debian-6.12.efi":        true,
		"EFI/Microsoft/Boot/bootmgfw.efi":  true,
		"vmlinuz":                          true,
		entriesDir + "/debian.conf":        true,
		"EFI/Linux/bootc_composefs-1.conf": false,
	} {
		dir := t.TempDir()
		if name != "" {
			put(t, dir, map[string]string{name: "title x\nlinux /none\n"})
		}
		if path := entriesDir + "/" + goodA; name == path {
			put(t, dir, map[string]string{path: string(entryFor("a").Encode())})
		}
		p := open(t, machineWith(t, goodA+"=a"), nil)
		if err := p.CheckMirror(open(t, dir, nil)); (err != nil) != refused {
			t.Errorf("CheckMirror of a partition with %q: %v; want an error: %v", name, err, refused)
		}
	}
	p := open(t, machineWith(t), nil)
	same, err := p.IsSame(open(t, p.String(), nil))
	other, errOther := p.IsSame(open(t, t.TempDir(), nil))
	if !same || other || err != nil || errOther != nil {
		t.Errorf("IsSame = %v, %v, and of another %v, %v", same, err, other, errOther)
	}
}
