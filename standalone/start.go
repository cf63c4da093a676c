package standalone

import (
	"context"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/console"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// start hands over to the system in the root that was prepared. It returns only if it
// cannot.
func (p *program) start(ctx context.Context) error {
	init, err := findInit(sysrootDir, p.cmdline)
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
	if err := handOver(dir); err != nil {
		return err
	}
	if err := sys.SwitchRoot(dir); err != nil {
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
