package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/version"
)

// manualEnd is what the manual page says besides what the commands say of
// themselves.
//
//go:embed manual.end.8
var manualEnd string

// manual returns the manual page of all commands below root.
func manual(root *cobra.Command) *bytes.Buffer {
	page := new(bytes.Buffer)
	fmt.Fprintf(page, ".TH SYSUPDATE\\-IMAGE 8 \"\" \"sysupdate\\-image %s\"\n", roff(version.Version))
	fmt.Fprintf(page, ".SH NAME\n%s \\- %s\n", roff(root.Name()), roff(strings.ToLower(root.Short[:1])+root.Short[1:]))
	commands := commandsBelow(root)
	page.WriteString(".SH SYNOPSIS\n.nf\n")
	for _, c := range commands {
		if !c.HasSubCommands() {
			fmt.Fprintln(page, bold(c.UseLine()))
		}
	}
	page.WriteString(".fi\n.SH DESCRIPTION\n")
	writeText(page, root.Long)
	page.WriteString(".SH COMMANDS\n")
	for _, c := range commands {
		writeCommand(page, c)
	}
	page.WriteString(".SH OPTIONS\nEvery command has these:\n")
	writeFlags(page, root.PersistentFlags())
	writeLimits(page)
	page.WriteString(manualEnd)
	return page
}

// commandsBelow returns the commands that do something, in the order of the help,
// and before those of a group the group, if it has something to say of them all.
func commandsBelow(c *cobra.Command) (found []*cobra.Command) {
	for _, sub := range c.Commands() {
		if sub.Hidden || sub.Name() == "help" {
			continue
		}
		if !sub.HasSubCommands() || sub.Long != "" {
			found = append(found, sub)
		}
		found = append(found, commandsBelow(sub)...)
	}
	return found
}

func writeCommand(page *bytes.Buffer, c *cobra.Command) {
	title := c.UseLine()
	if c.HasSubCommands() {
		title = c.CommandPath()
	}
	fmt.Fprintf(page, ".SS %s\n", roff(title))
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	writeText(page, text)
	writeFlags(page, c.LocalFlags())
	if c.HasExample() {
		page.WriteString(".PP\nExamples:\n")
		writeText(page, c.Example)
	}
}

// writeText writes paragraphs; one that is set in by spaces is left as it is.
func writeText(page *bytes.Buffer, text string) {
	for i, paragraph := range strings.Split(strings.Trim(text, "\n"), "\n\n") {
		if i > 0 {
			page.WriteString(".PP\n")
		}
		if strings.HasPrefix(paragraph, " ") {
			fmt.Fprintf(page, ".nf\n%s\n.fi\n", roff(paragraph))
		} else {
			fmt.Fprintln(page, roff(paragraph))
		}
	}
}

func writeFlags(page *bytes.Buffer, flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" || f.Name == "version" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if value != "" {
			value = " " + italic(value)
		}
		fmt.Fprintf(page, ".TP\n%s%s\n%s.\n", bold(name), value, roff(strings.ToUpper(usage[:1])+usage[1:]))
	})
}

func writeLimits(page *bytes.Buffer) {
	page.WriteString(".SH LIMITS\nA small input must not take unlimited memory, time or disk space. " +
		"An error that names a limit is about one of these:\n")
	for _, l := range limits.All() {
		word := "at most"
		if l.Least {
			word = "at least"
		}
		bounds := strings.ToUpper(l.Bounds[:1]) + l.Bounds[1:]
		fmt.Fprintf(page, ".TP\n%s, %s %s\n%s.\n", bold(l.Name), word, roff(l.String()), roff(bounds))
	}
}

func bold(text string) string   { return `\fB` + roff(text) + `\fR` }
func italic(text string) string { return `\fI` + roff(text) + `\fR` }

// roff returns text as roff(7) prints it.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
