package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func (s *session) kargsEditCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "edit",
		Short: "Change kernel arguments in an editor",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, err := s.kargs("")
			if err != nil {
				return err
			}
			var before []string
			for _, a := range k.List {
				switch a.Source {
				case update.KargImage:
					return &update.SealedKargsError{ID: k.ID}
				case update.KargDeployment:
				default:
					before = append(before, a.Arg)
				}
			}
			after, err := s.edit(cmd, before)
			if err != nil {
				return err
			}
			add, remove := notIn(after, before), notIn(before, after)
			if len(add)+len(remove) == 0 && !slices.Equal(after, before) {
				return errors.New("nothing was changed: edit keeps the order of arguments; remove one, and add it again to have it last")
			}
			return s.changeKargs(cmd, add, remove, false)
		},
	}
}

// edit has somebody change lines in an editor, and returns those that count.
func (s *session) edit(cmd *cobra.Command, lines []string) ([]string, error) {
	file, err := os.CreateTemp("", "kargs-*.txt")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	_, err = fmt.Fprintf(file, "# Kernel arguments, one on each line.\n%s\n", strings.Join(lines, "\n"))
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	words := strings.Fields(cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR"), "vi"))
	editor := exec.CommandContext(cmd.Context(), words[0], append(words[1:], file.Name())...)
	editor.Stdin, editor.Stdout, editor.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := editor.Run(); err != nil {
		return nil, fmt.Errorf("nothing was changed: editor %s: %w", words[0], err)
	}
	text, err := bounded.ReadPath(file.Name(), limits.Text)
	if err != nil {
		return nil, err
	}
	var after []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			after = append(after, line)
		}
	}
	return after, nil
}

// notIn returns the strings of a that b does not have.
func notIn(a, b []string) []string {
	have := make(map[string]bool)
	for _, s := range b {
		have[s] = true
	}
	var rest []string
	for _, s := range a {
		if !have[s] {
			rest = append(rest, s)
		}
	}
	return rest
}

// writeAddon writes an addon with kernel arguments to a new file.
func (s *session) writeAddon(name string, args []string) error {
	addon, cmdline, err := update.Addon(args)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(addon)
	if err := errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return s.PrintAddon(name, cmdline)
}
