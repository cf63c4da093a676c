package loader

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/grub"
)

// image returns an image with a systemd-boot of a version.
func image(version string) func(string) (io.ReadCloser, error) {
	return func(name string) (io.ReadCloser, error) {
		if name != boot.LoaderDir+"/"+filepath.Base(boot.LoaderPaths()[0]) {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return io.NopCloser(strings.NewReader("MZ #### LoaderInfo: systemd-boot " + version + " ####")), nil
	}
}

func find(t *testing.T, version string) Loader {
	t.Helper()
	l, err := Find(deployment.SystemdBoot, image(version), runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A loader is replaced by a newer one, never by an older one, and only where it is as it was
// written.
func TestUpdate(t *testing.T) {
	dir := t.TempDir()
	p, err := boot.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := os.MkdirAll(filepath.Join(dir, "EFI/BOOT"), 0o755); err != nil {
		t.Fatal(err)
	}
	first := filepath.Join(dir, boot.LoaderPaths()[1])
	if err := os.WriteFile(first, []byte("another's"), 0o644); err != nil {
		t.Fatal(err)
	}
	record, err := find(t, "257.2").Install(p, p, deployment.Loader{})
	if fallback := (*FallbackError)(nil); !errors.As(err, &fallback) || len(record.Files) != 1 {
		t.Errorf("Install beside another loader = %+v, %v; want one file, and a FallbackError", record, err)
	}
	if err := os.WriteFile(first, []byte("MZ #### LoaderInfo: systemd-boot 256 ####"), 0o644); err != nil {
		t.Fatal(err)
	}
	was, err := find(t, "257.2").Install(p, p, deployment.Loader{})
	if err != nil || was.Version != "257.2" || len(was.Files) != 2 {
		t.Fatalf("Install = %+v, %v", was, err)
	}
	if _, _, err := find(t, "257.1").Update(p, p, was); !errors.Is(err, ErrOlder) {
		t.Errorf("Update with an older one: %v; want %v", err, ErrOlder)
	}
	fallback := filepath.Join(dir, was.Files[1].Path)
	if err := os.WriteFile(fallback, []byte("another's"), 0o644); err != nil {
		t.Fatal(err)
	}
	now, changed, err := find(t, "257.10").Update(p, p, was)
	if err != nil || now.Version != "257.10" || !slices.Equal(changed, []string{was.Files[0].Path}) {
		t.Errorf("Update = %+v, %s, %v; want it to write %s only", now, changed, err, was.Files[0].Path)
	}
	if data, err := os.ReadFile(fallback); err != nil || string(data) != "another's" {
		t.Errorf("another's loader is %q, %v now", data, err)
	}
	if again, changed, err := find(t, "257.10").Update(p, p, now); err != nil || len(changed) > 0 || len(again.Files) != 1 {
		t.Errorf("Update again = %+v, %s, %v", again, changed, err)
	}
	if list, err := Check(p, was); len(list) != 2 || err == nil || !strings.Contains(err.Error(), was.Files[1].Path+" is not an EFI program") {
		t.Errorf("Check = %s, %v; want both changed, and what is no program an error", list, err)
	}
	if err := os.Remove(fallback); err != nil {
		t.Fatal(err)
	}
	if _, err := Check(p, was); err == nil || !strings.Contains(err.Error(), "there is no "+was.Files[1].Path) {
		t.Errorf("Check without a file: %v", err)
	}
	if _, _, err := (Loader{Kind: deployment.GRUB}).Update(p, p, now); err == nil {
		t.Error("a loader of another kind has no error")
	}
}

func TestChoose(t *testing.T) {
	const systemd, grub, bios = boot.LoaderDir + "/systemd-bootx64.efi", "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "usr/lib/grub/i386-pc/boot.img"
	for want, files := range map[string][]string{
		deployment.SystemdBoot: {systemd, grub}, deployment.GRUB: {grub}, "": nil,
	} {
		has := func(name string) bool { return slices.Contains(files, name) }
		if got := Choose(has, "amd64"); got != want {
			t.Errorf("Choose with %s = %q; want %q", files, got, want)
		}
		if err := Lacks(deployment.GRUB, has, "amd64"); (err == nil) != slices.Contains(files, grub) {
			t.Errorf("Lacks with %s = %v", files, err)
		}
	}
	if has := func(name string) bool { return name == bios }; Choose(has, "amd64") != deployment.GRUB || Choose(has, "arm64") != "" {
		t.Error("only amd64 has a GRUB for a BIOS")
	}
	if _, err := Find("lilo", image("1"), runtime.GOARCH); err == nil {
		t.Error("a loader that is not known has no error")
	}
}

// Another program's loader stays where firmware looks without being told of one, and what GRUB
// reads is checked.
func TestInstallBesides(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("EFI/BOOT/BOOTX64.EFI", "another's")
	p, err := boot.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	l := Loader{Kind: deployment.GRUB, GRUB: &grub.Loader{}, files: []grub.File{
		{Path: "EFI/os/shimx64.efi", Content: []byte("shim")},
		{Path: "EFI/BOOT/grubx64.efi", Content: []byte("grub")}, {Path: "EFI/BOOT/BOOTX64.EFI", Content: []byte("shim")},
	}}
	if err := l.Prepare(p); err != nil {
		t.Fatal(err)
	}
	record, err := l.Install(p, p, deployment.Loader{})
	if fallback := (*FallbackError)(nil); !errors.As(err, &fallback) || fallback.Path != "EFI/BOOT/BOOTX64.EFI" || fallback.Start != "EFI/os/shimx64.efi" || len(record.Files) != 1 {
		t.Errorf("Install = %+v, %v; want one file, and a FallbackError", record, err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "EFI/BOOT/BOOTX64.EFI")); err != nil || string(data) != "another's" {
		t.Errorf("another's loader is %q, %v now", data, err)
	}
	if _, err := p.Root().Lstat("EFI/BOOT/grubx64.efi"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("EFI/BOOT/grubx64.efi: %v; want none beside another's loader", err)
	}
	if _, err := l.Install(p, p, deployment.Loader{Files: []deployment.LoaderFile{fileOf(grub.File{Path: "EFI/BOOT/BOOTX64.EFI", Content: []byte("another's")})}}); err != nil {
		t.Errorf("Install where an earlier try has written that: %v", err)
	}
	if err := errors.Join(CheckConfig(p, record), p.CheckGRUBEnv()); err != nil {
		t.Error(err)
	}
	for _, text := range []string{"", "# Written by sysupdate-image"} {
		write(boot.GRUBConfig, text)
		write(boot.GRUBEnv, text)
		if CheckConfig(p, record) == nil || p.CheckGRUBEnv() == nil {
			t.Errorf("%q in the files that GRUB reads has no error", text)
		}
	}
	if _, changed, err := l.Update(p, p, record); err != nil || !slices.Equal(changed, []string{boot.GRUBConfig}) || CheckConfig(p, record) != nil {
		t.Errorf("Update = %s, %v; want the configuration to be as before", changed, err)
	}
}
