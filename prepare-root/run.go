// Package prepareroot turns the physical root, which the initramfs has mounted, into the
// root of the image that the kernel command line names, with its /etc and /var. It hides
// how kernels of different versions mount all of this.
package prepareroot

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bug"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/image/rootconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/bootsteps"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

const usage = `prepare-root [OPTIONS]

Mounts the root of the image that the kernel command line names, over the
physical root. Runs in the initramfs, as sysupdate-image-prepare-root.service.

Options:
  --sysroot=DIR      where the physical root is mounted (default /sysroot)
  --target=DIR       where to mount the new root (default: over the physical root)
  --config=FILE      read this configuration alone, not /` + rootconfig.File + `
                     and /` + rootconfig.BootcFile + `
  --cmdline=TEXT     take this for the kernel command line
  --dry-run          print the mounts, as fstab(5), and make none
  --on-failure=WHAT  fail (default: tell what went wrong, exit 1) or auto (then
                     also do what sysupdate-image.on-failure= on the kernel
                     command line says: reboot, poweroff or emergency; without
                     it, restart while the boot loader counts this boot as a try)
  --deadline         mount nothing: wait for the time that the initramfs has, and
                     then, if this boot is on trial, act as after a failure
  --soft-reboot      for finalize, in a running system: mount at /` + deployment.NextRootDir + `
                     what a soft reboot was asked to continue with
  --help             print this text
`

// settings are the command line's.
type settings struct {
	sysroot, target, config, cmdline string
	dryRun, deadline, softReboot     bool
	onFailure                        string
	given                            *rootconfig.Config // in place of configuration files
}

// Run is the program, in a system with this root directory. It takes its arguments, without
// the program's name.
func Run(root fs.FS, args []string, stdout, stderr io.Writer) error {
	s, err := parseArgs(args)
	if errors.Is(err, flag.ErrHelp) {
		_, err = io.WriteString(stdout, usage)
		return err
	}
	if err != nil {
		return err
	}
	if s.softReboot {
		return bug.Catch(func() error { return s.prepareNextRoot(root, stdout, stderr) })
	}
	cmdline, err := s.kernelCmdline(root)
	if err != nil {
		return err
	}
	if s.deadline {
		s.awaitDeadline(root, cmdline, stderr)
		return nil
	}
	done := bootsteps.Begin("prepare the root")
	err = bug.Catch(func() error { return s.prepare(root, cmdline, stdout, stderr) })
	if err == nil && !s.dryRun && inInitramfs(root) {
		if err := done(); err != nil {
			fmt.Fprintln(stderr, "prepare-root: warning:", err)
		}
	}
	if err != nil && s.onFailure == "auto" && !s.dryRun && inInitramfs(root) {
		s.giveUp(err, cmdline, root, stderr)
	}
	return err
}

// inInitramfs reports whether systemd considers fsys to be an initramfs.
func inInitramfs(fsys fs.FS) bool {
	_, err := fs.Stat(fsys, "etc/initrd-release")
	return err == nil
}

func parseArgs(args []string) (settings, error) {
	var s settings
	f := flag.NewFlagSet("prepare-root", flag.ContinueOnError)
	f.SetOutput(io.Discard) // main prints the error, and Run the help
	f.StringVar(&s.sysroot, "sysroot", deployment.SysrootDir, "")
	f.StringVar(&s.target, "target", "", "")
	f.StringVar(&s.config, "config", "", "")
	f.StringVar(&s.cmdline, "cmdline", "", "")
	f.StringVar(&s.onFailure, "on-failure", "fail", "")
	f.BoolVar(&s.softReboot, "soft-reboot", false, "")
	f.BoolVar(&s.dryRun, "dry-run", false, "")
	f.BoolVar(&s.deadline, "deadline", false, "")
	if err := f.Parse(args); err != nil {
		return settings{}, err
	}
	switch {
	case f.NArg() > 0:
		return settings{}, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case s.onFailure != "fail" && s.onFailure != "auto":
		return settings{}, fmt.Errorf("--on-failure=%s: want fail or auto", s.onFailure)
	case !path.IsAbs(s.sysroot) || s.target != "" && !path.IsAbs(s.target):
		return settings{}, errors.New("--sysroot and --target want absolute paths")
	}
	s.sysroot, s.target = path.Clean(s.sysroot), path.Clean(s.target)
	if s.target == "." {
		s.target = s.sysroot
	}
	return s, nil
}

func (s settings) kernelCmdline(root fs.FS) (kcmdline.Cmdline, error) {
	if s.cmdline != "" {
		return kcmdline.Parse(s.cmdline), nil
	}
	data, err := bounded.ReadFile(root, "proc/cmdline", limits.Kernel)
	if err != nil {
		return nil, fmt.Errorf("cannot read the kernel command line: %w", err)
	}
	return kcmdline.Parse(string(data)), nil
}

// prepare decides what to do, and does it.
func (s settings) prepare(root fs.FS, cmdline kcmdline.Cmdline, stdout, stderr io.Writer) error {
	warn := func(text string) { fmt.Fprintln(stderr, "prepare-root: warning:", text) }
	in, err := s.input(root, cmdline, warn)
	if err != nil {
		return err
	}
	plan := Plan(in)
	if s.dryRun {
		_, err := io.WriteString(stdout, plan.String())
		return err
	}
	if err := in.awaitVar(); err != nil {
		return &failedError{in.Target.ID, err}
	}
	if err := s.apply(plan, in.Target.ID, warn); err != nil {
		return &failedError{in.Target.ID, err}
	}
	if err := s.checkInit(root, in.Target.ID, cmdline); err != nil {
		return &failedError{in.Target.ID, err}
	}
	return nil
}

// A failedError says that the root of a deployment could not be prepared.
type failedError struct {
	id  deployment.ID
	err error
}

func (e *failedError) Error() string {
	return "cannot prepare the root of deployment " + e.id.Short() + ": " + e.err.Error()
}

func (e *failedError) Unwrap() error { return e.err }

func (s settings) apply(plan mountplan.Plan, id deployment.ID, warn func(string)) error {
	if err := s.check(id); err != nil {
		return err
	}
	kernel, err := ProbeKernel()
	if err != nil {
		return err
	}
	if s.target == s.sysroot { // it is to be the root of a system
		if err := rememberDevice(s.sysroot, volatileRoot); err != nil {
			warn(err.Error())
		}
	}
	if err := Apply(plan, s.sysroot, kernel, warn); err != nil {
		return err
	}
	if err := keepUsr(s.target); err != nil {
		warn(err.Error())
	}
	return nil
}

// check says in a sentence what is missing on the physical root.
func (s settings) check(id deployment.ID) error {
	physical, err := os.OpenRoot(s.sysroot)
	if err != nil {
		return fmt.Errorf("cannot open the physical root: %w", err)
	}
	defer physical.Close()
	_, err = physical.Stat(deployment.RepositoryDir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no repository on the physical root: is the right file system mounted at %s? %w", s.sysroot, err)
	}
	if err != nil {
		return err
	}
	_, err = physical.Stat(id.Dir())
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("it has no state directory on the physical root: it was removed, or never installed: %w", err)
	}
	return err
}

// input reads what the plan depends on.
func (s settings) input(root fs.FS, cmdline kcmdline.Cmdline, warn func(string)) (Input, error) {
	in := Input{Sysroot: s.sysroot, Where: s.target, Cmdline: cmdline}
	targets, err := deployment.Candidates(cmdline)
	if err != nil {
		return Input{}, fmt.Errorf("cannot find what to boot: %w", err)
	}
	for _, arg := range deployment.Skipped(cmdline) {
		warn(arg + " on the kernel command line is skipped: an argument before it demands verification")
	}
	in.Target = targets[0]
	physical, err := os.OpenRoot(s.sysroot)
	if errors.Is(err, fs.ErrNotExist) { // check reports it; --dry-run needs no physical root
		in.Config, err = s.loadConfig(root, warn)
		return in, err
	}
	if err != nil {
		return Input{}, fmt.Errorf("cannot open the physical root: %w", err)
	}
	defer physical.Close()
	asked, absent := firstPresent(physical, targets)
	// A boot is counted before anything that may be wrong with what it boots.
	if in.Target, err = s.counted(root, physical, asked, warn); err != nil {
		warn(err.Error()) // it boots what it was asked to
	}
	if absent != nil && in.Target == asked {
		return Input{}, &failedError{asked.ID, absent}
	}
	if in.Config, err = s.loadConfig(root, warn); err != nil {
		return Input{}, err
	}
	if in.Var, err = records.IfAny(records.LoadVarPartition(physical.FS())); err != nil {
		return Input{}, &failedError{in.Target.ID, fmt.Errorf("cannot tell which partition /var is on: %w", err)}
	}
	in.EtcIsCopy, err = isCopy(physical, in.Target.ID.EtcDir())
	return in, err
}

func (s settings) loadConfig(root fs.FS, warn func(string)) (rootconfig.Config, error) {
	if s.given != nil {
		return *s.given, nil
	}
	fsys, names := root, []string{rootconfig.File, rootconfig.BootcFile}
	if s.config == os.DevNull {
		return rootconfig.Config{}, nil // the defaults
	}
	if s.config != "" {
		if _, err := os.Stat(s.config); err != nil {
			return rootconfig.Config{}, fmt.Errorf("cannot read configuration: %w", err)
		}
		fsys, names = os.DirFS(path.Dir(s.config)), []string{path.Base(s.config)}
	}
	config, warnings, err := rootconfig.Load(fsys, names...)
	for _, w := range warnings {
		warn(w)
	}
	return config, err
}

// firstPresent returns the first target whose image is there, or else the first one. A
// command line names several if it was written before the image's format was known. An
// image that cannot be looked at is not missing: booting the next one would boot another
// system than the one asked for.
func firstPresent(root *os.Root, targets []deployment.Target) (deployment.Target, error) {
	for _, t := range targets {
		_, err := root.Stat(t.ID.ImageFile())
		found, err := bounded.Found(err)
		if err != nil {
			return t, fmt.Errorf("cannot look for its image: %w", err)
		}
		if found {
			return t, nil
		}
	}
	return targets[0], nil
}

// isCopy reports whether a deployment's directory of /etc is itself an /etc, and
// not the place of an upper directory.
func isCopy(root *os.Root, dir string) (bool, error) {
	entries, err := fs.ReadDir(root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot read the local changes to /etc: %w", err)
	}
	for _, e := range entries {
		switch e.Name() {
		case "upper", ".upper.new":
			return false, nil
		}
	}
	return len(entries) > 0, nil
}
