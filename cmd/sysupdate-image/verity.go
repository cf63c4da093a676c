package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// addVerityFlag adds the flag that decides whether the new system requires fs-verity.
// The default is that of the current system.
func addVerityFlag(cmd *cobra.Command, value *update.Verity) {
	cmd.Flags().BoolFunc("allow-missing-verity",
		"let the new system boot from files without fs-verity, which are not verified", func(text string) error {
			allowed, err := strconv.ParseBool(text)
			*value = update.VerityRequired
			if allowed {
				*value = update.VerityOptional
			}
			return err
		})
}
