package boot

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
	e := NewUKIEntry("OS", "2", digest, id("a"), "efi")
	want := "title OS (2)\nsort-key sysupdate-image\nefi /sysupdate-image/" + digest + "/" + string(id("a")) + ".efi\n"
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

func TestUKIKey(t *testing.T) {
	const bootx64 = "EFI/BOOT/BOOTX64.EFI"
	loader := func(version string) string { return "MZ\x00#### LoaderInfo: systemd-boot " + version + " ####\x00" }
	for name, tt := range map[string]struct {
		files map[string]string
		info  string
		want  string
	}{
		"nothing known":         {nil, "", efiKey},
		"other loader":          {map[string]string{bootx64: "MZ grub"}, "", efiKey},
		"old":                   {map[string]string{bootx64: loader("257.8-1~deb13u1")}, "systemd-boot 258", efiKey},
		"new":                   {map[string]string{bootx64: loader("258~rc2")}, "", ukiKey},
		"one of two is old":     {map[string]string{bootx64: loader("252"), "EFI/systemd/systemd-bootx64.efi": loader("259")}, "", efiKey},
		"both new":              {map[string]string{bootx64: loader("258"), "EFI/systemd/systemd-bootx64.efi": loader("259.1")}, "", ukiKey},
		"elsewhere, new":        {nil, "systemd-boot 259.1-1", ukiKey},
		"elsewhere, old":        {nil, "systemd-boot 255", efiKey},
		"elsewhere, not ours":   {nil, "GRUB 2.14", efiKey},
		"absurd version":        {map[string]string{bootx64: loader(strings.Repeat("9", 100))}, "", ukiKey},
		"mark without a number": {map[string]string{bootx64: loader("")}, "", efiKey},
		"mark at the end":       {map[string]string{bootx64: loaderMark}, "", efiKey},
	} {
		dir := t.TempDir()
		put(t, dir, tt.files)
		if got := open(t, dir, nil).UKIKey(tt.info); got != tt.want {
			t.Errorf("%s: UKIKey = %s; want %s", name, got, tt.want)
		}
	}
}
