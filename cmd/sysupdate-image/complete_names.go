package main

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/status"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

// completeDeployments completes the names of deployments, as many as a command
// takes, or any number if most is negative. A shell shows with each what it is.
func (s *session) completeDeployments(most int) cobra.CompletionFunc {
	return s.completeThose(most, func(status.Deployment) bool { return true })
}

// completePinned completes the names of one pinned deployment.
func (s *session) completePinned() cobra.CompletionFunc {
	return s.completeThose(1, func(d status.Deployment) bool { return d.Pinned })
}

func (s *session) completeThose(most int, are func(status.Deployment) bool) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if most >= 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names, err := s.deploymentNames(args, are)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// deploymentNames returns all names of the deployments that are as asked and that args
// do not name.
func (s *session) deploymentNames(args []string, are func(status.Deployment) bool) ([]cobra.Completion, error) {
	system, err := machine.Open(s.machine(), machine.ToRead)
	if err != nil {
		return nil, err
	}
	defer system.Close()
	state, named := system.State(), make(map[deployment.ID]bool)
	for _, arg := range args {
		if id, err := state.Find(arg); err == nil {
			named[id] = true
		}
	}
	var names []cobra.Completion
	for _, d := range status.Gather(system).Deployments {
		if named[d.ID] || !are(d) {
			continue
		}
		for _, name := range d.Names() {
			names = append(names, cobra.CompletionWithDesc(name, ui.Name(d.Describe())))
		}
	}
	return names, nil
}

// completeImages completes the names of images, as many as a command takes:
// deployments and files.
func (s *session) completeImages(most int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		all, err := s.deploymentNames(args, func(status.Deployment) bool { return true })
		if err != nil {
			return nil, cobra.ShellCompDirectiveDefault
		}
		names := slices.DeleteFunc(all, func(name cobra.Completion) bool { return !strings.HasPrefix(name, toComplete) })
		if len(names) == 0 {
			return nil, cobra.ShellCompDirectiveDefault // the shell knows files best
		}
		return append(names, filesHere(toComplete)...), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// filesHere returns the names of files in the current directory that begin so. A
// shell looks for files only where it is told of nothing else.
func filesHere(start string) (names []cobra.Completion) {
	entries, err := os.ReadDir(".")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		name := e.Name()
		switch {
		case !strings.HasPrefix(name, start) || start == "" && name[0] == '.' || ui.Name(name) != name:
		case e.IsDir():
			names = append(names, name+"/")
		default:
			names = append(names, name)
		}
	}
	return names
}
