package lint

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/uki"
	"github.com/sysupdate-image/sysupdate-image/internal/image/initramfs/assemble"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
)

func checkKernel(_ context.Context, t *target) error {
	if t.noKernel != nil {
		f := Finding{Path: "/" + system.ModulesDir, What: t.noKernel.Error()}
		if t.kernels() < 2 {
			f.Mend = "Have the kernel and its initramfs as the regular files vmlinuz and initramfs.img in one directory below /" + system.ModulesDir + "."
		}
		t.add(f)
	}
	return nil
}

// kernels returns how many kernels there are, unified kernel images among them.
func (t *target) kernels() (n int) {
	for _, dir := range []string{system.ModulesDir, "boot/EFI/Linux"} {
		t.below(dir, func(name string, _ *tree.Node) {
			if base := path.Base(name); base == "vmlinuz" || strings.HasSuffix(strings.ToLower(base), ".efi") {
				n++
			}
		})
	}
	return n
}

// checkModules finds the modules of other kernels than the one that there is.
func checkModules(_ context.Context, t *target) error {
	dir := t.Root.Lookup(system.ModulesDir)
	if dir == nil || t.noKernel != nil || t.kernel.UKI != nil {
		return nil
	}
	for _, e := range dir.Entries() {
		if e.Node.IsDir() && e.Name != t.kernel.Version {
			t.find("/"+path.Join(system.ModulesDir, e.Name), "modules of a kernel that is not in the image")
		}
	}
	return nil
}

// kernelVersion returns the version of the one kernel, "" if there is none that says it.
func (t *target) kernelVersion() (string, error) {
	if t.noKernel != nil {
		return "", nil
	}
	if t.kernel.UKI == nil {
		return t.kernel.Version, nil
	}
	f, err := t.openAt(t.kernel.UKI.Node)
	if err != nil {
		return "", err
	}
	defer f.Close()
	image, err := uki.Read(f)
	if err != nil {
		return "", nil // checkInitramfs tells of it
	}
	return image.Uname, nil
}

func checkKernelVerity(_ context.Context, t *target) error {
	version, err := t.kernelVersion()
	if err == nil && hasVerityRegression(version) {
		t.find(t.kernelPath(), fmt.Sprintf("Linux %s cannot read files that fs-verity protects through overlayfs", version))
	}
	return err
}

// lastBroken is the last version of Linux 7.0 that has f77f281b6118 ("fsverity: use a
// hashtable to find the fsverity_info") without 0c8c88b8eb82, which has overlayfs load what
// that looks for. Reports of images that did not boot name 7.0.1 to 7.0.6, and 7.0.9 as
// good; see https://github.com/bootc-dev/bootc/issues/2174.
const lastBroken = 8

// hasVerityRegression reports whether a kernel release is one of those, unless its
// distributor has the correction. Earlier ones do not have the mistake.
func hasVerityRegression(release string) bool {
	rest, ok := strings.CutPrefix(release, "7.0")
	if !ok || rest != "" && rest[0] != '.' && rest[0] != '-' && rest[0] != '+' {
		return false
	}
	if rest == "" || rest[0] != '.' {
		return true // 7.0 itself, or a candidate for it
	}
	digits := rest[1:]
	if end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		digits = digits[:end]
	}
	patch, err := strconv.Atoi(digits)
	return err == nil && patch <= lastBroken
}

// kernelPath returns the path of the one kernel.
func (t *target) kernelPath() string {
	if t.kernel.UKI != nil {
		return "/" + t.kernel.UKI.Path
	}
	return "/" + path.Join(system.ModulesDir, t.kernel.Version, "vmlinuz")
}

func checkKernelConfig(_ context.Context, t *target) error {
	if t.noKernel != nil || t.kernel.UKI != nil {
		return nil
	}
	for _, name := range []string{path.Join(system.ModulesDir, t.kernel.Version, "config"), "boot/config-" + t.kernel.Version} {
		text, found, err := t.files.text(name, limits.Text)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		for _, option := range assemble.Missing(text) {
			t.find("/"+name, "the kernel was built without "+option)
		}
		return nil
	}
	return nil
}
