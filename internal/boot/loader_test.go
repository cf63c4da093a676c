package boot

import (
	"bytes"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

func TestInstallLoader(t *testing.T) {
	dir := t.TempDir()
	p := open(t, dir, nil)
	image := map[string]string{LoaderDir + "/systemd-bootaa64.efi": "MZ loader"}
	openImage := func(name string) (io.ReadCloser, error) {
		data, ok := image[name]
		if !ok {
			return nil, fs.ErrNotExist
		}
		return io.NopCloser(bytes.NewReader([]byte(data))), nil
	}
	if err := p.installLoader(openImage, "arm64"); err != nil {
		t.Fatal(err)
	}
	want := []string{"EFI/BOOT/BOOTAA64.EFI", "EFI/systemd/systemd-bootaa64.efi", "loader/loader.conf"}
	if got := tree(t, dir); !slices.Equal(got, want) {
		t.Errorf("files are %q; want %q", got, want)
	}
	put(t, dir, map[string]string{"loader/loader.conf": "timeout 9\n"})
	image[LoaderDir+"/systemd-bootaa64.efi.signed"] = "MZ signed"
	if err := p.installLoader(openImage, "arm64"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"loader/loader.conf": "timeout 9\n", "EFI/BOOT/BOOTAA64.EFI": "MZ signed"} {
		if got, _ := p.Root().ReadFile(name); string(got) != want {
			t.Errorf("%s is %q; want %q", name, got, want)
		}
	}
	if err := p.installLoader(openImage, "amd64"); err == nil || !strings.Contains(err.Error(), "package systemd-boot") {
		t.Errorf("installLoader from an image without one: %v", err)
	}
	image[LoaderDir+"/systemd-bootaa64.efi.signed"] = "ELF"
	if err := p.installLoader(openImage, "arm64"); err == nil || !strings.Contains(err.Error(), "not an EFI program") {
		t.Errorf("installLoader of no EFI program: %v", err)
	}
	if err := p.installLoader(openImage, "mips"); err == nil {
		t.Error("installLoader for mips: no error")
	}
}
