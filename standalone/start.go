package standalone

import (
	"context"
	"fmt"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/console"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/inits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// start hands over to the system in the root that was prepared. It returns only if it
// cannot.
func (p *program) start(ctx context.Context) error {
	init, err := inits.Find(sysrootDir, p.cmdline)
	if err != nil {
		return err
	}
	if err := checkMountPoints(sysrootDir); err != nil {
		return err
	}
	if p.modprobe != "" {
		if err := os.WriteFile(modprobeFile, []byte(p.modprobe), 0); err != nil {
			p.log.warn("%v", err)
		}
	}
	p.consoles = console.Open() // they have no names while /dev moves
	if err := p.switchRoot(ctx, sysrootDir); err != nil {
		return err
	}
	p.log.info("starting %s", init)
	return sys.Exec(init, append([]string{init}, p.args...), os.Environ())
}

// newRootDir is where the new root is while the physical root is unmounted from beneath
// it: the kernel does not put a mount beneath one that is on the root of all.
const newRootDir = "/newroot"

// uncover moves the new root away from dir, and unmounts what it has covered there.
// Otherwise that would stay mounted for ever, where nobody sees it.
func uncover(dir, newRoot string) error {
	if err := os.MkdirAll(newRoot, 0o755); err != nil {
		return err
	}
	if err := moveMount(dir, newRoot); err != nil {
		return err
	}
	old, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer old.Close()
	st, err := sys.Statx(old, "")
	if err != nil || !st.MountRoot {
		return err
	}
	return sys.Unmount(dir)
}

// switchRoot makes dir the root, with the file systems of the kernel's, and frees the
// memory of the initramfs.
func (p *program) switchRoot(ctx context.Context, dir string) error {
	initramfs, err := p.openInitramfs()
	if err != nil {
		return err
	}
	if initramfs != nil {
		defer initramfs.Close()
	}
	if err := uncover(dir, newRootDir); err != nil {
		return fmt.Errorf("cannot unmount what the new root covers: %w", err)
	}
	if err := handOver(newRootDir); err != nil {
		return err
	}
	if err := sys.SwitchRoot(newRootDir); err != nil {
		return err
	}
	if initramfs == nil {
		return nil
	}
	if err := empty(ctx, initramfs); err != nil {
		p.log.warn("cannot free all memory of the initramfs: %v", err)
	}
	return nil
}
