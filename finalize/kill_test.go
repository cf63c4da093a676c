package finalize

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// TestChild is the process that TestKilled kills. It finalizes what is staged on the
// machine with the root that it is given.
func TestChild(t *testing.T) {
	args := durabletest.ChildArgs()
	if len(args) == 0 {
		return
	}
	root, err := os.OpenRoot(args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := Run(root, nil, os.Stderr, os.Exit); err != nil {
		t.Fatal(err)
	}
}

// TestKilled kills finalize at random moments. Once more it gets through, and
// leaves what it leaves when nothing has happened. The deployment has all of its
// /etc in a directory, which is the most to write.
func TestKilled(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		r := makeRig(t, deployment.EtcBind, deployment.EtcBind)
		for i := range 50 {
			r.must(os.WriteFile(filepath.Join(r.disk, r.booted.EtcDir(), fmt.Sprintf("local%02d", i)), []byte(long("local")), 0o644))
		}
		record, err := os.ReadFile(filepath.Join(r.disk, deployment.StagedRecord))
		r.must(err)
		staged, err := deployment.ParseStaged(record)
		r.must(err)
		seed := t.TempDir()
		parts := []string{"state/deploy", deployment.StateDir, "boot"}
		for _, part := range parts {
			r.copyTree(filepath.Join(r.disk, part), filepath.Join(seed, part))
		}
		root := r.root.Name()
		durabletest.Killing{
			Times: 50,
			Prepare: func(*testing.T) string {
				for _, part := range parts {
					r.empty(filepath.Join(r.disk, part))
					r.copyTree(filepath.Join(seed, part), filepath.Join(r.disk, part))
				}
				r.record(staged)
				return root
			},
			Command: func(root string) *exec.Cmd { return durabletest.Child(root) },
			Again: func(root string) error {
				dir, err := os.OpenRoot(root)
				r.must(err)
				defer dir.Close()
				if err := Run(dir, nil, io.Discard, os.Exit); err != nil {
					return err
				}
				r.checkPublished()
				return nil
			},
			State: func(t *testing.T, _ string) string {
				var out strings.Builder
				for _, part := range parts {
					out.WriteString(r.listing(part))
				}
				return out.String()
			},
		}.Run(t)
	})
}

// empty removes what is in a directory; the directory itself may be mounted
// elsewhere.
func (r *rig) empty(dir string) {
	r.t.Helper()
	list, err := os.ReadDir(dir)
	r.must(err)
	for _, d := range list {
		r.must(os.RemoveAll(filepath.Join(dir, d.Name())))
	}
}

func (r *rig) copyTree(from, to string) {
	r.t.Helper()
	r.must(os.MkdirAll(to, 0o755))
	if out, err := exec.Command("cp", "-a", from+"/.", to).CombinedOutput(); err != nil {
		r.t.Fatalf("%v\n%s", err, out)
	}
}

// listing returns what is below a directory of the disk, a line each.
func (r *rig) listing(dir string) string {
	r.t.Helper()
	var out strings.Builder
	r.must(filepath.WalkDir(filepath.Join(r.disk, dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		size := info.Size()
		if d.IsDir() {
			size = 0
		}
		fmt.Fprintf(&out, "%s %v %d\n", strings.TrimPrefix(path, r.disk), info.Mode(), size)
		return nil
	}))
	return out.String()
}
