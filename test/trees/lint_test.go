package trees

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/sysusers"
	"github.com/sysupdate-image/sysupdate-image/internal/format/tmpfiles"
	"github.com/sysupdate-image/sysupdate-image/internal/image/lint"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
)

// lintOf checks an image or a directory, as the command does.
func lintOf(t testing.TB, name string) lint.Report {
	t.Helper()
	var layers []lint.Layer
	img, err := source.Open(t.Context(), name, source.Options{
		Shallow: true, NoMounts: true, Contents: lint.Contents,
		AfterLayer: func(l oci.Layer, root *tree.Node) {
			layers = append(layers, lint.Layer{Digest: l.Digest.String(), Secrets: lint.SecretsIn(root)})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	r, err := lint.Run(t.Context(), lint.Image{Root: img.Root, Open: img.Open, Arch: "amd64", Now: time.Now(), Layers: layers}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Failed {
		t.Errorf("%s: cannot check %s: %s", name, f.Rule, f.Why)
	}
	return r
}

// lines returns findings, a line for each.
func lines(r lint.Report) (all []string) {
	for _, f := range r.Findings {
		all = append(all, f.Rule+" "+f.Path)
	}
	return all
}

// TestLint checks a Debian as its packages leave it, and compares how its drop-ins are read
// with what its own systemd makes of them.
func TestLint(t *testing.T) {
	t.Parallel()
	dir := layout(t, "v1")
	root := unpacked(t, dir, "v1")
	for _, name := range []string{"oci:" + dir + ":v1", root} {
		checkFindings(t, name)
	}
	machine := emptyMachine(t, root)
	t.Run("sysusers", func(t *testing.T) { compareSysusers(t, root, machine) })
	t.Run("tmpfiles", func(t *testing.T) { compareTmpfiles(t, root, machine) })
}

// TestLintBase wants nothing to be found in images/debian, as its users build it.
func TestLintBase(t *testing.T) {
	t.Parallel()
	if os.Getenv("SYSUPDATE_VM_TESTS") != "long" {
		t.Skip("making packages and a base image of them takes minutes: SYSUPDATE_VM_TESTS=long")
	}
	dir := layout(t, "debian")
	r := lintOf(t, "oci:"+dir+":debian")
	if len(r.Findings) > 0 || len(r.Kept) != len(lint.Rules) {
		t.Errorf("found %+v; want nothing", r.Findings)
	}
}

// checkFindings wants what images/debian mends to be found, and nothing else: the same in an
// image and in its files. docker-registry is of the tests.
func checkFindings(t *testing.T, name string) {
	t.Helper()
	want := []string{"sysusers /etc/passwd", "sysusers /etc/group"}
	for _, name := range []string{
		"backups", "cache/adduser", "cache/apt", "cache/debconf", "cache/ldconfig", "lib/apt", "lib/docker-registry", "lib/dpkg",
		"lib/dracut", "lib/misc", "lib/pam", "lib/shells.state", "lib/systemd/catalog", "lib/systemd/deb-systemd-helper-enabled",
		"local", "mail", "opt", "spool/mail",
	} {
		want = append(want, "var-tmpfiles /var/"+name)
	}
	r := lintOf(t, name)
	if got := lines(r); !slices.Equal(got, want) {
		t.Errorf("%s: found\n%s; want\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, f := range r.Findings {
		if f.Rule == "sysusers" && !strings.Contains(f.What, "docker-registry") {
			t.Errorf("%s: %s: %s", name, f.Path, f.What)
		}
	}
}

// inTree runs a command with an unpacked Debian as its root, and returns what it prints.
func inTree(ctx context.Context, root string, args ...string) string {
	script := `mount -t proc proc "$0/proc" && exec chroot "$0" "$@"`
	out, _ := exec.CommandContext(ctx, "unshare", append([]string{"--mount", "--fork", "sh", "-c", script, root}, args...)...).CombinedOutput()
	return string(out)
}

// emptyMachine makes a root below that of a Debian, with its drop-ins and nobody's account.
func emptyMachine(t *testing.T, root string) string {
	t.Helper()
	machine := filepath.Join(root, "machine")
	run(t, "mkdir", "-p", machine+"/usr/lib", machine+"/etc")
	for _, dir := range []string{"sysusers.d", "tmpfiles.d", "os-release"} {
		run(t, "cp", "-a", filepath.Join(root, "usr/lib", dir), machine+"/usr/lib")
	}
	return machine
}

// compareSysusers compares which accounts a Debian has by its drop-ins with those that its
// own systemd-sysusers makes.
func compareSysusers(t *testing.T, root, machine string) {
	t.Helper()
	set, err := sysusers.Load(os.DirFS(machine), map[string]string{"ID": "debian"})
	if err != nil {
		t.Fatal(err)
	}
	out := inTree(t.Context(), root, "systemd-sysusers", "--root=/machine")
	for database, ours := range map[string]map[string]bool{"passwd": set.Users, "group": set.Groups} {
		text, err := os.ReadFile(filepath.Join(machine, "etc", database))
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		var theirs []string
		for line := range strings.Lines(string(text)) {
			name, _, _ := strings.Cut(line, ":")
			theirs = append(theirs, name)
		}
		slices.Sort(theirs)
		if got := slices.Sorted(maps.Keys(ours)); !slices.Equal(got, theirs) || len(got) < 20 {
			t.Errorf("%s: %q; systemd-sysusers made %q\n%s", database, got, theirs, out)
		}
	}
	if len(set.Problems) > 0 {
		t.Errorf("invalid lines: %v; systemd-sysusers says\n%s", set.Problems, out)
	}
}

// complaint is how systemd-tmpfiles names a line in an error.
var complaint = regexp.MustCompile(`(?m)tmpfiles\.d/[^:]+:\d+: .*(Failed|Unknown|Invalid|not absolute|requires|Syntax)`)

// compareTmpfiles compares what a Debian's drop-ins make with what its own systemd-tmpfiles
// makes, on a machine with its accounts. Escapes are as in its version.
func compareTmpfiles(t *testing.T, root, machine string) {
	t.Helper()
	more := "d /var/lib/with\\x20blank\nd /var/lib/%o-%w\nd \"/var/lib/a b\"\nL+ /var/lib/link - - - - /x\nx /var/lib/none\nd /var/lib/bad%Q\n"
	if err := os.WriteFile(filepath.Join(machine, "usr/lib/tmpfiles.d/zz.conf"), []byte(more), 0o644); err != nil {
		t.Fatal(err)
	}
	set, err := tmpfiles.Load(os.DirFS(machine), map[string]string{"ID": "debian", "VERSION_ID": "13"})
	if err != nil {
		t.Fatal(err)
	}
	out := inTree(t.Context(), root, "systemd-tmpfiles", "--root=/machine", "--create", "--boot")
	if got := len(complaint.FindAllString(out, -1)); got != len(set.Problems) || got != 1 {
		t.Errorf("invalid lines: %v; systemd-tmpfiles says\n%s", set.Problems, out)
	}
	made := 0
	for _, dir := range []string{"var", "run", "tmp", "home", "srv", "root"} {
		err := filepath.WalkDir(filepath.Join(machine, dir), func(name string, _ os.DirEntry, err error) error {
			p := strings.TrimPrefix(name, machine)
			if made++; err == nil && !set.Makes(p) && !set.Implies(p) {
				t.Errorf("systemd-tmpfiles made %s, for which there is no line", p)
			}
			return err
		})
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for _, p := range []string{"/var/lib/with blank", "/var/lib/debian-13", "/var/lib/a b", "/var/lib/link", "/var/run"} {
		if _, err := os.Lstat(machine + p); err != nil || !set.Makes(p) {
			t.Errorf("%s: %v, Makes: %v; want it", p, err, set.Makes(p))
		}
	}
	if made < 30 {
		t.Errorf("systemd-tmpfiles made %d files; want more, to compare with\n%s", made, out)
	}
}
