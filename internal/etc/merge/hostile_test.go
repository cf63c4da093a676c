package merge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// carry reads "upper" below root and writes it as "new", as for another image that
// has nothing. It returns what Skipped says.
func carry(t *testing.T, root *os.Root) []string {
	t.Helper()
	dir, err := root.Open("upper")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	have, err := ReadDir(t.Context(), dir, digest.SHA512, nil)
	if err != nil {
		t.Fatalf("ReadDir = %v", err)
	}
	empty := &tree.Node{Mode: tree.TypeDir | 0o755}
	local, err := FromUpper(have, empty)
	if err != nil {
		t.Fatal(err)
	}
	open := LocalOpener(dir, nil)
	result, err := Rebase(t.Context(), empty, local, empty, Options{Open: open})
	if err != nil {
		t.Fatalf("Rebase = %v", err)
	}
	if err := WriteUpper(t.Context(), root, "new", result.Tree, empty, open); err != nil {
		t.Fatalf("WriteUpper = %v", err)
	}
	return Skipped(local)
}

func upperIn(t *testing.T) (string, *os.Root) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	if err := os.Mkdir(filepath.Join(dir, "upper"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir, root
}

// TestLargeLocalFiles: what a service makes in its directory in /etc costs neither
// time nor disk space, and nothing of it is lost.
func TestLargeLocalFiles(t *testing.T) {
	dir, root := upperIn(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	content := bytes.Repeat([]byte("0123456789abcdef"), int(limits.EtcFile.Value)/16+1)
	sparse := func(name string, size int64) error {
		return errors.Join(os.WriteFile(at(name), []byte("begin"), 0o640), os.Truncate(at(name), size))
	}
	if err := errors.Join(
		sparse("upper/tebibyte", 1<<40),
		sparse("upper/small", 1<<20),
		os.WriteFile(at("upper/full"), content, 0o600),
		os.WriteFile(at("upper/other"), bytes.Repeat([]byte("x"), 1000), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	warnings := strings.Join(carry(t, root), "\n")
	if took := time.Since(began); took > time.Minute {
		t.Errorf("took %v", took)
	}
	if !strings.Contains(warnings, "/tebibyte: kept") || !strings.Contains(warnings, "/full: kept") || strings.Contains(warnings, "small") {
		t.Errorf("warnings:\n%s\nwant tebibyte and full", warnings)
	}
	for name, wantRoom := range map[string]int64{"tebibyte": 1 << 20, "small": 1 << 19, "full": 1 << 30, "other": 1 << 20} {
		before, err := os.Stat(at("upper/" + name))
		if err != nil {
			t.Fatal(err)
		}
		after, err := os.Stat(at("new/" + name))
		if err != nil || after.Size() != before.Size() || after.Mode() != before.Mode() {
			t.Fatalf("%s: %v, %v; want %v", name, after, err, before)
		}
		if room := after.Sys().(*syscall.Stat_t).Blocks * 512; room > wantRoom {
			t.Errorf("%s takes %d bytes; want %d at most", name, room, wantRoom)
		}
		if linked := os.SameFile(before, after); linked != (name == "full") {
			t.Errorf("%s is the same file: %v", name, linked)
		}
	}
	got, err := os.ReadFile(at("new/small"))
	if want := append([]byte("begin"), make([]byte, 1<<20-5)...); err != nil || !bytes.Equal(got, want) {
		t.Errorf("a file with a hole has another content: %v", err)
	}
}

// TestSparseContents: the holes are where they were, whatever lies between them.
func TestSparseContents(t *testing.T) {
	dir, root := upperIn(t)
	f, err := os.Create(filepath.Join(dir, "upper/f"))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{0, 100_000, 1 << 20, 1<<20 + 5000, 3 << 20} {
		if _, err := f.WriteAt([]byte("here"), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.Truncate(4<<20+1), f.Close()); err != nil {
		t.Fatal(err)
	}
	carry(t, root)
	want, err := os.ReadFile(filepath.Join(dir, "upper/f"))
	got, errGot := os.ReadFile(filepath.Join(dir, "new/f"))
	if err != nil || errGot != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, not the %d as before: %v, %v", len(got), len(want), err, errGot)
	}
}

// makeDeep makes directories in each other, of which none has a path that the
// kernel would take.
func makeDeep(t *testing.T, dir string, depth int) {
	t.Helper()
	at, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for range depth {
		if err := sys.Mkdirat(at, "d", 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := sys.Openat(at, "d", os.O_RDONLY|syscall.O_DIRECTORY, 0)
		if err != nil {
			t.Fatal(err)
		}
		at.Close()
		at = next
	}
	at.Close()
}

// TestDeepLocalDirectories: 10,000 directories in each other neither stop a merge
// nor the removal of the deployment.
func TestDeepLocalDirectories(t *testing.T) {
	dir, root := upperIn(t)
	makeDeep(t, filepath.Join(dir, "upper"), 10_000)
	if err := os.WriteFile(filepath.Join(dir, "upper/z"), []byte("kept"), 0o644); err != nil {
		t.Fatal(err)
	}
	limitDescriptors(t, 200)
	began := time.Now()
	warnings := carry(t, root)
	checkDeep(t, dir)
	if len(warnings) != 1 || !strings.HasSuffix(strings.SplitN(warnings[0], ":", 2)[0], "/d/d/d") {
		t.Errorf("warnings: %.300q; want one for a directory", warnings)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "new/z")); string(text) != "kept" {
		t.Errorf("new/z = %q, %v", text, err)
	}
	took := time.Since(began)
	if took > time.Minute {
		t.Errorf("the merge took %v", took)
	}
	t.Logf("the merge took %v", took)
	began = time.Now()
	if err := durable.RemoveAll(durable.Unsynced(durable.OS(root)), "upper"); err != nil {
		t.Errorf("RemoveAll = %v", err)
	}
	if took := time.Since(began); took > 2*time.Minute {
		t.Errorf("the removal took %v", took)
	}
	if _, err := root.Lstat("upper"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("upper is still there: %v", err)
	}
}

// limitDescriptors lets this process open few files during a test.
func limitDescriptors(t *testing.T, n uint64) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before) })
}

// checkDeep checks that as many directories were carried over as may be.
func checkDeep(t *testing.T, dir string) {
	t.Helper()
	last := filepath.Join(dir, "new", strings.Repeat("d/", int(limits.EtcDepth.Value)))
	if _, err := os.Stat(last); err != nil {
		t.Errorf("not all directories were carried over: %v", err)
	}
	if _, err := os.Stat(filepath.Join(last, "d", "d")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("more directories were carried over than the limit allows: %v", err)
	}
}

// TestInterruptedMerge: each step on a large tree ends soon after the context has.
func TestInterruptedMerge(t *testing.T) {
	dir, root := upperIn(t)
	for i := range 20_000 {
		if err := os.WriteFile(filepath.Join(dir, "upper", fmt.Sprint(i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "large"), nil, 0o644),
		os.Truncate(filepath.Join(dir, "large"), limits.EtcFile.Value),
		os.Rename(filepath.Join(dir, "large"), filepath.Join(dir, "upper/0.large")),
	); err != nil {
		t.Fatal(err)
	}
	f, err := root.Open("upper")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	node, err := ReadDir(t.Context(), f, digest.SHA512, nil)
	if err != nil {
		t.Fatal(err)
	}
	empty, open := &tree.Node{Mode: tree.TypeDir | 0o755}, LocalOpener(f, nil)
	for name, step := range map[string]func(context.Context) error{
		"ReadDir": func(ctx context.Context) error { _, err := ReadDir(ctx, f, digest.SHA512, nil); return err },
		"Rebase": func(ctx context.Context) error {
			_, err := Rebase(ctx, empty, node, empty, Options{Open: open})
			return err
		},
		"Diff":     func(ctx context.Context) error { _, err := Diff(ctx, empty, node, open); return err },
		"ToUpper":  func(ctx context.Context) error { _, err := ToUpper(ctx, node, clone(node), open); return err },
		"WriteDir": func(ctx context.Context) error { return WriteDir(ctx, root, "out", node, open) },
	} {
		ctx, why := newCountdown(t.Context(), 3)
		if err := step(ctx); !errors.Is(err, why) {
			t.Errorf("%s = %v; want %v", name, err, why)
		}
		if n := ctx.left; n < -50 {
			t.Errorf("%s asked %d more times after the context had ended", name, -n)
		}
	}
	if list, err := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("%v is left, %v; want the directory upper alone", list, err)
	}
}

// A countdown is a context that ends when it has been asked for a number of times.
type countdown struct {
	context.Context
	end  context.CancelCauseFunc
	why  error
	left int
}

func newCountdown(parent context.Context, n int) (*countdown, error) {
	why := errors.New("enough")
	ctx, end := context.WithCancelCause(parent)
	return &countdown{ctx, end, why, n}, why
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		c.end(c.why)
	}
	return c.Context.Err()
}

// TestLargeAccounts: a passwd of gigabytes is not read, and the local one stays.
func TestLargeAccounts(t *testing.T) {
	file := func(size int64, text string) *tree.Node {
		etc := &tree.Node{Mode: tree.TypeDir | 0o755}
		etc.Set("passwd", &tree.Node{Mode: tree.TypeRegular | 0o644, Size: uint64(size), Inline: []byte(text)})
		return etc
	}
	huge := file(1<<32, "")
	huge.Entry("passwd").Inline = nil
	huge.Entry("passwd").SetPayload("huge")
	base, small := file(2, "a\n"), file(4, "a\nb\n")
	for name, tt := range map[string]struct{ local, new *tree.Node }{"local": {huge, small}, "new": {small, huge}} {
		result, err := Rebase(t.Context(), base, tt.local, tt.new, Options{})
		if err != nil || result.Tree.Entry("passwd") != tt.local.Entry("passwd") {
			t.Errorf("a huge %s one: %v; want the local one, and no content read", name, err)
		}
	}
}
