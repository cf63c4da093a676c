package record

import (
	"archive/tar"
	"fmt"
	"math/rand/v2"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
)

// writeImages makes an OCI layout with small images of an operating system, each
// a newer version of the one before: tags v1, v2 and so on.
func writeImages(dir string, seed uint64, count int) error {
	r := rand.New(rand.NewPCG(seed, 2))
	base, err := baseLayer(r)
	if err != nil {
		return err
	}
	for n := 1; n <= count; n++ {
		own, err := versionLayer(r, n)
		if err != nil {
			return err
		}
		image := ocitest.Image{Layers: [][]byte{base, own}, Version: fmt.Sprint(n)}
		if err := ocitest.WriteLayout(dir, fmt.Sprintf("v%d", n), image); err != nil {
			return err
		}
	}
	return nil
}

// A tree is a layer that is being made.
type tree struct {
	headers []tar.Header
	content map[string]string
}

func (t *tree) dir(names ...string) {
	for _, name := range names {
		t.headers = append(t.headers, tar.Header{Name: name + "/", Typeflag: tar.TypeDir, Mode: 0o755})
	}
}

func (t *tree) file(name, content string, mode int64) {
	t.headers = append(t.headers, tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: mode})
	t.content[name] = content
}

func noise(r *rand.Rand, size int) string {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// baseLayer is what all versions share.
func baseLayer(r *rand.Rand) ([]byte, error) {
	t := tree{content: map[string]string{}}
	t.dir("boot", "dev", "etc", "proc", "run", "sys", "sysroot", "tmp", "usr", "usr/bin", "usr/lib", "usr/lib/modules",
		"usr/lib/sysupdate-image", "usr/lib/systemd", "usr/lib/systemd/boot", "usr/lib/systemd/boot/efi", "usr/share", "var", "var/lib")
	t.file("usr/lib/sysupdate-image/prepare-root", "stands for the program\n", 0o755)
	t.file("usr/lib/systemd/boot/efi/systemd-bootx64.efi", "MZ"+noise(r, 30_000), 0o755)
	t.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644)
	t.file("etc/default.conf", "default\n", 0o644)
	t.file("etc/removed.conf", "to be removed\n", 0o644)
	t.file("etc/edited.conf", "to be edited\n", 0o644)
	t.file("var/lib/seed", "from the image\n", 0o644)
	for i := range 12 {
		t.file(fmt.Sprintf("usr/share/small%d", i), noise(r, 20+i), 0o644) // within the image
	}
	for i := range 4 {
		t.file(fmt.Sprintf("usr/bin/tool%d", i), noise(r, 900+3000*i), 0o755) // an object each
	}
	t.headers = append(t.headers,
		tar.Header{Name: "usr/bin/link", Typeflag: tar.TypeLink, Linkname: "usr/bin/tool1"},
		tar.Header{Name: "usr/bin/symlink", Typeflag: tar.TypeSymlink, Linkname: "tool2", Mode: 0o777})
	t.headers[len(t.headers)-3].PAXRecords = map[string]string{"SCHILY.xattr.user.note": "of the image"}
	return ocitest.Tar(t.headers, t.content)
}

// versionLayer is what the n-th version has of its own.
func versionLayer(r *rand.Rand, n int) ([]byte, error) {
	t := tree{content: map[string]string{}}
	kernel := fmt.Sprintf("usr/lib/modules/6.12.%d", n)
	t.dir(kernel)
	t.file("usr/lib/os-release", fmt.Sprintf("ID=test\nNAME=Test\nIMAGE_VERSION=%d\n", n), 0o644)
	t.file(kernel+"/vmlinuz", noise(r, 20_000), 0o644)
	initramfs := 12_000 // small, since all is read after each cut
	if n == 2 {
		initramfs = 140_000 // more than the repository keeps in memory
	}
	t.file(kernel+"/initramfs.img", noise(r, initramfs), 0o644)
	t.file("etc/default.conf", fmt.Sprintf("default of version %d\n", n), 0o644)
	t.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"+fmt.Sprintf("daemon%d:x:%d:%d::/:/bin/false\n", n, 100+n, 100+n), 0o644)
	t.file(fmt.Sprintf("etc/new-%d.conf", n), "new\n", 0o644)
	for i := range 2 {
		t.file(fmt.Sprintf("usr/bin/tool%d", i), noise(r, 1000+5000*i), 0o755)
	}
	return ocitest.Tar(t.headers, t.content)
}

// references returns the references of images as the guests see them.
func references(count int) (refs []string) {
	for n := 1; n <= count; n++ {
		refs = append(refs, fmt.Sprintf("oci:/run/images/os:v%d", n))
	}
	return refs
}
