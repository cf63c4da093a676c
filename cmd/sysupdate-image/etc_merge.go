package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/edit"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

const aboutEtcMerge = `Merge what was changed from --base to --local into --new, write the merged tree as --out,
and say what came of it. The three trees are directories like /etc; that of --out does not
exist yet, or is empty. It is what an update would make of them, without a machine.

Owners, modes, extended attributes, ACLs, hard links, devices and FIFOs are merged and
written too: for those of others and for devices that takes root. What loses a conflict
goes to .conflicts/merge in --out.

Paths are relative to the directories. With --json, the form of etc report --json, without
from, to and time; policy may be fail, and then there is no wins.`

func (s *session) etcMergeCommand() *cobra.Command {
	var t edit.Trees
	var conflicts string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "merge --base DIR --local DIR --new DIR --out DIR",
		Short: "Merge directories as an update merges /etc",
		Long:  aboutEtcMerge,
		Example: `  sysupdate-image etc merge --base v1/etc --local /etc --new v2/etc --out merged
  sysupdate-image etc merge --base a --local b --new c --out d --etc-conflicts=new --json`,
		Args: needArgs(cobra.NoArgs),
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
		{&t.Base, "base", "the old defaults are in `DIR`"},
		{&t.Local, "local", "what became of them is in `DIR`"},
		{&t.New, "new", "the new defaults are in `DIR`"},
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
		return usageError{fmt.Errorf("etc merge: want all of --base, --local, --new and --out")}
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
