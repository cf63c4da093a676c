package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
)

// thenDirectory completes what first does, and then a directory.
func thenDirectory(first cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) == 1 {
			return nil, cobra.ShellCompDirectiveFilterDirs
		}
		return first(cmd, args, toComplete)
	}
}

// completeDirectory completes one directory.
func completeDirectory(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// completeEtc completes paths below /etc. Those of another system than the
// running one are not where their names say.
func (s *session) completeEtc(
	_ *cobra.Command, _ []string, toComplete string,
) ([]cobra.Completion, cobra.ShellCompDirective) {
	const etc = "/etc/"
	switch {
	case toComplete != etc && strings.HasPrefix(etc, toComplete):
		return []cobra.Completion{etc}, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	case s.sysroot == "" && strings.HasPrefix(toComplete, etc):
		return nil, cobra.ShellCompDirectiveDefault
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// completeFiles has the values of flags be files.
func completeFiles(cmd *cobra.Command, flags ...string) {
	for _, name := range flags {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)))
	}
}

// completeValues has a flag have one of the values.
func completeValues(cmd *cobra.Command, flag string, values ...string) {
	const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	must(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, directive)))
}

// completeAspects completes a list with commas.
func completeAspects(_ *cobra.Command, _ []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	before := toComplete[:strings.LastIndex(toComplete, ",")+1]
	var lists []cobra.Completion
	for _, a := range diff.Names() {
		if !slices.Contains(strings.Split(before, ","), a) {
			lists = append(lists, before+a)
		}
	}
	return lists, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveKeepOrder
}

// completeOneFile leaves the completion of one argument to the shell.
func completeOneFile(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveDefault
}
