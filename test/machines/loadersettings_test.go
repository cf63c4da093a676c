package machines

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf16"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// TestLoaderChooses has real loaders boot one of three entries under many settings, and wants
// it to be the one that boot.Settings.Choose names.
func TestLoaderChooses(t *testing.T) {
	t.Parallel()
	ctx := needLong(t)
	loaders, err := disks.Loader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, loader := range []struct{ file, info string }{{"trixie.efi", "systemd-boot 257.13"}, {"sid.efi", "systemd-boot 262.1"}} {
		for _, settings := range []struct{ conf, variables string }{
			{"", ""},
			{"", "LoaderEntryDefault=good.conf"},
			{"", "LoaderEntryDefault=bad*"},
			{"", "LoaderEntryDefault=trial.conf LoaderEntryOneShot=GOOD.conf"},
			{"", "LoaderEntryPreferred=bad.conf LoaderEntryDefault=good.conf"},
			{"preferred good.conf\n", "LoaderEntryDefault=bad.conf"},
			{"preferred bad*\ndefault g*\n", ""},
			{"default @saved\n", "LoaderEntryLastBooted=good.conf"},
			{"preferred @saved\n", "LoaderEntryLastBooted=good.conf"},
			{"default trial+2-1.conf\n", "LoaderEntryOneShot=none.conf"},
		} {
			t.Run(strings.TrimSuffix(loader.file, ".efi")+" "+strings.TrimSpace(settings.conf)+" "+settings.variables, func(t *testing.T) {
				variables := strings.Fields(settings.variables)
				want, dir := chosen(t, settings.conf, append([]string{"LoaderInfo=" + loader.info}, variables...))
				if err := os.MkdirAll(filepath.Join(dir, "EFI/BOOT"), 0o755); err != nil {
					t.Fatal(err)
				}
				output(ctx, t, "cp", filepath.Join(loaders, loader.file), filepath.Join(dir, "EFI/BOOT/BOOTX64.EFI"))
				output(ctx, t, "cp", filepath.Join(loaders, "vmlinuz"), filepath.Join(dir, "k"))
				if got := firstBooted(ctx, t, dir, variables); got != want {
					t.Errorf("the loader boots %s; want %s", got, want)
				}
			})
		}
	}
}

// chosen returns the file of the entry that Choose names, and the directory that is the boot
// partition with all of them.
func chosen(t *testing.T, conf string, variables []string) (file, dir string) {
	t.Helper()
	dir = t.TempDir()
	files := map[string]string{"k": "kernel", "loader/loader.conf": "timeout 0\n" + conf}
	for name, version := range map[string]string{"good.conf": "1", "trial+2-1.conf": "2", "bad+0-3.conf": "3"} {
		files["loader/entries/"+name] = "title " + name + "\nsort-key s\nversion " + version +
			"\nlinux /k\noptions console=ttyS0 panic=-1 test.boots=" + name + "\n"
	}
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	running := fstest.MapFS{}
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		running[bootcount.VariableFile(name)] = &fstest.MapFile{Data: append([]byte{7, 0, 0, 0}, utf16Of(value)...)}
	}
	p, err := boot.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	settings, err := p.Settings(running)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := p.Entries()
	if err != nil {
		t.Fatal(err)
	}
	return settings.Choose(entries).Entry.File, dir
}

// firstBooted returns the file of the entry that a machine boots first from a partition.
func firstBooted(ctx context.Context, t *testing.T, content string, variables []string) string {
	t.Helper()
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk")
	makeESP(ctx, t, disk, content)
	setFirmware(t, filepath.Join(dir, "efivars.fd"), variables)
	boots := bootsUntil(ctx, t, vm.Config{
		Kind: vm.PC, Dir: dir, MemoryMiB: 512, CPUs: 1, Disks: []vm.Disk{{Path: disk, Serial: "esp"}},
	}, "")
	if len(boots) == 0 {
		return ""
	}
	return boots[0]
}

// setFirmware makes file the variables of OVMF, with some of the loader's. See struct
// AUTHENTICATED_VARIABLE_HEADER in EDK2.
func setFirmware(t *testing.T, file string, variables []string) {
	t.Helper()
	data, err := os.ReadFile("/usr/share/OVMF/OVMF_VARS_4M.fd")
	if err != nil {
		t.Fatal(err)
	}
	const begin, vendor = 0x64, "\x82\xb0\x67\x4a\x4c\x0a\xcf\x41\xb6\xc7\x44\x0b\x29\xbb\x8c\x4f"
	if !bytes.Equal(data[begin:begin+2], []byte{0xff, 0xff}) {
		t.Fatal("OVMF comes with variables")
	}
	var b []byte
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		b = append(b, 0xaa, 0x55, 0x3f, 0)         // a variable that is there
		b = binary.LittleEndian.AppendUint32(b, 7) // not volatile, for loaders and systems
		b = append(b, make([]byte, 8+16+4)...)     // count, time, key
		b = binary.LittleEndian.AppendUint32(b, uint32(len(utf16Of(name))))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(utf16Of(value))))
		b = append(append(append(b, vendor...), utf16Of(name)...), utf16Of(value)...)
		for len(b)%4 != 0 {
			b = append(b, 0xff)
		}
	}
	copy(data[begin:], b)
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// utf16Of returns a text as EFI has it, with a zero at the end.
func utf16Of(text string) (data []byte) {
	for _, u := range utf16.Encode([]rune(text + "\x00")) {
		data = binary.LittleEndian.AppendUint16(data, u)
	}
	return data
}
