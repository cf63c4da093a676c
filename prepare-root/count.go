package prepareroot

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/mount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/console"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/inits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// counted counts this boot of the target if it is on trial, and returns the deployment to
// boot: the target or, if its record says so, the fallback. The error says that the machine
// could not be sent to a fallback with another kernel; then the target is booted.
func (s settings) counted(root fs.FS, physical *os.Root, target deployment.Target, warn func(string)) (deployment.Target, error) {
	if s.dryRun || s.target != s.sysroot { // it is not to be the root of a system
		return target, nil
	}
	record, err := records.LoadAttempts(physical.FS(), target.ID)
	if errors.Is(err, fs.ErrNotExist) {
		return target, nil
	}
	if err != nil { // it counts as none: a machine that boots is better
		warn(err.Error())
		return target, nil
	}
	f := facts{bootID: bootID(root)}
	if record.Spent() { // most boots need not know more
		f.look(root, physical, record)
	}
	a := decide(record, f)
	if a.count != record.AttemptsCount {
		if err := writeCount(s.sysroot, record.ID, a.count); err != nil {
			f.look(root, physical, record)
			a = a.uncounted(record, f, err)
		}
	}
	if a.say != "" {
		announce(root, a.say, warn)
	}
	switch a.do {
	case bootFallback:
		return fallbackTarget(record, target), nil
	case redirect:
		fallback := fallbackTarget(record, target)
		err := s.sendTo(root, physical, record, f, fallback.VerityOptional)
		if !f.inPlace() {
			return target, err
		}
		warn(err.Error())
		return fallback, nil
	}
	return target, nil
}

// fallbackTarget returns the fallback as its own boot entry names it. Where that does not tell,
// fs-verity is as optional as for what the fallback takes the place of.
func fallbackTarget(record deployment.Attempts, target deployment.Target) deployment.Target {
	all, err := deployment.Candidates(kcmdline.Parse(record.FallbackOptions))
	if i := slices.IndexFunc(all, func(t deployment.Target) bool { return t.ID == record.Fallback }); err == nil && i >= 0 {
		return all[i]
	}
	return deployment.Target{ID: record.Fallback, VerityOptional: target.VerityOptional}
}

// look finds out whether and how the fallback could be booted.
func (f *facts) look(root fs.FS, physical *os.Root, record deployment.Attempts) {
	if record.Fallback == "" {
		return
	}
	image := record.Fallback.ImageFile()
	_, imageErr := physical.Stat(image)
	_, stateErr := physical.Stat(record.Fallback.Dir())
	f.fallback, f.sealed = imageErr == nil && stateErr == nil, isSealed(root)
	if !f.fallback || f.sealed {
		return
	}
	release, err := sys.KernelRelease()
	f.sameKernel = err == nil && (record.FallbackKernel == release ||
		record.Kernel != "" && record.Kernel != release || // the kernel is nobody's, such as one that a host boots
		hasModules(physical, image, release))
}

// hasModules reports whether an image has the modules of a kernel.
func hasModules(physical *os.Root, image, release string) bool {
	f, err := physical.Open(image)
	if err != nil {
		return false
	}
	defer f.Close()
	mounted, err := mount.EROFS(f, true)
	if err != nil {
		return false
	}
	defer mounted.Close()
	dir, err := openBelow(mounted, "usr/lib/modules/"+release)
	if err != nil {
		return false
	}
	return dir.Close() == nil
}

// bootID returns the kernel's id of this boot, "" if it does not tell.
func bootID(root fs.FS) string {
	text, err := bounded.ReadFile(root, "proc/sys/kernel/random/boot_id", limits.Kernel)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// writeCount overwrites the first sector of a deployment's record.
func writeCount(sysroot string, id deployment.ID, count deployment.AttemptsCount) error {
	return writably(sysroot, func(root *os.Root) error { return records.OverwriteAttempts(root, id, count) })
}

// writably has write change something on the physical root. That may be mounted read-only, and
// is so again afterwards.
func writably(sysroot string, write func(root *os.Root) error) error {
	dir, err := os.Open(sysroot)
	if err != nil {
		return err
	}
	defer dir.Close()
	writable, err := clone(dir)
	if err != nil {
		return err
	}
	defer writable.Close()
	if err := sys.SetMountAttr(writable, 0, sys.ReadOnly); err != nil {
		return err
	}
	st, err := sys.Statfs(writable)
	if err != nil {
		return err
	}
	if st.ReadOnly { // "ro" on the kernel command line, see makeWritable
		if err := sys.Reconfigure(writable, sys.MountFlag("rw")); err != nil {
			return err
		}
		defer sys.Reconfigure(writable, sys.MountFlag("ro")) // what needs it makes it writable again
	}
	root, err := os.OpenRoot(procPath(writable))
	if err != nil {
		return err
	}
	return errors.Join(write(root), root.Close())
}

// checkInit returns an error if the root has no program to start and there is another
// deployment to fall back to. What starts the program would end in a shell, and nobody would
// count that.
func (s settings) checkInit(root fs.FS, id deployment.ID, cmdline kcmdline.Cmdline) error {
	if s.target != s.sysroot || !inInitramfs(root) {
		return nil
	}
	record, err := records.LoadAttempts(os.DirFS(s.sysroot+deployment.SysrootDir), id)
	if err != nil || record.Fallback == "" {
		return nil
	}
	_, err = inits.Find(s.target, cmdline)
	return err
}

// announce tells people, on every console, that another system boots than they may expect.
func announce(root fs.FS, text string, warn func(string)) {
	warn(text)
	if !inInitramfs(root) {
		return
	}
	consoles := console.Open()
	if systemdRuns(root) { // the unit's standard error is /dev/console as well
		consoles = consoles.Others()
	}
	consoles.Show("prepare-root: " + text + "\n")
}

// noteFailure counts a failure of a deployment in the initramfs, with its reason, and returns
// the record as it is then. It has no fallback if there is no record, or it could not be
// written: then another boot would not be counted either.
func noteFailure(root fs.FS, sysroot string, id deployment.ID, reason string) deployment.Attempts {
	for _, dir := range []string{sysroot, sysroot + deployment.SysrootDir} { // before, and after the root was prepared
		physical, err := os.OpenRoot(dir)
		if err != nil {
			continue
		}
		record, err := records.LoadAttempts(physical.FS(), id)
		physical.Close()
		if err != nil {
			continue
		}
		record.AttemptsCount = failed(record.AttemptsCount, bootID(root), reason)
		if err := writeCount(dir, id, record.AttemptsCount); err != nil {
			return deployment.Attempts{}
		}
		return record
	}
	return deployment.Attempts{}
}
