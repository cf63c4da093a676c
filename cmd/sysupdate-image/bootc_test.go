package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A bootcRow is a row of the table in docs/bootc.md.
type bootcRow struct {
	command, option string // option is without dashes, "" for the command itself
	here, notes     string
}

func (r bootcRow) String() string {
	if r.option == "" {
		return r.command
	}
	return r.command + " --" + r.option
}

func bootcRows(t *testing.T) (rows []bootcRow) {
	t.Helper()
	page, err := os.ReadFile("../../docs/bootc.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "| command | option | here | what to know |\n|---|---|---|---|\n")
	if !found {
		t.Fatal("docs/bootc.md has no table")
	}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(line, "|\n"), "|")
		if len(cells) != 4 {
			t.Fatalf("row %q has %d cells; want 4", line, len(cells))
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, bootcRow{
			command: strings.Trim(cells[0], "`"), option: strings.TrimPrefix(strings.Trim(cells[1], "`"), "--"),
			here: cells[2], notes: cells[3],
		})
	}
	return rows
}

// The table has what bootc has, no more and no less.
func TestBootcTableIsComplete(t *testing.T) {
	list, err := os.ReadFile("testdata/bootc-1.17")
	if err != nil {
		t.Fatal(err)
	}
	have := make(map[string]bool)
	for line := range strings.Lines(string(list)) {
		if !strings.HasPrefix(line, "#") {
			have[strings.TrimSpace(line)] = true
		}
	}
	if len(have) < 100 {
		t.Errorf("the list has %d lines; want at least 100", len(have))
	}
	for _, row := range bootcRows(t) {
		if !have[row.String()] {
			t.Errorf("bootc has no %s, or the table has it twice", row)
		}
		delete(have, row.String())
	}
	for name := range have {
		t.Errorf("the table lacks %s", name)
	}
}

// Each row of the table is true.
func TestBootcTable(t *testing.T) {
	root := (&session{}).command()
	used := bootcLines(t)
	for _, row := range bootcRows(t) {
		t.Run(row.String(), func(t *testing.T) {
			if row.here == "refused" {
				row.wantRefused(t)
				return
			}
			if row.here != "same" && row.here != "different" {
				t.Fatalf("the row says %q; want same, different or refused", row.here)
			}
			cmd, rest, err := root.Find(strings.Fields(row.command))
			if err != nil || len(rest) > 0 {
				t.Fatalf("there is no such command: %v", err)
			}
			cmd.InitDefaultHelpFlag()
			if row.option != "" && cmd.Flag(row.option) == nil {
				t.Fatal("there is no such option")
			}
			if slices.ContainsFunc(withFilesystem(refusals), row.isAbout) {
				t.Error("it is refused")
			}
			ignored := withFilesystem(ignored)
			if i := slices.IndexFunc(ignored, row.isAbout); i >= 0 && row.notes != "accepted and ignored: "+ignored[i].why {
				t.Errorf("the row has %q; want that it is ignored, since %s", row.notes, ignored[i].why)
			}
			if row.here == "different" && row.notes == "" {
				t.Error("the row does not say what differs")
			}
			if !slices.ContainsFunc(used, row.isUsed) {
				t.Error("no script in testdata uses it")
			}
		})
	}
}

func (r bootcRow) isAbout(x refusal) bool { return x.command == r.command && x.option == r.option }

// wantRefused wants the program to refuse what the row is about, for the reason of the row.
func (r bootcRow) wantRefused(t *testing.T) {
	args := strings.Fields(r.command)
	if r.option != "" {
		args = append(args, "--"+r.option)
		refusals := withFilesystem(refusals)
		if i := slices.IndexFunc(refusals, r.isAbout); i >= 0 && refusals[i].value {
			args = append(args, "x")
		}
		args = append(args, "target")
	}
	var out, stderr bytes.Buffer
	s := &session{called: bootcName}
	s.Out, s.Err = &out, &stderr
	code := s.run(t.Context(), args)
	want := "bootc: " + r.command + ": not supported: " + r.notes + "\n"
	if r.option != "" {
		want = "bootc: " + r.command + ": --" + r.option + ": not supported: " + r.notes + "\n"
	}
	if code != exitUsage || !strings.HasPrefix(stderr.String(), want) || out.Len() > 0 {
		t.Errorf("bootc %s: exit code %d, error %q; want %d, %q", strings.Join(args, " "), code, stderr.String(), exitUsage, want)
	}
}

// sysrootFlag is what scripts add for lack of a machine that runs.
var sysrootFlag = regexp.MustCompile(`bootc --sysroot \S+`)

// bootcLines returns the command lines of the scripts that call bootc.
func bootcLines(t *testing.T) (lines []string) {
	t.Helper()
	files, err := filepath.Glob("testdata/bootc*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if _, call, ok := strings.Cut(sysrootFlag.ReplaceAllString(line, "bootc"), "bootc "); ok && !strings.HasPrefix(line, "#") {
				lines = append(lines, strings.TrimSpace(call))
			}
		}
	}
	return lines
}

// isUsed reports whether a command line has what the row is about.
func (r bootcRow) isUsed(line string) bool {
	rest, ok := strings.CutPrefix(line+" ", r.command+" ")
	if !ok || r.option == "" {
		return ok
	}
	return strings.Contains(" "+strings.NewReplacer("=", " ", ";", " ", "'", " ").Replace(rest), " --"+r.option+" ")
}

func TestCalledAs(t *testing.T) {
	for arg0, want := range map[string]string{
		"bootc": "bootc", "/usr/bin/bootc": "bootc", "sysupdate-image": "sysupdate-image", "/usr/bin/bootc2": "sysupdate-image", "": "sysupdate-image",
	} {
		if got := calledAs(arg0); got != want {
			t.Errorf("calledAs(%q) = %q; want %q", arg0, got, want)
		}
	}
}
