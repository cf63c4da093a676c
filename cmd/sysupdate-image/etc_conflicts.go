package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// addEtcConflicts adds the flag with the policy for conflicts in /etc.
func addEtcConflicts(cmd *cobra.Command, value *string) {
	cmd.Flags().StringVar(value, "etc-conflicts", "",
		"`POLICY` for conflicts in /etc: fail (the default), keep (the local version) or new (the image's version)")
	completeValues(cmd, "etc-conflicts",
		string(deployment.ConflictsFail), string(deployment.ConflictsKeep), string(deployment.ConflictsNew))
}

func parseEtcConflicts(command, value string) (deployment.ConflictPolicy, error) {
	policy, err := deployment.ParseConflictPolicy(value)
	if err != nil {
		return "", usageError{fmt.Errorf("%s: --etc-conflicts: %w", command, err)}
	}
	return policy, nil
}
