package boot

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
)

func writeUKI(p *Partition, content string, extras ...string) (string, bool, error) {
	var files []File
	for _, e := range extras {
		files = append(files, File{e, strings.NewReader("content of " + e)})
	}
	return p.WriteUKI(context.Background(), id("a"), strings.NewReader(content), files)
}

func TestWriteUKITrace(t *testing.T) {
	dir := t.TempDir()
	p, trace := traced(t, dir)
	digest, created, err := writeUKI(p, "uki", "one.addon.efi", "two.cred")
	if err != nil || !created {
		t.Fatalf("WriteUKI = %q, %v, %v; want it created", digest, created, err)
	}
	const want = `mkdir loader
mkdir loader/entries
mkdir sysupdate-image
mkdir sysupdate-image/.new
syncfs
sync .
mkdir sysupdate-image/.new/BOOT-D
mkdir sysupdate-image/.new/BOOT-D/A.efi.extra.d
syncfs
sync .
rename sysupdate-image/.new/BOOT-D sysupdate-image/D
create sysupdate-image/D/A.efi
write sysupdate-image/D/A.efi
create sysupdate-image/D/A.efi.extra.d/one.addon.efi
write sysupdate-image/D/A.efi.extra.d/one.addon.efi
create sysupdate-image/D/A.efi.extra.d/two.cred
write sysupdate-image/D/A.efi.extra.d/two.cred
`
	if got := strings.NewReplacer(digest, "D", string(id("a")), "A").Replace(trace.String()); got != want {
		t.Errorf("steps:\n%s\nwant:\n%s", got, want)
	}
	again, created, err := writeUKI(p, "uki", "one.addon.efi", "two.cred")
	if again != digest || created || err != nil {
		t.Errorf("WriteUKI again = %q, %v, %v; want %q, not created", again, created, err, digest)
	}
	for _, others := range [][]string{{"one.addon.efi"}, {"two.cred", "one.addon.efi"}, nil} {
		other, created, err := writeUKI(p, "uki", others...)
		if other == digest || !created || err != nil {
			t.Errorf("WriteUKI with %q = %q, %v, %v; want another one created", others, other, created, err)
		}
	}
}

func TestWriteUKICrash(t *testing.T) {
	for n := 0; ; n++ {
		dir := t.TempDir()
		_, _, err := writeUKI(open(t, dir, func(fsys durable.FS) durable.FS { return durabletest.CrashAfter(fsys, n) }), "uki", "x.cred")
		digest, _, errAgain := writeUKI(open(t, dir, nil), "uki", "x.cred")
		file := kernelsDir + "/" + digest + "/" + string(id("a")) + ".efi"
		want := []string{file, file + ".extra.d/x.cred"}
		if got := tree(t, dir); errAgain != nil || !slices.Equal(got, want) {
			t.Errorf("after %d steps and again: files are %q, %v; want %q", n, got, errAgain, want)
		}
		if err == nil {
			return
		}
	}
}

func TestStageUKI(t *testing.T) {
	dir := machineWith(t, "sysupdate-image-000001-b00000000000.conf=b")
	p := open(t, dir, nil)
	digest, _, err := writeUKI(p, "uki", "x.addon.efi")
	if err != nil {
		t.Fatal(err)
	}
	e := NewUKIEntry("OS", "2", digest, id("a"))
	want := "title OS (2)\nsort-key sysupdate-image\nlinux /sysupdate-image/" + digest + "/" + string(id("a")) + ".efi\n"
	if got := string(e.Encode()); got != want {
		t.Errorf("entry is %q; want %q", got, want)
	}
	name, err := p.StageEntry(e)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(name); err != nil {
		t.Fatal(err)
	}
	if got := next(t, dir); got != "a" {
		t.Errorf("%s boots next; want a", got)
	}
	if err := prune(p, "", "a", "b"); err != nil {
		t.Fatal(err)
	}
	if !there(p, kernelsDir+"/"+digest+"/"+string(id("a"))+".efi.extra.d/x.addon.efi") || !there(p, kernelsDir+"/k/vmlinuz") {
		t.Errorf("Prune left %q; want both kernels whole", tree(t, dir))
	}
	if _, err := p.Rollback(id("b")); err != nil || next(t, dir) != "b" {
		t.Errorf("Rollback: %v; %s boots next; want b", err, next(t, dir))
	}
	if err := prune(p, "", "b"); err != nil || there(p, kernelsDir+"/"+digest) {
		t.Errorf("Prune: %v, left %q; want a gone", err, tree(t, dir))
	}
	if err := os.Remove(filepath.Join(dir, kernelsDir, "k", "vmlinuz")); err != nil {
		t.Fatal(err)
	}
	if _, err := p.StageEntry(e); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("StageEntry of an image that is not there: %v", err)
	}
}

// TestPruneKeepsBootcsAddons has an image of bootc's, whose addons no entry names.
func TestPruneKeepsBootcsAddons(t *testing.T) {
	dir := machineWith(t, "sysupdate-image-000001-b00000000000.conf=b")
	uki := "EFI/Linux/bootc/bootc_composefs-" + string(id("a")) + ".efi"
	gone := "EFI/Linux/bootc/bootc_composefs-" + string(id("c")) + ".efi"
	put(t, dir, map[string]string{
		uki: "uki", uki + ".extra.d/x.addon.efi": "addon",
		gone: "uki", gone + ".extra.d/x.addon.efi": "addon",
		entriesDir + "/bootc_x-1.conf": "title a\nuki /" + uki + "\n",
	})
	p := open(t, dir, nil)
	if err := prune(p, "", "a", "b"); err != nil {
		t.Fatal(err)
	}
	if !there(p, uki+".extra.d/x.addon.efi") || there(p, gone) || there(p, gone+".extra.d") {
		t.Errorf("Prune left %q; want a's addons, and nothing of c", tree(t, dir))
	}
}

func TestUKIRoom(t *testing.T) {
	p := open(t, t.TempDir(), nil)
	p.space = func() (free, block int64, err error) { return 9 * 4096, 4096, nil }
	// The image, the addon, the addon's directory, and six besides.
	if _, _, err := writeUKI(p, "uki", "x.addon.efi"); err != nil {
		t.Errorf("WriteUKI where it just fits: %v", err)
	}
	var full *NoRoomError
	if _, _, err := writeUKI(p, "uki", "x.addon.efi", "y.addon.efi"); !errors.As(err, &full) || full.Need != 10*4096 {
		t.Errorf("WriteUKI with one addon more = %v; want a NoRoomError of %d bytes", err, 10*4096)
	}
}

// TestOldKey publishes and rolls back to entries on trial that name a unified kernel image
// by the key efi, as earlier versions wrote them: every loader counts the boots of what they
// become.
func TestOldKey(t *testing.T) {
	dir := machineWith(t, "sysupdate-image-000001-b00000000000.conf=b")
	p := open(t, dir, nil)
	digest, _, err := writeUKI(p, "uki")
	if err != nil {
		t.Fatal(err)
	}
	want := "linux /sysupdate-image/" + digest + "/" + string(id("a")) + ".efi\n"
	old := NewUKIEntry("OS", "2", digest, id("a"))
	old.EFI, old.Linux = old.Linux, ""
	name, err := p.StageEntry(old)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(name); err != nil {
		t.Fatal(err)
	}
	if got := content(t, dir, name); !strings.Contains(got, want) {
		t.Errorf("published as %q; want %q in it", got, want)
	}
	// As the loader left it.
	old.Version = versionOf(bootentry.Name{Base: strings.TrimSuffix(name, "+3-0.conf")})
	put(t, dir, map[string]string{entriesDir + "/" + name: string(old.Encode())})
	name, err = p.Rollback(id("a"))
	if err != nil {
		t.Fatal(err)
	}
	if got := content(t, dir, name); !strings.Contains(got, want) || !strings.Contains(name, "+3-0.conf") {
		t.Errorf("after a rollback, %s is %q; want %q in it", name, got, want)
	}
	// What is good stays as it is.
	if err := p.Bless(bootentry.Name{Base: strings.TrimSuffix(name, "+3-0.conf")}); err != nil {
		t.Fatal(err)
	}
	good := strings.Replace(name, "+3-0", "", 1)
	old.Version = versionOf(bootentry.Name{Base: strings.TrimSuffix(good, ".conf")})
	put(t, dir, map[string]string{entriesDir + "/" + good: string(old.Encode())})
	if name, err = p.Rollback(id("a")); name != good || err != nil {
		t.Errorf("Rollback to what is good and first = %s, %v; want %s as it is", name, err, good)
	}
}

// content returns what a boot entry says.
func content(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, entriesDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
