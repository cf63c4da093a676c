package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// programs are what was built from source, bootc's checkout.
type programs struct{ source, bootc, initramfs string }

// setDefaults takes the programs that cargo has built in a checkout, where no others
// were named.
func (p *programs) setDefaults(source string) {
	p.source = source
	if p.bootc == "" {
		p.bootc = filepath.Join(source, "target/release/bootc")
	}
	if p.initramfs == "" {
		p.initramfs = filepath.Join(source, "target/release/bootc-initramfs-setup")
	}
}

// files says where bootc's own installation puts what an image needs of it.
func (p *programs) files() []file {
	return []file{
		{p.bootc, "usr/bin/bootc", 0o755},
		{p.initramfs, "usr/lib/bootc/initramfs-setup", 0o755},
		{p.source + "/crates/initramfs/dracut/module-setup.sh", "usr/lib/dracut/modules.d/51bootc/module-setup.sh", 0o755},
		{p.source + "/crates/cli/bootc-generator-stub", "usr/lib/systemd/system-generators/bootc-systemd-generator", 0o755},
		{p.source + "/crates/initramfs/*.service", unitDir, 0o644},
		{p.source + "/systemd/*.service", unitDir, 0o644},
		{p.source + "/systemd/*.target", unitDir, 0o644},
		{p.source + "/systemd/*.path", unitDir, 0o644},
	}
}

const unitDir = "usr/lib/systemd/system/"

// A file is one of bootc's, or several of a directory, and its place in an image.
type file struct {
	from, to string
	mode     os.FileMode
}

// install makes tree what bootc's installation makes.
func (p *programs) install(tree string) error {
	for _, f := range p.files() {
		names, err := filepath.Glob(f.from)
		if err != nil {
			return err
		}
		if len(names) == 0 {
			return fmt.Errorf("%s: there is no such file", f.from)
		}
		for _, name := range names {
			if err := f.copy(name, tree); err != nil {
				return err
			}
		}
	}
	for _, dir := range []string{"bound-images.d", "kargs.d", "install"} {
		if err := os.MkdirAll(filepath.Join(tree, "usr/lib/bootc", dir), 0o755); err != nil {
			return err
		}
	}
	return os.Symlink("../../../sysroot/ostree/bootc/storage", filepath.Join(tree, "usr/lib/bootc/storage"))
}

func (f file) copy(name, tree string) error {
	to := filepath.Join(tree, f.to)
	if f.to[len(f.to)-1] == '/' {
		to = filepath.Join(to, filepath.Base(name))
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(to, data, f.mode); err != nil {
		return err
	}
	return os.Chmod(to, f.mode) // whatever the umask
}
