package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// fsckVFAT is where the lab puts the host's.
const fsckVFAT = "/fsck/fsck.vfat"

// fsck does what systemd-fsck@.service does before a boot partition is mounted, if
// it was not unmounted.
func fsck(device string) error {
	out, err := exec.Command(fsckVFAT, "-a", device).CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil // there were errors, and they are corrected
	}
	if err != nil {
		return fmt.Errorf("fsck.vfat -a: %w: %s", err, out)
	}
	return nil
}

// scratch is where nobody lists more than names: what is being made there when the
// power fails may be broken.
const scratch = "sysupdate-image/.new"

// listESP checks the boot partition as the next boot does, and lists all that a
// program may list there: a directory that is broken makes the kernel set the file
// system read-only, and the next update fails.
func (c *checker) listESP() error {
	if err := fsck(c.esp.device); err != nil {
		return err
	}
	return c.with(c.esp.device, espDir, "vfat", "", func() error {
		return filepath.WalkDir(espDir, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if name == filepath.Join(espDir, scratch) {
				if _, err := os.ReadDir(name); err != nil {
					return err
				}
				return fs.SkipDir
			}
			_, err = d.Info()
			return err
		})
	})
}
