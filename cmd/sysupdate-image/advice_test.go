package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// A failedCommand is what the command "failing" leaves to "follow".
type failedCommand struct{ args []string }

type failedKey struct{}

// failing runs the program, which has to fail:
//
//	failing ARG...
func failing(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: failing ARG...")
	}
	if err := ts.Exec("sysupdate-image", args...); err == nil {
		ts.Fatalf("it did not fail")
	}
	ts.Value(failedKey{}).(*failedCommand).args = args
}

var (
	advisedCommand = regexp.MustCompile(`'sysupdate-image ([^']+)'`)
	advisedFlag    = regexp.MustCompile(`--[a-z][a-z-]*(=\S+| /\S+)?`)
)

// follow does what the last error advises, as it has it: it runs the command that is named
// there, or the one that failed with the option that is named, and the one that failed once
// more, which has to succeed now. Words in capitals are put in, as is the value of an
// option that has none; -N takes the N-th option that is named.
//
//	follow [-once] [-second] [WORD=VALUE]...
//
// With -once the command that failed is not run again: it cannot succeed, or would undo it.
func follow(ts *testscript.TestScript, neg bool, args []string) {
	failed := ts.Value(failedKey{}).(*failedCommand).args
	text := ts.ReadFile("stderr")
	once, second := slices.Contains(args, "-once"), slices.Contains(args, "-second")
	put := func(word string) []string {
		for _, a := range args {
			if name, value, ok := strings.Cut(a, "="); ok && name == word {
				return strings.Fields(value)
			}
		}
		return []string{word}
	}
	command := advisedCommand.FindStringSubmatch(text)
	switch {
	case neg || failed == nil:
		ts.Fatalf("usage: follow [-once] [-second] [WORD=VALUE]..., after failing")
	case command != nil:
		var words []string
		for _, word := range strings.Fields(command[1]) {
			words = append(words, put(word)...)
		}
		ts.Logf("follow: sysupdate-image %s", strings.Join(words, " "))
		ts.Check(ts.Exec("sysupdate-image", words...))
	default:
		flags := advisedFlag.FindAllString(text, -1)
		if second {
			flags = flags[1:]
		}
		if len(flags) == 0 {
			ts.Fatalf("no command and no option in %q", text)
		}
		failed = append(slices.Clone(failed), strings.Fields(flags[0])...)
		if value := put("VALUE"); value[0] != "VALUE" {
			failed = append(failed, value...)
		}
	}
	if !once {
		ts.Logf("again: sysupdate-image %s", strings.Join(failed, " "))
		ts.Check(ts.Exec("sysupdate-image", failed...))
	}
}
