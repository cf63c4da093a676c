package generators

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bug"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/format/unitfile"
)

// Run does what the program does: it reads what is known below root and writes
// the units into the directory that systemd names first, and early ones into the
// second. See systemd.generator(7): there are one or three of them, and units that
// neither override the administrator's nor yield to the vendor's go into the first. warn is
// told what is wrong, but costs no units.
func Run(root fs.FS, dirs []string, warn func(error)) error {
	return bug.Catch(func() error { return run(root, dirs, warn) })
}

func run(root fs.FS, dirs []string, warn func(error)) error {
	if len(dirs) != 1 && len(dirs) != 3 {
		return fmt.Errorf("want one or three directories, not %d", len(dirs))
	}
	in, err := readInput(root)
	if err != nil {
		return err
	}
	in.Warn = warn
	units, err := Units(in)
	early := dirs[min(1, len(dirs)-1)]
	isEarly := func(u unitfile.Unit) bool { return u.Early }
	return errors.Join(err,
		writeAll(early, slices.DeleteFunc(slices.Clone(units), func(u unitfile.Unit) bool { return !isEarly(u) })),
		writeAll(dirs[0], slices.DeleteFunc(units, isEarly)))
}

// writeAll writes units into a directory.
func writeAll(dir string, units []unitfile.Unit) error {
	out, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer out.Close()
	for _, u := range units {
		err = errors.Join(err, write(out, u))
	}
	return err
}

func readInput(root fs.FS) (Input, error) {
	in := Input{Root: root}
	var err error
	if in.InInitrd, err = in.exists("etc/initrd-release"); err != nil {
		return Input{}, fmt.Errorf("cannot tell whether this is an initramfs: %w", err)
	}
	cmdline, err := bounded.ReadFile(root, "proc/cmdline", limits.Kernel)
	if err != nil {
		return Input{}, fmt.Errorf("cannot read the kernel command line: %w", err)
	}
	// Where systemd reads it from the environment, so do its generators.
	if s, ok := os.LookupEnv("SYSTEMD_PROC_CMDLINE"); ok {
		cmdline = []byte(s)
	}
	in.Cmdline = kcmdline.Parse(string(cmdline))
	mounts, err := bounded.ReadFile(root, "proc/self/mountinfo", limits.Kernel)
	if err != nil {
		return Input{}, fmt.Errorf("cannot read the mount table: %w", err)
	}
	if in.Mounts, err = mountplan.ParseMountinfo(string(mounts)); err != nil {
		return Input{}, err
	}
	return in, nil
}

// write writes a unit file and its links below out. Nobody reads it before the
// generator has ended, and it is in memory only: it is written in place.
func write(out *os.Root, u unitfile.Unit) error {
	if len(u.Options) > 0 {
		if err := writeFile(out, u); err != nil {
			return err
		}
	}
	return enable(out, u)
}

// writeFile writes a unit file. One that is there already stays: another generator
// has made it of what the administrator has said.
func writeFile(out *os.Root, u unitfile.Unit) error {
	data, err := u.Encode()
	if err != nil {
		return err
	}
	if err = out.MkdirAll(path.Dir(u.Name), 0o755); err == nil {
		err = create(out, u.Name, data)
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("unit %s stays as another generator has made it", u.Name)
	case err != nil:
		return fmt.Errorf("cannot write unit %s: %w", u.Name, err)
	}
	return nil
}

// create writes a file that does not exist.
func create(out *os.Root, name string, data []byte) error {
	f, err := out.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// enable makes the links of a unit.
func enable(out *os.Root, u unitfile.Unit) error {
	for _, link := range u.Links {
		to := u.Target
		if to == "" {
			to = strings.Repeat("../", strings.Count(link, "/")) + u.Name
		}
		if err := out.MkdirAll(path.Dir(link), 0o755); err != nil {
			return fmt.Errorf("cannot enable unit %s: %w", u.Name, err)
		}
		if err := out.Symlink(to, link); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("cannot enable unit %s: %w", u.Name, err)
		}
	}
	return nil
}
