// Command quiet runs go test and prints little when all is well: a line for each package that
// took a second or more, how many passed, and why tests were skipped. Of a test that fails it
// prints everything.
//
//	go run ./test/quiet [-tests] -- go test ./...
//
// With -tests each test that is not part of another one gets a line too, for those
// that take minutes.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

func main() {
	tests := flag.Bool("tests", false, "print a line a test")
	flag.Parse()
	if err := run(flag.Args(), *tests); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			os.Exit(exit.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "quiet:", err)
		os.Exit(1)
	}
}

// run runs a go test command with -json and prints a report of it.
func run(command []string, tests bool) error {
	if len(command) < 2 || command[1] != "test" {
		return errors.New("usage: quiet [-tests] -- go test ARGUMENTS")
	}
	cmd := exec.Command(command[0], append([]string{"test", "-json"}, command[2:]...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	r := newReport(os.Stdout, tests)
	if err := r.read(out); err != nil {
		return errors.Join(err, cmd.Wait())
	}
	fmt.Fprintf(r.out, "%d packages passed\n", r.good)
	return cmd.Wait()
}

// An event is a line of go test -json; see go doc test2json.
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
}

// A report prints events.
type report struct {
	out    io.Writer
	tests  bool
	good   int                            // packages that passed
	output map[string][]string            // of what has not ended yet, by package and test
	skips  map[string]map[string][]string // tests, by package and why
}

func newReport(out io.Writer, tests bool) *report {
	return &report{out: out, tests: tests, output: make(map[string][]string), skips: make(map[string]map[string][]string)}
}

func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Fprintf(r.out, "%s", line)
			} else {
				r.print(e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) print(e event) {
	key := e.Package + " " + e.Test
	if e.Test == "" && (e.Action == "pass" || e.Action == "fail") {
		r.printSkips(e.Package)
	}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		r.keep(e, key)
	case "fail":
		r.failed(e, key)
	case "skip":
		r.skipped(e, key)
	case "pass":
		if e.Test == "" {
			r.good++
		}
		if r.tests && e.Test != "" && !strings.Contains(e.Test, "/") {
			fmt.Fprintf(r.out, "--- PASS: %s (%.0fs)\n", e.Test, e.Elapsed)
		}
		delete(r.output, key)
	}
}

// closing matches the line with which go test ends a package, and brief one that passed in
// less than a second, or has no tests.
var (
	closing = regexp.MustCompile(`^(ok|FAIL|\?) *\t`)
	brief   = regexp.MustCompile(`^\?|^ok *\t.*\t(0\.\d+s|\(cached\))`)
)

func (r *report) keep(e event, key string) {
	switch {
	case e.Test == "" && closing.MatchString(e.Output):
		if !brief.MatchString(e.Output) {
			fmt.Fprint(r.out, e.Output)
		}
	case strings.HasPrefix(e.Output, "=== "), e.Test == "" && e.Output == "PASS\n":
	default:
		r.output[key] = append(r.output[key], e.Output)
	}
}

// failed prints all that a test wrote, or what a package did outside of its tests. The
// output of tests that were still running is why, when a package ends too early.
func (r *report) failed(e event, key string) {
	if e.Test != "" {
		r.flush(e.Package, key)
		return
	}
	for _, other := range slices.Sorted(maps.Keys(r.output)) {
		if strings.HasPrefix(other, e.Package+" ") {
			r.flush(e.Package, other)
		}
	}
}

func (r *report) flush(pkg, key string) {
	if len(r.output[key]) > 0 {
		fmt.Fprintf(r.out, "%s: %s:\n%s", pkg, strings.TrimPrefix(key, pkg+" "), strings.Join(r.output[key], ""))
	}
	delete(r.output, key)
}

// said matches where in the code a test has logged something, and what.
var said = regexp.MustCompile(`^ +[A-Za-z0-9_]+\.go:[0-9]+: (.*)\n`)

// skipped notes that a test was skipped and the last that it said, which is why.
func (r *report) skipped(e event, key string) {
	if e.Test == "" {
		return // a package without tests
	}
	why := "it does not say why"
	for _, line := range r.output[key] {
		if m := said.FindStringSubmatch(line); m != nil {
			why = m[1]
		}
	}
	delete(r.output, key)
	if r.skips[e.Package] == nil {
		r.skips[e.Package] = make(map[string][]string)
	}
	r.skips[e.Package][why] = append(r.skips[e.Package][why], e.Test)
}

// printSkips prints which tests of a package were skipped, two lines for each reason.
func (r *report) printSkips(pkg string) {
	for _, why := range slices.Sorted(maps.Keys(r.skips[pkg])) {
		names := strings.Join(countParts(r.skips[pkg][why]), ", ")
		fmt.Fprintf(r.out, "--- SKIP: %s: %s\n    %s\n", strings.TrimPrefix(pkg, "github.com/sysupdate-image/sysupdate-image/"), names, why)
	}
	delete(r.skips, pkg)
}

// countParts returns the names of tests, those that have several among them once, with how many.
func countParts(tests []string) []string {
	count := make(map[string]int)
	for _, test := range tests {
		whole, _, _ := strings.Cut(test, "/")
		count[whole]++
	}
	var names []string
	for _, test := range tests {
		whole, _, _ := strings.Cut(test, "/")
		switch n := count[whole]; {
		case n == 1:
			names = append(names, test)
		case n > 1:
			names = append(names, fmt.Sprintf("%s (%d)", whole, n))
			count[whole] = 0
		}
	}
	return names
}
