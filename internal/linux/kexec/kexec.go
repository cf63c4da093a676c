// Package kexec has the running kernel start another one, without firmware and boot loader.
// It hides how the parts of that are handed over, and what keeps the kernel from it.
package kexec

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// A Kernel is what is started.
type Kernel struct {
	Linux   io.Reader
	Initrds []io.Reader // one after the other
	Cmdline string
}

// Load makes k what a reboot by kexec starts, in place of what was loaded before. running is
// the root of the running system, by which the error tells what is in the way.
func Load(running fs.FS, k Kernel) error {
	linux, err := inMemory("kernel", k.Linux)
	if err != nil {
		return err
	}
	defer linux.Close()
	initrd, err := inMemory("initramfs", io.MultiReader(k.Initrds...))
	if err != nil {
		return err
	}
	defer initrd.Close()
	if err := sys.LoadKernel(linux, initrd, k.Cmdline); err != nil {
		return explain(err, running)
	}
	return nil
}

// Unload forgets what was loaded. The next reboot is one by the firmware.
func Unload() error { return sys.UnloadKexec() }

// inMemory returns a file with what r has: what is loaded need not be a file, such as
// a section of a unified kernel image.
func inMemory(name string, r io.Reader) (*os.File, error) {
	f, err := sys.MemFile(name)
	if err != nil {
		return nil, err
	}
	if _, err = io.Copy(f, r); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot read %s: %w", name, err), f.Close())
	}
	return f, nil
}

// explain says what an error of the kernel means.
func explain(err error, running fs.FS) error {
	why := ""
	mode := lockdown(running)
	switch {
	case mode != "" && isAny(err, sys.ErrNotPermitted, sys.ErrNoKey, sys.ErrRejected, sys.ErrNotSigned):
		why = "the running kernel is locked down (" + mode + ") and does not trust the signature of the new one"
	case isAny(err, sys.ErrNoKey, sys.ErrRejected, sys.ErrNotSigned):
		why = "the running kernel does not trust the signature of the new one"
	case errors.Is(err, sys.ErrNotPermitted):
		why = Disabled(running)
	case errors.Is(err, sys.ErrNoSyscall):
		why = "the running kernel lacks CONFIG_KEXEC_FILE"
	case errors.Is(err, sys.ErrNotExecute):
		why = "the running kernel cannot start a kernel of this kind"
	}
	if why == "" {
		return err
	}
	return fmt.Errorf("%s (%w)", why, err)
}

func isAny(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// Disabled says what keeps the running system from loading any kernel, as far as can be told
// without trying; "" for nothing.
func Disabled(running fs.FS) string {
	if readText(running, "proc/sys/kernel/kexec_load_disabled") == "1" {
		return "kexec is disabled until the next boot (kernel.kexec_load_disabled)"
	}
	if _, err := fs.Stat(running, "sys/kernel/kexec_loaded"); errors.Is(err, fs.ErrNotExist) {
		return "the running kernel has no kexec"
	}
	return ""
}

// lockdown returns how the kernel is locked down, "" if it is not. The file marks one word
// of several by brackets.
func lockdown(running fs.FS) string {
	_, rest, _ := strings.Cut(readText(running, "sys/kernel/security/lockdown"), "[")
	mode, _, _ := strings.Cut(rest, "]")
	if mode == "none" {
		return ""
	}
	return mode
}

func readText(running fs.FS, name string) string {
	text, err := bounded.ReadFile(running, name, limits.Kernel)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
