package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// applyFlags are those of apply; upgrade and switch have some of them.
type applyFlags struct {
	plan, check, reboot, kexec, quiet, asJSON, force bool
	downloadOnly, fromDownloaded                     bool
	progressFD                                       int
	bootc                                            bool // --check answers as bootc does
	etcConflicts, softReboot                         string
	reuse                                            []string
	verity                                           update.Verity
	source                                           sourceFlags
}

func (f *applyFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.plan, "plan", false, "show what would be done, and change nothing")
	cmd.Flags().BoolVar(&f.check, "check", false, "report whether there is an update, and change nothing")
	cmd.Flags().BoolVar(&f.reboot, "reboot", false, "reboot into the new system at once")
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print only the result")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print the result as JSON, with the time that each step took")
	addSoftReboot(cmd, &f.softReboot)
	cmd.Flags().BoolVar(&f.kexec, "kexec", false, "reboot into the new system at once, without the firmware")
	f.addDownload(cmd)
	addProgressFlag(cmd, &f.progressFD)
	addEtcConflicts(cmd, &f.etcConflicts)
	cmd.Flags().BoolVar(&f.force, "force", false, "apply an image that has failed to boot here; restore lost boot entries")
	addReuseFlag(cmd, &f.reuse)
	addVerityFlag(cmd, &f.verity)
	f.source.add(cmd)
}

// addDownload adds the flags that part fetching an update from booting it.
func (f *applyFlags) addDownload(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.downloadOnly, "download-only", false, "stage the image, but locked: no reboot boots it")
	cmd.Flags().BoolVar(&f.fromDownloaded, "from-downloaded", false, "unlock what is staged, and fetch nothing")
}

// options returns what the flags ask for.
func (f *applyFlags) options(s *session, cmd *cobra.Command, ref string) (o update.Options, err error) {
	if err := cmp.Or(f.checkMode(s), f.checkDownload(s, ref)); err != nil {
		return o, err
	}
	o = update.Options{
		Reference: ref, Force: f.force, Source: f.source.options(), Reuse: f.reuse, Verity: f.verity,
		DownloadOnly: f.downloadOnly, Reboot: f.reboot || f.kexec && !f.plan,
	}
	if o.EtcConflicts, err = parseEtcConflicts(cmd.Name(), f.etcConflicts); err != nil {
		return o, err
	}
	if f.kexec {
		o.Kexec = update.IfPossibleOrFail
	}
	if !cmd.Flags().Changed("soft-reboot") {
		return o, nil
	}
	if o.SoftReboot, err = update.ParseWish(f.softReboot); err != nil {
		return o, usageError{fmt.Errorf("apply: --soft-reboot: %w", err)}
	}
	if s.sysroot != "" {
		return o, usageError{errors.New("apply: --soft-reboot and --sysroot cannot be combined")}
	}
	return o, nil
}
