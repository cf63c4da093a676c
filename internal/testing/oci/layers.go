package ocitest

import (
	"archive/tar"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
)

// SystemLayer returns the layer of a small system that boots, of a version, with more files. Its
// /etc is an overlay.
func SystemLayer(name, version string, files map[string]string) ([]byte, error) {
	content := map[string]string{
		"usr/lib/os-release":                   "PRETTY_NAME=\"" + name + "\"\nIMAGE_VERSION=" + version + "\n",
		"usr/lib/modules/6.12/vmlinuz":         "kernel " + version,
		"usr/lib/modules/6.12/initramfs.img":   "initramfs " + version,
		"usr/lib/sysupdate-image/prepare-root": "The overlay is what this program mounts.",
	}
	maps.Copy(content, files)
	dirs := map[string]bool{"boot/": true, "etc/": true, "sysroot/": true, "var/": true}
	for name := range content {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			dirs[dir+"/"] = true
		}
	}
	names := slices.AppendSeq(slices.Collect(maps.Keys(dirs)), maps.Keys(content))
	slices.Sort(names)
	var headers []tar.Header
	for _, name := range names {
		h := tar.Header{Name: name, Mode: 0o644}
		if strings.HasSuffix(name, "/") {
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		headers = append(headers, h)
	}
	return Tar(headers, content)
}

// NoiseLayer returns a layer with a file that cannot be compressed, always the same for a name.
func NoiseLayer(name string, size int) ([]byte, error) {
	var seed [32]byte
	copy(seed[:], name)
	data := make([]byte, size)
	_, _ = rand.NewChaCha8(seed).Read(data)
	return Tar([]tar.Header{{Name: name, Mode: 0o644}}, map[string]string{name: string(data)})
}
