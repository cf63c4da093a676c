package trees

import (
	"bufio"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/selabel"
)

// policyOf reads the SELinux policy of an unpacked system.
func policyOf(t testing.TB, root string) *selabel.Labeler {
	t.Helper()
	l, err := selabel.Load(t.Context(), func(path string) ([]byte, error) { return os.ReadFile(filepath.Join(root, path)) })
	if err != nil {
		t.Fatal(err)
	}
	if l == nil {
		t.Fatal("the system has no policy")
	}
	return l
}

// modesOf returns the modes of all files of an unpacked system, by path.
func modesOf(t testing.TB, root string) map[string]uint32 {
	t.Helper()
	modes := make(map[string]uint32)
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		err = unix.Lstat(path, &st)
		modes["/"+strings.TrimPrefix(strings.TrimPrefix(path, root), "/")] = st.Mode
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return modes
}

// TestLabels labels a Debian by its own policy, as setfiles(8) and matchpathcon(8) of
// that Debian do, in less than a second.
func TestLabels(t *testing.T) {
	t.Parallel()
	root := unpacked(t, layout(t, "selinux"), "selinux")
	modes := modesOf(t, root)

	before := cpuTime(t)
	policy := policyOf(t, root)
	labels := make(map[string]string)
	for _, path := range slices.Sorted(maps.Keys(modes)) {
		if label, ok := policy.Label(path, modes[path]); ok {
			labels[path] = label
		}
	}
	took := cpuTime(t) - before
	t.Logf("%d of %d files have a label; it took %v", len(labels), len(modes), took)
	if took > 5*time.Second {
		t.Errorf("labelling took %v of processor time; want less than a second", took)
	}

	want := setfiles(t, root)
	if len(want) < len(modes)/2 {
		t.Fatalf("setfiles labels %d of %d files", len(want), len(modes))
	}
	var silent []string // what setfiles does not speak of: no label, or a file's second name
	for _, path := range slices.Sorted(maps.Keys(modes)) {
		if want[path] == "" {
			silent = append(silent, path)
		}
	}
	maps.Copy(want, matchpathcon(t, root, silent))
	for path := range modes {
		if labels[path] != want[path] {
			t.Errorf("%s has the label %q; setfiles or matchpathcon %q", path, labels[path], want[path])
		}
	}
}

// setfiles returns the labels that the system's own program would give its files.
func setfiles(t *testing.T, root string) map[string]string {
	t.Helper()
	out := run(t, "chroot", root, "setfiles", "-n", "-v", "-F", "/etc/selinux/default/contexts/files/file_contexts", "/")
	labels := make(map[string]string)
	for lines := bufio.NewScanner(strings.NewReader(out)); lines.Scan(); {
		// Would relabel PATH from <no context> to LABEL
		line, ok := strings.CutPrefix(lines.Text(), "Would relabel ")
		path, label, there := strings.Cut(line, " from <no context> to ")
		if !ok || !there {
			t.Errorf("setfiles says %q", lines.Text())
			continue
		}
		labels[path] = label
	}
	return labels
}

// matchpathcon returns the labels of files by the other program.
func matchpathcon(t *testing.T, root string, paths []string) map[string]string {
	t.Helper()
	labels := make(map[string]string)
	if len(paths) == 0 {
		return labels
	}
	out := run(t, "chroot", append([]string{root, "matchpathcon", "-n"}, paths...)...)
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != len(paths) {
		t.Fatalf("matchpathcon says of %d files\n%s", len(paths), out)
	}
	for i, label := range lines {
		if label != "<<none>>" {
			labels[paths[i]] = label
		}
	}
	return labels
}

func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkLabels measures reading the policy of a Debian and labelling all its
// files.
func BenchmarkLabels(b *testing.B) {
	root := unpacked(b, layout(b, "selinux"), "selinux")
	modes := modesOf(b, root)
	paths := slices.Sorted(maps.Keys(modes))
	for b.Loop() {
		policy := policyOf(b, root)
		for _, path := range paths {
			policy.Label(path, modes[path])
		}
	}
	b.ReportMetric(float64(len(paths)), "files/op")
}
