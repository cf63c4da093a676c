package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// addVerityFlag adds the flag that says how strict the new system is. Without it the
// system is as strict as the one before.
func addVerityFlag(cmd *cobra.Command, value *update.Verity) {
	cmd.Flags().BoolFunc("allow-missing-verity", "let the new system boot where fs-verity is missing, and nothing is verified then", func(text string) error {
		allowed, err := strconv.ParseBool(text)
		*value = update.VerityRequired
		if allowed {
			*value = update.VerityOptional
		}
		return err
	})
}
