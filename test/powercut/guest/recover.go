package main

import (
	"fmt"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/test/powercut/facts"
	"github.com/sysupdate-image/sysupdate-image/test/powercut/replay"
)

// recover takes on from a power cut: the deployment that the loader would choose
// is booted, finalize runs as at a shutdown, and what boots next then is updated
// to one image after the other, with a boot in between.
func (c *checker) recover(r facts.Recovery, cut replay.Cut) error {
	for _, p := range cut.Pieces {
		c.esp.arrive(c.entries[p.Entry], p)
		c.root.arrive(c.entries[p.Entry], p)
	}
	result := &facts.RecoverResult{Cut: r.Cut}
	if err := c.takeOn(r.Images); err != nil {
		result.Error = err.Error()
	}
	c.out.say(facts.Result{Took: result})
	if err := unmountAll(sysroot); err != nil {
		return err
	}
	if err := c.esp.restore(); err != nil {
		return err
	}
	return c.root.restore()
}

func (c *checker) takeOn(images []string) error {
	m := machine{esp: c.esp.device, root: c.root.device, fstype: c.fstype}
	ids, err := c.bootable(m)
	if err != nil || len(ids) == 0 {
		return nil // nothing was installed yet; where it was, check complains
	}
	if err := fsck(m.esp); err != nil {
		return err
	}
	// The first shutdown finalizes what was staged before the cut.
	for _, image := range append([]string{""}, images...) {
		if err := c.boot(m, ids[0]); err != nil {
			return err
		}
		if image != "" {
			if err := inside(sysroot, "/run/tools/sysupdate-image", "apply", image); err != nil {
				return err
			}
		}
		if err := inside(sysroot, "/run/tools/finalize"); err != nil {
			return err
		}
		if err := unmountAll(sysroot); err != nil {
			return err
		}
		before := ids
		if ids, err = c.bootable(m); err != nil {
			return err
		}
		if len(ids) == 0 {
			return fmt.Errorf("nothing boots after %q; before it was %q", image, before)
		}
	}
	return c.boot(m, ids[0])
}

// bootable returns the deployments in the order of the loader, which changes
// nothing and repairs nothing.
func (c *checker) bootable(m machine) (ids []string, err error) {
	if err := os.MkdirAll(espDir, 0o755); err != nil {
		return nil, err
	}
	if err := unix.Mount(m.esp, espDir, "vfat", unix.MS_RDONLY, ""); err != nil {
		return nil, err
	}
	defer func() { err = firstError(err, unix.Unmount(espDir, 0)) }()
	p, err := boot.OpenDir(espDir)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	files, err := p.Entries()
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if f.Bootable() {
			ids = append(ids, string(f.Target.ID))
		}
	}
	return ids, nil
}

// boot boots a deployment, with the boot partition where who looks for one of a
// disk without partitions finds it, and reads all of its files.
func (c *checker) boot(m machine, id string) error {
	if err := m.boot(id); err != nil {
		return err
	}
	if err := unix.Mount(m.esp, path.Join(sysroot, "boot"), "vfat", 0, ""); err != nil {
		return fmt.Errorf("mount boot partition: %w", err)
	}
	for _, dir := range []string{"usr", "etc", "var"} {
		if _, nodes, err := digestTree(path.Join(sysroot, dir)); err != nil || !slices.Contains(keys(nodes), "") {
			return fmt.Errorf("read /%s of deployment %s: %w", dir, id, err)
		}
	}
	return nil
}

func keys(m map[string]string) (all []string) {
	for k := range m {
		all = append(all, k)
	}
	return all
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
