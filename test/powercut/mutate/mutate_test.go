package mutate

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const repository = "../../.."

// TestMutantsCompile finds that every mutant is another program, and one.
func TestMutantsCompile(t *testing.T) {
	if testing.Short() {
		t.Skip("compiling takes a while")
	}
	mutants, err := Find(repository)
	if err != nil {
		t.Fatal(err)
	}
	if len(mutants) < 30 {
		t.Errorf("found %d mutants; the programs sync more often", len(mutants))
	}
	tags, err := BuildTags(repository)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		original, err := os.ReadFile(filepath.Join(repository, m.File))
		if err != nil {
			t.Fatal(err)
		}
		if string(original) == string(m.text) {
			t.Errorf("%s changes nothing", m.Name)
		}
		flags, err := m.Overlay(repository, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		args := append([]string{"-C", repository, "build", "-tags", tags}, flags...)
		cmd := exec.Command("go", append(args, "./"+filepath.Dir(m.File))...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s (%s:%d) does not compile: %v\n%s", m.Name, m.File, m.Line, err, out)
		}
	}
}

func TestOmission(t *testing.T) {
	const source = `package p

func f() error {
	if err := a.b.Sync(); err != nil {
		return syncDir(fsys, "x(")
	}
	return nil
}
`
	mutants, err := omissions("p/p.go", []byte(source))
	if err != nil || len(mutants) != 2 {
		t.Fatalf("omissions = %v, %v; want two", mutants, err)
	}
	for i, want := range []string{
		"\tif err := func(...any) error { return nil }(a.b.Sync); err != nil {\n",
		"\t\treturn func(...any) error { return nil }(syncDir, fsys, \"x(\")\n",
	} {
		if got := string(mutants[i].text); !strings.Contains(got, want) {
			t.Errorf("mutant %d is\n%s; want in it\n%s", i, got, want)
		}
	}
	if got, want := mutants[1].Name, `p.f: syncDir(fsys, "x(")`; got != want {
		t.Errorf("name is %q; want %q", got, want)
	}
}
