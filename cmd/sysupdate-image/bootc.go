package main

import (
	"path/filepath"

	"github.com/spf13/cobra"
)

// Scripts that were written for bootc call the commands and options in this file and its
// neighbours bootc_*.go, perhaps through a link called bootc. docs/bootc.md lists all that bootc
// has, and a test compares.

const (
	programName = "sysupdate-image"
	bootcName   = "bootc"
)

// The parts of the help: bootcGroup has the commands that are here for such scripts.
const (
	mainGroup  = "main"
	bootcGroup = "bootc"
)

// calledAs returns the name of the program by the one that it was started with.
func calledAs(arg0 string) string {
	if filepath.Base(arg0) == bootcName {
		return bootcName
	}
	return programName
}

// name returns what the program is called.
func (s *session) name() string {
	if s.called == "" {
		return programName
	}
	return s.called
}

// group adds to root, which has all other commands, those that are here for such scripts, and
// has the help list the others first.
func group(root *cobra.Command, bootcs ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: mainGroup, Title: "Commands:"})
	root.AddGroup(&cobra.Group{ID: bootcGroup, Title: "Commands for scripts that were written for bootc:"})
	for _, c := range root.Commands() {
		c.GroupID = mainGroup
	}
	root.AddCommand(bootcs...)
}
