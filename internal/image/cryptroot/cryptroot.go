// Package cryptroot tells whether the initramfs of an image opens a root that is encrypted for a
// TPM. It hides which programs, libraries and modules of the kernel that takes, and where
// initramfs builders put them.
package cryptroot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/image/initramfs"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
)

// ErrSealed says that the kernel arguments of an image are fixed.
var ErrSealed = errors.New("the image is sealed: its kernel command line cannot name the encrypted root")

// ErrNoSystemd says that an initramfs has no systemd, as a standalone one.
var ErrNoSystemd = errors.New("the image's initramfs has no systemd, which would open the root")

// A LackError says what an initramfs lacks.
type LackError struct{ Things []string }

func (e *LackError) Error() string {
	return "the image's initramfs cannot open the root: it lacks " + strings.Join(e.Things, ", ")
}

// An UnknownError warns of an initramfs that cannot be looked into.
type UnknownError struct{ Err error }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("cannot tell whether the image's initramfs opens an encrypted root: %v", e.Err)
}

func (e *UnknownError) Unwrap() error { return e.Err }

// Contents are the files that Check opens, in the terms of path.Match.
var Contents = []string{system.ModulesDir + "/*/initramfs.img", system.ModulesDir + "/*/modules.builtin"}

const systemd = "systemd"

// needs are what opens the root, by what of dracut has it. One of the patterns has to match.
var needs = []struct {
	name, module string
	patterns     []string
}{
	{"systemd-cryptsetup", "systemd-cryptsetup or crypt", []string{"systemd-cryptsetup"}},
	{"systemd-cryptsetup-generator", "systemd-cryptsetup or crypt", []string{"systemd-cryptsetup-generator"}},
	{"libtss2-esys", "tpm2-tss", []string{"libtss2-esys.so*"}},
	{"libtss2-mu", "tpm2-tss", []string{"libtss2-mu.so*"}},
	{"libtss2-rc", "tpm2-tss", []string{"libtss2-rc.so*"}},
	{"libtss2-tcti-device", "tpm2-tss", []string{"libtss2-tcti-device.so*"}},
}

// drivers are the modules of the kernel that have to be in the initramfs, or in the kernel itself.
var drivers = []struct {
	name, module string
	patterns     []string
}{
	{"the kernel module dm-crypt", "crypt", []string{"dm-crypt.ko*", "dm_crypt.ko*"}},
	{"a kernel module for a TPM", "tpm2-tss", []string{"tpm_crb.ko*", "tpm_tis.ko*", "tpm_tis_spi.ko*", "tpm_ftpm_tee.ko*"}},
}

// Check returns an error that says why the initramfs of a kernel in an image does not open an
// encrypted root, or an UnknownError. Open opens files of the image.
func Check(ctx context.Context, root *tree.Node, kernel system.Kernel, open func(*tree.Node) (io.ReadCloser, error)) error {
	if kernel.UKI != nil {
		return ErrSealed
	}
	patterns := []string{systemd}
	for _, n := range slices.Concat(needs, drivers) {
		patterns = append(patterns, n.patterns...)
	}
	f, err := open(kernel.Initrd)
	if err != nil {
		return err
	}
	defer f.Close()
	has, err := initramfs.Has(ctx, f, patterns...)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return &UnknownError{err}
	}
	if !has[systemd] {
		return ErrNoSystemd
	}
	builtin, err := builtIn(root, kernel, open)
	if err != nil {
		return err
	}
	return lacking(has, builtin)
}

// lacking says what is neither in an initramfs nor built into its kernel.
func lacking(has map[string]bool, builtin []string) error {
	var things []string
	for i, n := range slices.Concat(needs, drivers) {
		found := false
		for _, p := range n.patterns {
			found = found || has[p] || i >= len(needs) && matches(builtin, p)
		}
		if !found {
			things = append(things, fmt.Sprintf("%s (dracut module %s)", n.name, n.module))
		}
	}
	if len(things) == 0 {
		return nil
	}
	return &LackError{things}
}

func matches(names []string, pattern string) bool {
	for _, name := range names {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return false
}

// builtIn returns the file names of modules that are built into a kernel.
func builtIn(root *tree.Node, kernel system.Kernel, open func(*tree.Node) (io.ReadCloser, error)) ([]string, error) {
	n := root.Lookup(path.Join(system.ModulesDir, kernel.Version, "modules.builtin"))
	if n == nil || !n.IsRegular() {
		return nil, nil
	}
	f, err := open(n)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := bounded.ReadAll(f, limits.Text)
	var names []string
	for line := range strings.Lines(string(text)) {
		names = append(names, path.Base(strings.TrimSpace(line)))
	}
	return names, err
}
