package main

import (
	"errors"
)

// checkMode refuses flags of which each asks for something else.
func (f *applyFlags) checkMode(s *session) error {
	switch {
	case f.reboot && f.plan:
		return usageError{errors.New("apply: --plan and --reboot cannot be combined")}
	case f.check && (f.plan || f.reboot || f.kexec || f.softReboot != ""):
		return usageError{errors.New("apply: --check cannot be combined with --plan, --reboot, --soft-reboot or --kexec")}
	case f.reboot && s.sysroot != "":
		return usageError{errors.New("apply: --reboot and --sysroot cannot be combined")}
	case f.kexec && (s.sysroot != "" || f.softReboot != ""):
		return usageError{errors.New("apply: --kexec cannot be combined with --soft-reboot or --sysroot")}
	case f.plan && len(f.reuse) > 0:
		return usageError{errors.New(
			"apply: --plan and --reuse cannot be combined: a plan looks only at this machine's repository")}
	}
	return nil
}

// checkDownload refuses what excludes these flags.
func (f *applyFlags) checkDownload(s *session, ref string) error {
	switch {
	case f.downloadOnly && f.fromDownloaded:
		return usageError{errors.New("--download-only and --from-downloaded cannot be combined")}
	case f.downloadOnly && (f.check || f.plan || f.reboot || f.kexec || f.softReboot != ""):
		return usageError{errors.New("--download-only cannot be combined with --check, --plan, --reboot, --soft-reboot or --kexec")}
	case f.fromDownloaded && (f.check || f.plan || f.force || ref != "" || len(f.reuse) > 0):
		return usageError{errors.New("--from-downloaded cannot be combined with REF, --check, --plan, --force or --reuse")}
	case (f.downloadOnly || f.fromDownloaded) && s.sysroot != "":
		return usageError{errors.New("--download-only and --from-downloaded change the running system: --sysroot cannot be used with them")}
	}
	return nil
}
