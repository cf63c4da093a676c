package main

import (
	"embed"
	"errors"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// helpTexts has what --help and the manual page say of a command besides its flags: of "image ls",
// that is help/image/ls.txt. A file may end with examples.
//
//go:embed help
var helpTexts embed.FS

// examplesFollow is the line between the text and the examples.
const examplesFollow = "\nExamples:\n"

// describe gives a command and those below it their help texts.
func describe(c *cobra.Command) {
	text, err := bounded.ReadFile(helpTexts, helpFile(c), limits.Text)
	if !errors.Is(err, fs.ErrNotExist) { // its Short is all there is to say
		must(err)
	}
	long, examples, _ := strings.Cut(string(text), examplesFollow)
	c.Long, c.Example = strings.TrimSuffix(long, "\n"), strings.TrimSuffix(examples, "\n")
	for _, below := range c.Commands() {
		describe(below)
	}
}

// helpFile returns the name of the file with the help text of a command.
func helpFile(c *cobra.Command) string {
	if !c.HasParent() {
		return "help/" + programName + ".txt"
	}
	return "help/" + strings.ReplaceAll(nameOf(c), " ", "/") + ".txt"
}
