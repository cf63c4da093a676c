package system

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
)

// A Kernel is the kernel of an image with its initramfs: two files, or one.
type Kernel struct {
	Version       string     // kver, the directory below /usr/lib/modules; "" if only the UKI says
	Linux, Initrd *tree.Node // nil if there is a UKI
	UKI           *UKI       // nil if there are two files
}

// ErrNoKernel says that an image cannot boot since it has no kernel.
var ErrNoKernel = errors.New("no kernel: want /usr/lib/modules/<version>/vmlinuz, or a unified kernel image /boot/EFI/Linux/<name>.efi")

// ModulesDir has a directory for each kernel of an image.
const ModulesDir = "usr/lib/modules"

// FindKernel returns the one kernel of an image and its initramfs. tree is the
// image as its layers give it. A unified kernel image in /boot, where an image
// has what is sealed, comes before a kernel in /usr/lib/modules, and that before
// a unified kernel image there, as for bootc. An image with none, with several,
// or without an initramfs is an error that says so.
func FindKernel(tree *tree.Node) (Kernel, error) {
	if found := findUKIs(tree, ukiDir); len(found) > 0 {
		return oneKernel(found)
	}
	modules := tree.Lookup(ModulesDir)
	if modules == nil {
		return Kernel{}, ErrNoKernel
	}
	var found, unified []Kernel
	for _, e := range modules.Entries() {
		if linux := e.Node.Entry("vmlinuz"); linux != nil {
			found = append(found, Kernel{Version: e.Name, Linux: linux, Initrd: e.Node.Entry("initramfs.img")})
		}
		unified = append(unified, findUKIs(tree, path.Join(ModulesDir, e.Name))...)
	}
	if len(found) == 0 {
		return oneKernel(unified)
	}
	k, err := oneKernel(found)
	if err != nil {
		return Kernel{}, err
	}
	dir := path.Join(ModulesDir, k.Version)
	if err := checkFile(path.Join(dir, "vmlinuz"), k.Linux); err != nil {
		return Kernel{}, err
	}
	if k.Initrd == nil {
		return Kernel{}, noInitramfs(modules.Entry(k.Version), dir)
	}
	return k, checkFile(path.Join(dir, "initramfs.img"), k.Initrd)
}

// CheckTree returns the kernel of an image that can boot, as far as its tree tells. The error
// says what keeps it from that.
func CheckTree(tree *tree.Node) (Kernel, error) {
	err := checkBootable(tree)
	var k Kernel
	if err == nil {
		k, err = FindKernel(tree)
	}
	if err != nil {
		return Kernel{}, fmt.Errorf("image cannot boot: %w", err)
	}
	return k, nil
}

// Size returns how many bytes the kernel takes on a boot partition.
func (k Kernel) Size() (bytes uint64) {
	nodes := []*tree.Node{k.Linux, k.Initrd}
	if k.UKI != nil {
		nodes = []*tree.Node{k.UKI.Node}
		for _, extra := range k.UKI.Extras {
			nodes = append(nodes, extra.Node)
		}
	}
	for _, n := range nodes {
		if n != nil {
			bytes += n.Size
		}
	}
	return bytes
}

// checkFile returns an error unless a kernel or an initramfs can be taken from n.
func checkFile(path string, n *tree.Node) error {
	switch {
	case n.IsSymlink():
		return fmt.Errorf("/%s is a symbolic link to %q: want a regular file", path, n.Target)
	case !n.IsRegular():
		return fmt.Errorf("/%s is not a regular file", path)
	case n.Size == 0:
		return fmt.Errorf("/%s is empty", path)
	}
	return nil
}

// noInitramfs says that a kernel has none, and what other tools would have called it.
func noInitramfs(dir *tree.Node, path string) error {
	for _, name := range []string{"initramfs", "initrd.img", "initrd"} {
		if dir.Entry(name) != nil {
			return fmt.Errorf("no initramfs: want /%s/initramfs.img, not %s", path, name)
		}
	}
	return fmt.Errorf("no initramfs: want /%s/initramfs.img", path)
}

// oneKernel returns the one that was found.
func oneKernel(found []Kernel) (Kernel, error) {
	switch len(found) {
	case 0:
		return Kernel{}, ErrNoKernel
	case 1:
		return found[0], nil
	}
	return Kernel{}, fmt.Errorf("%d kernels, %s and %s: want one", len(found), found[0], found[1])
}

// String returns what a message calls the kernel.
func (k Kernel) String() string {
	if k.UKI != nil {
		return "/" + k.UKI.Path
	}
	return k.Version
}

// checkBootable says what keeps an image from being booted, apart from its
// kernel: the directories that prepare-root and the canonical form need.
func checkBootable(tree *tree.Node) error {
	for _, dir := range []string{"usr", "etc", "var", "sysroot", "boot"} {
		if err := checkDirectory(tree, dir); err != nil {
			return err
		}
	}
	return nil
}

func checkDirectory(tree *tree.Node, dir string) error {
	switch n := tree.Entry(dir); {
	case n == nil:
		return fmt.Errorf("no /%s: a bootable image needs this directory, even if it is empty", dir)
	case !n.IsDir():
		return fmt.Errorf("/%s is not a directory", dir)
	}
	return nil
}

// apiDirs are where an initramfs moves what it has mounted when it switches to the root,
// which is read-only.
var apiDirs = []string{"dev", "proc", "run", "sys"}

// checkAPIDirs says what keeps an initramfs from switching to the image. One in an unknown
// format may do without: then it is an error only if some are there and others not.
func checkAPIDirs(tree *tree.Node, known bool) error {
	missing := 0
	for _, dir := range apiDirs {
		if tree.Entry(dir) == nil {
			missing++
		}
	}
	if missing == len(apiDirs) && !known {
		return nil
	}
	for _, dir := range apiDirs {
		if err := checkDirectory(tree, dir); err != nil {
			return err
		}
	}
	return nil
}

// ParseRelease returns the variables of an os-release(5) file, as they can be shown
// and be a line of a boot entry: nobody vouches for what an image says there.
// Lines that are not assignments are skipped.
func ParseRelease(text []byte) map[string]string {
	vars := make(map[string]string)
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		vars[name] = printable.Title(unquote(value))
	}
	return vars
}

// unquote takes off shell quotes as os-release(5) allows them.
func unquote(value string) string {
	if len(value) < 2 || value[0] != value[len(value)-1] || value[0] != '"' && value[0] != '\'' {
		return value
	}
	quote, inner := value[0], value[1:len(value)-1]
	if quote == '\'' {
		return inner
	}
	var out strings.Builder
	for i := 0; i < len(inner); i++ {
		if inner[i] == '\\' && i+1 < len(inner) && strings.IndexByte("\"$`\\", inner[i+1]) >= 0 {
			i++
		}
		out.WriteByte(inner[i])
	}
	return out.String()
}

// titles returns what a person calls the system: its name and its version.
// The version of the image, where it has one, tells two builds apart.
func titles(vars map[string]string) (name, version string) {
	name = firstOf(vars["PRETTY_NAME"], vars["NAME"], vars["ID"], "Linux")
	return name, firstOf(vars["IMAGE_VERSION"], vars["BUILD_ID"], vars["VERSION_ID"])
}

// firstOf returns the first of values that is not empty.
func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
