package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// addBootc adds to the commands below root what bootc has besides them.
func addBootc(root *cobra.Command) {
	for _, r := range withFilesystem(refusals) {
		parent := commandAt(root, path(r, r.option == ""))
		if r.option == "" {
			parent.AddCommand(refusedCommand(r))
			continue
		}
		addHiddenFlag(parent, r)
		refuseFlag(parent, r)
	}
	for _, r := range withFilesystem(ignored) {
		addHiddenFlag(commandAt(root, path(r, false)), r)
	}
}

// path returns the names of the commands that lead to that of a refusal, or to the one above.
func path(r refusal, above bool) []string {
	names := strings.Fields(r.command)
	if above {
		names = names[:len(names)-1]
	}
	return names
}

// commandAt returns the command below root with a path.
func commandAt(root *cobra.Command, names []string) *cobra.Command {
	at := root
	for _, name := range names {
		found, _, err := at.Find([]string{name})
		must(err)
		at = found
	}
	return at
}

func refusedCommand(r refusal) *cobra.Command {
	names := strings.Fields(r.command)
	return &cobra.Command{
		Use:                names[len(names)-1],
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{fmt.Errorf("%s: not supported: %s", nameOf(cmd), r.why)}
		},
	}
}
