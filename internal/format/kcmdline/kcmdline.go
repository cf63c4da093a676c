// Package kcmdline reads and writes kernel command lines, so that no other
// package splits them at spaces or forgets a quote.
package kcmdline

import (
	"slices"
	"strings"
)

// A Cmdline is a kernel command line: arguments in their order, of which the
// same key may occur several times.
type Cmdline []Arg

// An Arg is one argument: "key" or "key=value". Quotes are not part of it.
type Arg struct {
	Key, Value string
	HasValue   bool // tells "key=" from "key"
}

// Spaces are what separates arguments, isspace() of the kernel for ASCII.
const spaces = " \t\n\v\f\r"

// endOfArgs is the word after which everything belongs to init; see
// kernel-parameters in the kernel's admin guide.
const endOfArgs = "--"

// Parse splits a command line as the kernel and systemd do: at white space that
// is not between double quotes. The quotes group and vanish, there is no
// escape, and a quote that is never closed extends to the end. Every text is a
// command line.
func Parse(s string) Cmdline {
	var c Cmdline
	for s = strings.TrimLeft(s, spaces); s != ""; s = strings.TrimLeft(s, spaces) {
		n := wordEnd(s)
		if word := strings.ReplaceAll(s[:n], `"`, ""); word != "" {
			c = append(c, parseArg(word))
		}
		s = s[n:]
	}
	return c
}

// wordEnd returns the length of the word at the beginning of s.
func wordEnd(s string) int {
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case !quoted && strings.IndexByte(spaces, s[i]) >= 0:
			return i
		}
	}
	return len(s)
}

// parseArg splits a word at its first '='. One that begins the word is part of
// the key, as for the kernel.
func parseArg(word string) Arg {
	if i := strings.IndexByte(word[1:], '='); i >= 0 {
		return Arg{Key: word[:i+1], Value: word[i+2:], HasValue: true}
	}
	return Arg{Key: word}
}

// String returns the argument as it is written on a command line, with quotes
// around it if it holds white space. A quote in the key or the value cannot be
// written and is left out.
func (a Arg) String() string {
	word := a.Key
	if a.HasValue {
		word += "=" + a.Value
	}
	word = strings.ReplaceAll(word, `"`, "")
	if !strings.ContainsAny(word, spaces) {
		return word
	}
	// Every reader knows quotes around the value; some know them around the
	// whole word only if the key has spaces, which is rarer still.
	if key, value, ok := strings.Cut(word, "="); ok && key != "" && !strings.ContainsAny(key, spaces) {
		return key + `="` + value + `"`
	}
	return `"` + word + `"`
}

// String returns the command line as one line that Parse reads back.
func (c Cmdline) String() string {
	words := make([]string, 0, len(c))
	for _, a := range c {
		if word := a.String(); word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// SameKey reports whether two keys are the same to kernel and systemd, for which
// '-' and '_' are one character.
func SameKey(a, b string) bool {
	return strings.ReplaceAll(a, "-", "_") == strings.ReplaceAll(b, "-", "_")
}

// Last returns the value of the last argument with the key, "" for one without
// a value, and whether there is such an argument.
func (c Cmdline) Last(key string) (value string, ok bool) {
	for _, a := range c.args() {
		if SameKey(a.Key, key) {
			value, ok = a.Value, true
		}
	}
	return value, ok
}

// All returns the values of all arguments with the key in their order, "" for
// those without a value.
func (c Cmdline) All(key string) []string {
	var values []string
	for _, a := range c.args() {
		if SameKey(a.Key, key) {
			values = append(values, a.Value)
		}
	}
	return values
}

// Select returns the arguments that have one of the keys, in their order.
func (c Cmdline) Select(keys ...string) Cmdline {
	var some Cmdline
	for _, a := range c.args() {
		if slices.ContainsFunc(keys, func(key string) bool { return SameKey(a.Key, key) }) {
			some = append(some, a)
		}
	}
	return some
}

// With returns a copy of c in which key=value takes the place of the first
// argument with the key, and all others with the key are gone. If there is
// none, key=value comes last, but before a "--".
func (c Cmdline) With(key, value string) Cmdline {
	arg := Arg{Key: key, Value: value, HasValue: true}
	n := len(c.args())
	var out Cmdline
	done := false
	for _, a := range c[:n] {
		switch {
		case !SameKey(a.Key, key):
			out = append(out, a)
		case !done:
			out, done = append(out, arg), true
		}
	}
	if !done {
		out = append(out, arg)
	}
	return append(out, c[n:]...)
}

// Without returns a copy of c without the arguments that have the key.
func (c Cmdline) Without(key string) Cmdline {
	n := len(c.args())
	var out Cmdline
	for _, a := range c[:n] {
		if !SameKey(a.Key, key) {
			out = append(out, a)
		}
	}
	return append(out, c[n:]...)
}

// args returns the arguments before a "--".
func (c Cmdline) args() Cmdline {
	for i, a := range c {
		if a.Key == endOfArgs && !a.HasValue {
			return c[:i]
		}
	}
	return c
}
