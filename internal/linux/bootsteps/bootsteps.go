// Package bootsteps keeps when the steps of the initramfs began and ended, for the running
// system to read. It hides the file, which lies on /run: that is handed over to the system.
//
//	done := bootsteps.Begin("prepare the root")
//	…
//	err := done()
package bootsteps

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// File is relative to the root. It has a line for each step: when it began and ended, in
// microseconds of CLOCK_MONOTONIC, which begins with the kernel, and its name.
const File = "run/sysupdate-image/initramfs-steps"

// A Step is something that the initramfs did.
type Step struct {
	Name       string
	Start, End time.Duration // since the kernel began
}

// Begin begins a step. The function it returns ends it and writes it down.
func Begin(name string) (done func() error) {
	start := sys.Monotonic()
	return func() error { return write("/"+File, Step{name, start, sys.Monotonic()}) }
}

func write(file string, s Step) error {
	if err := os.MkdirAll(path.Dir(file), 0o755); err != nil {
		return fmt.Errorf("cannot write down how long a step took: %w", err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("cannot write down how long a step took: %w", err)
	}
	defer f.Close()
	_, err = fmt.Fprintf(f, "%d %d %s\n", s.Start.Microseconds(), s.End.Microseconds(), s.Name)
	return err
}

// Read returns the steps of the initramfs that started the system whose root is root, in
// the order in which they ended. There are none if another kind of initramfs did, or it has
// no file of them.
func Read(root fs.FS) ([]Step, error) {
	data, err := bounded.ReadFile(root, File, limits.Record)
	found, err := bounded.Found(err)
	if err != nil {
		return nil, fmt.Errorf("cannot read the steps of the initramfs: %w", err)
	}
	if !found {
		return nil, nil
	}
	return parse(string(data)), nil
}

// parse leaves out what is no step.
func parse(text string) []Step {
	var steps []Step
	for line := range strings.Lines(text) {
		start, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		end, name, _ := strings.Cut(rest, " ")
		from, errFrom := strconv.ParseUint(start, 10, 48)
		to, errTo := strconv.ParseUint(end, 10, 48)
		if errFrom != nil || errTo != nil || from > to || name == "" {
			continue
		}
		steps = append(steps, Step{name, micros(from), micros(to)})
	}
	return steps
}

func micros(n uint64) time.Duration { return time.Duration(n) * time.Microsecond }
