package main

import (
	"io/fs"
	"testing"

	"github.com/spf13/cobra"
)

// TestHelpTextsAreShown wants each help text to be that of a command, and each command to have
// one, unless it only holds others or people do not call it.
func TestHelpTextsAreShown(t *testing.T) {
	unread := make(map[string]bool)
	err := fs.WalkDir(helpTexts, "help", func(name string, d fs.DirEntry, err error) error {
		if !d.IsDir() {
			unread[name] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var look func(c *cobra.Command)
	look = func(c *cobra.Command) {
		name := helpFile(c)
		if !unread[name] && !c.HasSubCommands() && !c.Hidden && c.Name() != "help" {
			t.Errorf("%s has no help text %s", c.CommandPath(), name)
		}
		delete(unread, name)
		for _, below := range c.Commands() {
			look(below)
		}
	}
	look((&session{}).command())
	for name := range unread {
		t.Errorf("%s is the help text of no command", name)
	}
}
