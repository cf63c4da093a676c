package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/edit"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

func (s *session) etcMergeCommand() *cobra.Command {
	var t edit.Trees
	var conflicts string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "merge --base DIR --local DIR --new DIR --out DIR",
		Short: "Merge directories as an update merges /etc",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			policy, err := parseEtcConflicts("etc merge", conflicts)
			if err != nil {
				return err
			}
			if policy == "" {
				policy = deployment.ConflictsFail
			}
			return s.etcMerge(cmd.Context(), t, policy, asJSON)
		},
	}
	for _, f := range []struct {
		value       *string
		name, usage string
	}{
		{&t.Base, "base", "`DIR` with the old defaults"},
		{&t.Local, "local", "`DIR` with the local version"},
		{&t.New, "new", "`DIR` with the new defaults"},
		{&t.Out, "out", "write the merged tree to `DIR`"},
	} {
		cmd.Flags().StringVar(f.value, f.name, "", f.usage)
		must(cmd.MarkFlagDirname(f.name))
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	addEtcConflicts(cmd, &conflicts)
	return cmd
}

func (s *session) etcMerge(ctx context.Context, t edit.Trees, policy deployment.ConflictPolicy, asJSON bool) error {
	if t.Base == "" || t.Local == "" || t.New == "" || t.Out == "" {
		return usageError{fmt.Errorf("etc merge: --base, --local, --new and --out are required")}
	}
	report, err := edit.Merge(ctx, t, policy)
	if err != nil && !errors.Is(err, edit.ErrConflicts) {
		return err
	}
	if asJSON {
		return errors.Join(s.PrintJSON(report), err)
	}
	return errors.Join(s.PrintEtcMerge(report, err == nil), err)
}
