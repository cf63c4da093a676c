package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func addHiddenFlag(cmd *cobra.Command, r refusal) {
	if r.value {
		cmd.Flags().StringArray(r.option, nil, r.why)
	} else {
		cmd.Flags().Bool(r.option, false, r.why)
	}
	must(cmd.Flags().MarkHidden(r.option))
}

// refuseFlag makes it wrong usage to give a flag.
func refuseFlag(cmd *cobra.Command, r refusal) {
	before := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed(r.option) {
			return usageError{fmt.Errorf("%s: --%s: not supported: %s", nameOf(cmd), r.option, r.why)}
		}
		if before == nil {
			return nil
		}
		return before(cmd, args)
	}
}
