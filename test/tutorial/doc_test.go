package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// TestTutorialIsRead wants the tutorial to have what the test runs: blocks for all places,
// and nothing that is left out but what needs a public registry.
func TestTutorialIsRead(t *testing.T) {
	repository, err := disks.Repository()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(repository, tutorial))
	if err != nil {
		t.Fatal(err)
	}
	found, err := blocks(string(text))
	if err != nil {
		t.Fatal(err)
	}
	count := make(map[string]int)
	for _, b := range found {
		count[b.where]++
	}
	for _, where := range []string{"", inMachine, inMachine + onceQuiet, inTerminal} {
		if count[where] == 0 {
			t.Errorf("%s has no block %q", tutorial, where)
		}
		delete(count, where)
	}
	if len(count) != 1 || count[notInTest+"it needs Docker Hub"] != 1 {
		t.Errorf("blocks that are not run: %v", count)
	}
}

func TestBlocksRefuse(t *testing.T) {
	for document, want := range map[string]string{
		"```sh\n# on the moon\ntrue\n```\n": "where",
		"```text\nyes\n```\n":               "answer to no commands",
		"```sh\ntrue\n":                     "does not end",
		"```sh\ntrue\n```sh\n":              "begins in another",
		"```go\n```\n":                      "kind",
	} {
		if _, err := blocks(document); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("blocks(%q) = %v; want an error with %q", document, err, want)
		}
	}
}

func TestMatches(t *testing.T) {
	for _, test := range []struct {
		output, answer string
		want           bool
	}{
		{"a\nb\n", "a\nb\n", true},
		{"a  \n", "a\n", true},
		{"a\nb\nc\n", "a\n…\nc\n", true},
		{"a\nc\n", "a\n…\nc\n", true},
		{"a\nx\n", "a\n…\nc\n", false},
		{"a\nb\n", "a\n", false},
		{"a (1)\n", "a …\n", true},
		{"a 1\n", "b …\n", false},
	} {
		if got := matches(test.output, test.answer); got != test.want {
			t.Errorf("matches(%q, %q) = %v", test.output, test.answer, got)
		}
	}
}
