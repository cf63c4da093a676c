package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// softRebootModes are the values of --soft-reboot.
var softRebootModes = []string{string(update.IfPossible), string(update.IfPossibleOrFail)}

// rebootFlags are the options of bootc about what follows a change.
type rebootFlags struct {
	apply      bool
	softReboot string
}

func (f *rebootFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.apply, "apply", false, "reboot into it at once")
	cmd.Flags().BoolVar(&f.apply, "reboot", false, "the same as --apply")
	addSoftReboot(cmd, &f.softReboot)
}

func addSoftReboot(cmd *cobra.Command, mode *string) {
	cmd.Flags().StringVar(mode, "soft-reboot", "",
		"keep the kernel and restart user space, if that is possible: `MODE` is auto (otherwise reboot) or required (otherwise fail)")
	completeValues(cmd, "soft-reboot", softRebootModes...)
}
