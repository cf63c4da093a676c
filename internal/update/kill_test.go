package update_test

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/repair"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
	ocitest "github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// TestChild is the process that TestKilled kills. It changes a machine: "apply
// DIRECTORY REFERENCE", "prune DIRECTORY" or "gc DIRECTORY".
func TestChild(t *testing.T) {
	args := durabletest.ChildArgs()
	if len(args) == 0 {
		return
	}
	if err := change(t.Context(), args); err != nil {
		t.Fatal(err)
	}
}

func change(ctx context.Context, args []string) error {
	switch args[0] {
	case "apply":
		_, err := apply(ctx, args[1], args[2])
		return err
	case "gc":
		return collect(ctx, args[1])
	}
	m, err := update.Open(machine.Place{Dir: args[1]}, func(error) {})
	if err != nil {
		return err
	}
	_, err = m.Prune(ctx, false)
	return errors.Join(err, m.Close())
}

// collect does what repo gc does.
func collect(ctx context.Context, dir string) error {
	repository, err := repo.Open(dir + "/composefs")
	if err != nil {
		return err
	}
	defer repository.Close()
	unlock, err := repository.Lock(true)
	if err != nil {
		return err
	}
	defer unlock()
	keep := repo.Roots{EachObject: erofs.EachObject}
	if keep.Images, err = deployed(dir); err != nil {
		return err
	}
	_, err = repository.GC(ctx, keep, false)
	return err
}

// deployed returns the ids of the deployments that have a state directory.
func deployed(dir string) (ids []string, err error) {
	list, err := os.ReadDir(dir + "/state/deploy")
	for _, d := range list {
		ids = append(ids, d.Name())
	}
	return ids, err
}

// manyFiles returns a layer with files that are objects, and have word in them.
func manyFiles(t *testing.T, word string, n int) []byte {
	t.Helper()
	content := make(map[string]string)
	headers := []tar.Header{{Name: "usr/many/", Typeflag: tar.TypeDir, Mode: 0o755}}
	for i := range n {
		name := fmt.Sprintf("usr/many/%04d", i)
		headers = append(headers, tar.Header{Name: name, Mode: 0o644})
		content[name] = strings.Repeat(fmt.Sprintf("%s %d ", word, i), 1000)
	}
	data, err := ocitest.Tar(headers, content)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestKilled kills an apply of a first image, one of another that follows it, a
// prune of what both leave and a gc of what nothing needs, on a file system in memory: what a killed program
// has written is all there. The same once more gets through, and leaves what is
// left when nothing has happened, of which repo fsck has nothing to say.
func TestKilled(t *testing.T) {
	t.Parallel()
	ns.Run(t, func(t *testing.T) {
		work := ns.Dir(t)
		if err := syscall.Mount("tmpfs", work, "tmpfs", 0, "mode=755"); err != nil {
			t.Fatalf("mount tmpfs: %v", err)
		}
		layout := work + "/layout"
		first := ocitest.Image{Layers: [][]byte{archive(t, ""), manyFiles(t, "file", 40)}}
		other := ocitest.Image{Layers: [][]byte{archive(t, ""), manyFiles(t, "other", 40)}}
		images := map[string]ocitest.Image{"1": first, "4": other}
		for _, tag := range []string{"2", "3"} {
			img := first
			img.Layers = append(slices.Clone(img.Layers), archive(t, "", tar.Header{Name: "usr/" + tag, Typeflag: tar.TypeReg, Mode: 0o644}))
			images[tag] = img
		}
		for tag, img := range images {
			if err := ocitest.WriteLayout(layout, tag, img); err != nil {
				t.Fatal(err)
			}
		}
		ref := "oci:" + layout + ":"
		empty, one, three, four := work+"/empty", work+"/one", work+"/three", work+"/four"
		if err := os.Mkdir(empty, 0o755); err != nil {
			t.Fatal(err)
		}
		copyDir(t, empty, one)
		bootOnce(t, one, ref+"1")
		copyDir(t, one, three)
		for _, tag := range []string{"2", "3"} {
			bootOnce(t, three, ref+tag)
			update.BlessAll(t, three)
		}
		copyDir(t, one, four)
		forget(t, four, bootOnce(t, four, ref+"4"))
		t.Run("first apply", func(t *testing.T) { kill(t, 10, empty, "apply", ref+"1") })
		t.Run("apply", func(t *testing.T) { kill(t, 50, one, "apply", ref+"2") })
		t.Run("prune", func(t *testing.T) { kill(t, 50, three, "prune") })
		t.Run("gc", func(t *testing.T) { kill(t, 50, four, "gc") })
	})
}

// forget has nothing need a deployment's image and layers any more.
func forget(t *testing.T, dir, id string) {
	t.Helper()
	for _, name := range []string{"state/deploy/" + id, "composefs/streams/refs"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// kill kills "what DIRECTORY more…" for directories like before.
func kill(t *testing.T, times int, before, what string, more ...string) {
	args := func(dir string) []string { return append([]string{what, dir}, more...) }
	dir := before + "-" + what
	durabletest.Killing{
		Times: times,
		Prepare: func(t *testing.T) string {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			copyDir(t, before, dir)
			return dir
		},
		Command: func(dir string) *exec.Cmd { return durabletest.Child(args(dir)...) },
		Again: func(dir string) error {
			if err := change(t.Context(), args(dir)); err != nil {
				return err
			}
			return checkRepository(t.Context(), dir)
		},
		State: withoutHistory,
	}.Run(t)
}

// history matches the history, to which a change is added after it was made: one that is
// killed in between is missing there, and the next one replaces what is left of it.
var history = regexp.MustCompile(`(?m)^state/sysupdate-image/history\.(jsonl|jsonl\.tmp|lock) .*\n`)

func withoutHistory(t *testing.T, dir string) string {
	t.Helper()
	return history.ReplaceAllString(listing(t, dir), "")
}

// checkRepository returns what repo fsck finds.
func checkRepository(ctx context.Context, dir string) error {
	repo, err := repo.Open(dir + "/composefs")
	if err != nil {
		return err
	}
	defer repo.Close()
	ids, err := deployed(dir)
	if err != nil {
		return err
	}
	report, err := repair.Run(ctx, repo, repair.Options{Deployments: ids})
	if err == nil && report.Left() > 0 {
		err = fmt.Errorf("repo fsck: %v", report.Findings)
	}
	return err
}

// copyDir makes the directory to with what is in from.
func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if text, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}

// bootOnce applies an image, and leaves a change to /etc as if it had run.
func bootOnce(t *testing.T, dir, ref string) (id string) {
	t.Helper()
	result, err := apply(t.Context(), dir, ref)
	if err != nil {
		t.Fatal(err)
	}
	// The image has /etc bound: it holds all of it.
	local := filepath.Join(dir, result.ID.EtcDir(), "local.conf")
	if err := os.WriteFile(local, []byte("local\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return string(result.ID)
}
