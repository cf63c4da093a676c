package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// editLines has somebody change lines in an editor, below a line that says what they are, and returns
// those that count.
func editLines(ctx context.Context, about string, lines []string) ([]string, error) {
	file, err := os.CreateTemp("", "sysupdate-image-*.txt")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	_, err = fmt.Fprintf(file, "# %s\n%s\n", about, strings.Join(lines, "\n"))
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	words := strings.Fields(cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR"), "vi"))
	editor := exec.CommandContext(ctx, words[0], append(words[1:], file.Name())...)
	editor.Stdin, editor.Stdout, editor.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := editor.Run(); err != nil {
		return nil, fmt.Errorf("nothing was changed: editor %s: %w", words[0], err)
	}
	text, err := bounded.ReadPath(file.Name(), limits.Text)
	return withoutComments(string(text)), err
}

// withoutComments returns the lines of a text, without those that are empty or begin with #.
func withoutComments(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}
