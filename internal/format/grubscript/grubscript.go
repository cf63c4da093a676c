// Package grubscript writes boot entries as GRUB's configuration has them. It hides how words
// are quoted there, and what GRUB does to kernel arguments.
package grubscript

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
)

// ErrArgument says that GRUB does not pass a kernel argument on as it is.
var ErrArgument = errors.New("GRUB cannot pass this kernel argument")

// Word returns a text as one word of a script, in which nothing is special.
func Word(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// MenuEntry returns the menu entry that boots what a boot entry does. Its id is given. Before
// anything is loaded, it calls the function count with the value that the variable entry has
// when the menu entry is defined, and then the function start, even if something could not be
// loaded. A password of GRUB's protects its editor, not booting.
func MenuEntry(id string, e bootentry.Entry) (string, error) {
	load, err := load(e)
	if err != nil {
		return "", err
	}
	title := strings.TrimSpace(e.Title)
	if title == "" {
		title = id
	}
	var b strings.Builder
	fmt.Fprintf(&b, "menuentry %s --id %s --unrestricted \"$entry\" {\n  count \"$2\"\n", Word(title), Word(id))
	for _, words := range load {
		b.WriteString("  " + strings.Join(words, " ") + "\n")
	}
	b.WriteString("  start\n}\n")
	return b.String(), nil
}

// load returns the commands that load what an entry boots.
func load(e bootentry.Entry) ([][]string, error) {
	args, err := arguments(e.Options)
	if err != nil {
		return nil, err
	}
	program := e.UnifiedImage()
	if program == "" {
		program = e.EFI
	}
	switch {
	case program != "":
		return [][]string{append([]string{"chainloader", file(program)}, args...)}, nil
	case e.Linux == "":
		return nil, errors.New("GRUB can boot neither a kernel nor an EFI program of it")
	}
	commands := [][]string{append([]string{"linux", file(e.Linux)}, args...)}
	if len(e.Initrds) > 0 {
		words := []string{"initrd"}
		for _, name := range e.Initrds {
			words = append(words, file(name))
		}
		commands = append(commands, words)
	}
	for _, o := range e.Other {
		if o.Key == "devicetree" {
			commands = append(commands, []string{"devicetree", file(o.Value)})
		}
	}
	return commands, nil
}

// file returns the path of a file on the partition, as a word.
func file(name string) string {
	return Word(path.Clean("/" + strings.ReplaceAll(name, `\`, "/")))
}

// arguments returns a kernel command line as words. GRUB puts quotes around what has a space,
// and a backslash before quotes and backslashes, which the kernel would take for a part of the
// argument; other white space would end the argument.
func arguments(options string) ([]string, error) {
	var words []string
	for _, a := range kcmdline.Parse(options) {
		word := a.Key
		if a.HasValue {
			word += "=" + a.Value
		}
		if strings.ContainsAny(word, "\\'\"\t\n\v\f\r") {
			return nil, fmt.Errorf("%w: %s", ErrArgument, a)
		}
		words = append(words, Word(word))
	}
	return words, nil
}
