package boot

import (
	"bytes"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
)

// A loader is replaced by one that is whole, one name after the other: whichever
// the firmware takes boots at each moment.
func TestInstallLoaderSteps(t *testing.T) {
	image := func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("MZ new")), nil }
	const own, fallback = "EFI/systemd/systemd-bootaa64.efi", "EFI/BOOT/BOOTAA64.EFI"
	p, trace := traced(t, t.TempDir())
	if err := p.installLoader(image, "arm64", true); err != nil {
		t.Fatal(err)
	}
	const want = `mkdir loader
mkdir loader/entries
mkdir sysupdate-image
mkdir sysupdate-image/.new
syncfs
sync .
mkdir sysupdate-image/.new/BOOT-EFI
mkdir sysupdate-image/.new/BOOT-EFI/systemd
mkdir sysupdate-image/.new/BOOT-EFI/BOOT
syncfs
sync .
rename sysupdate-image/.new/BOOT-EFI EFI
syncfs
sync .
create OWN.tmp
write OWN.tmp
sync OWN.tmp
rename OWN.tmp OWN
sync OWN
sync EFI/systemd
create FALLBACK.tmp
write FALLBACK.tmp
sync FALLBACK.tmp
rename FALLBACK.tmp FALLBACK
sync FALLBACK
sync EFI/BOOT
create loader/loader.conf.tmp
write loader/loader.conf.tmp
sync loader/loader.conf.tmp
rename loader/loader.conf.tmp loader/loader.conf
sync loader/loader.conf
sync loader
`
	if got := strings.NewReplacer(own, "OWN", fallback, "FALLBACK").Replace(trace.String()); got != want {
		t.Errorf("steps:\n%s\nwant:\n%s", got, want)
	}
	for n := 0; ; n++ {
		dir := t.TempDir()
		put(t, dir, map[string]string{own: "MZ old", fallback: "MZ old"})
		err := open(t, dir, func(fsys durable.FS) durable.FS { return durabletest.CrashAfter(fsys, n) }).installLoader(image, "arm64", true)
		p := open(t, dir, nil)
		for _, name := range []string{own, fallback} {
			if got, _ := p.Root().ReadFile(name); string(got) != "MZ old" && string(got) != "MZ new" {
				t.Errorf("after %d steps %s is %q", n, name, got)
			}
		}
		if err := p.installLoader(image, "arm64", true); err != nil {
			t.Errorf("after %d steps: again: %v", n, err)
		}
		if got, want := tree(t, dir), []string{fallback, own, "loader/loader.conf"}; !slices.Equal(got, want) {
			t.Errorf("after %d steps and again there is %q; want %q", n, got, want)
		}
		if err == nil {
			return
		}
	}
}

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
	if err := p.installLoader(openImage, "arm64", true); err != nil {
		t.Fatal(err)
	}
	want := []string{"EFI/BOOT/BOOTAA64.EFI", "EFI/systemd/systemd-bootaa64.efi", "loader/loader.conf"}
	if got := tree(t, dir); !slices.Equal(got, want) {
		t.Errorf("files are %q; want %q", got, want)
	}
	put(t, dir, map[string]string{"loader/loader.conf": "timeout 9\n"})
	image[LoaderDir+"/systemd-bootaa64.efi.signed"] = "MZ signed"
	if err := p.installLoader(openImage, "arm64", true); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"loader/loader.conf": "timeout 9\n", "EFI/BOOT/BOOTAA64.EFI": "MZ signed"} {
		if got, _ := p.Root().ReadFile(name); string(got) != want {
			t.Errorf("%s is %q; want %q", name, got, want)
		}
	}
	if err := p.installLoader(openImage, "amd64", true); err == nil || !strings.Contains(err.Error(), "package systemd-boot") {
		t.Errorf("installLoader from an image without one: %v", err)
	}
	image[LoaderDir+"/systemd-bootaa64.efi.signed"] = "ELF"
	if err := p.installLoader(openImage, "arm64", true); err == nil || !strings.Contains(err.Error(), "not an EFI program") {
		t.Errorf("installLoader of no EFI program: %v", err)
	}
	if err := p.installLoader(openImage, "mips", true); err == nil {
		t.Error("installLoader for mips: no error")
	}
}

func TestLoaderConf(t *testing.T) {
	for loader, want := range map[string]string{
		"MZ": "timeout 3\n",
		"MZ\x00#### LoaderInfo: systemd-boot 257.13-1~deb13u1 ####\x00": "timeout 3\n",
		"MZ\x00#### LoaderInfo: systemd-boot 258~rc2 ####\x00":          "timeout 3\nreboot-on-error auto\n",
		"MZ\x00#### LoaderInfo: systemd-boot 262.1-1 ####\x00":          "timeout 3\nreboot-on-error auto\n",
		"MZ\x00#### LoaderInfo: ":                                       "timeout 3\n",
	} {
		if got := string(loaderConf([]byte(loader))); got != want {
			t.Errorf("for %q: %q; want %q", loader, got, want)
		}
	}
}
