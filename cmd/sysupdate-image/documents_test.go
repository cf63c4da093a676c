package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// typed matches a command line of ours in a document: in a block, after a prompt or RUN or
// not, or in backquotes.
var typed = regexp.MustCompile("(?m)^(?: {4,}|RUN |    # )*(sysupdate-image [^\n]+)|`(sysupdate-image [^`\n]+)`")

// TestCommandsOfDocuments wants each command line in a document to be one that this program
// takes: its commands, flags and arguments.
func TestCommandsOfDocuments(t *testing.T) {
	count := 0
	for _, pattern := range []string{"*.md", "docs/*.md", "packaging/*.md", "images/*/Containerfile"} {
		files, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no documents at %s, %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range commandsIn(string(text)) {
				count++
				if err := takes(line); err != nil {
					t.Errorf("%s: %s: %v", file, line, err)
				}
			}
		}
	}
	if count < 40 {
		t.Errorf("documents have %d command lines; want at least 40: are they not found any more?", count)
	}
}

// commandsIn returns the command lines of a document, without comments and other commands.
func commandsIn(document string) (lines []string) {
	document = strings.ReplaceAll(document, "\\\n", " ")
	for _, m := range typed.FindAllStringSubmatch(document, -1) {
		line, _, _ := strings.Cut(m[1]+m[2], " #")
		if at := strings.IndexAny(line, "|>&;"); at >= 0 {
			line = line[:at]
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

// takes returns an error if the program does not take a command line.
func takes(line string) error {
	root := (&session{}).command()
	root.InitDefaultHelpCmd()
	root.InitDefaultVersionFlag()
	command, rest, err := root.Find(strings.Fields(line)[1:])
	if err != nil {
		return err
	}
	if err := command.ParseFlags(rest); err != nil {
		return err
	}
	return command.ValidateArgs(command.Flags().Args())
}

func TestCommandsOfDocumentsAreFound(t *testing.T) {
	got := commandsIn("    sysupdate-image apply REF    # now\n    sysupdate-image apply \\\n        --plan | cat\n" +
		"RUN sysupdate-image lint\nit is `sysupdate-image status` that says so, and sysupdate-image is the program\n")
	want := []string{"sysupdate-image apply REF", "sysupdate-image apply          --plan", "sysupdate-image lint", "sysupdate-image status"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("commandsIn = %q; want %q", got, want)
	}
	for _, line := range []string{"sysupdate-image appply", "sysupdate-image apply --plam", "sysupdate-image rm"} {
		if takes(line) == nil {
			t.Errorf("%s is taken", line)
		}
	}
}

// TestUnitOfDocument shows the unit in docs/security.md to systemd.
func TestUnitOfDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, unit, _ := strings.Cut(string(text), "```ini\n[Unit]")
	unit, _, found := strings.Cut(unit, "```")
	if !found || !strings.Contains(unit, "NotifyAccess=main") {
		t.Fatal("docs/security.md has no unit with NotifyAccess=main")
	}
	const program = "/usr/bin/sysupdate-image"
	if !strings.Contains(unit, "ExecStart="+program) {
		t.Errorf("the unit does not start %s", program)
	}
	name := filepath.Join(t.TempDir(), "update.service")
	unit = strings.ReplaceAll("[Unit]"+unit, "ExecStart="+program, "ExecStart=/bin/true") // which is here
	if err := os.WriteFile(name, []byte(unit), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", name).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
