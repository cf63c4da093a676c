package edit

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/carry"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/merge"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// A rig is a directory with an /etc of a running machine.
type rig struct {
	t   *testing.T
	dir string
	etc string
}

// newRig makes the image's files, and an /etc over them.
func newRig(t *testing.T, mode deployment.EtcMode) *rig {
	t.Helper()
	ns.NeedRealRoot(t)
	r := &rig{t: t, dir: ns.Dir(t)}
	r.etc = r.dir + "/etc"
	r.fill(r.dir + "/image")
	switch mode {
	case deployment.EtcOverlay:
		for _, name := range []string{"upper", "work", "etc"} {
			r.must(os.Mkdir(r.dir+"/"+name, 0o755))
		}
		r.must(syscall.Mount("overlay", r.etc, "overlay", 0, "lowerdir="+r.dir+"/image,upperdir="+r.dir+"/upper,workdir="+r.dir+"/work"))
	default:
		r.fill(r.etc)
	}
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// fill writes what the image has.
func (r *rig) fill(dir string) {
	r.must(os.MkdirAll(dir+"/d/sub/deep", 0o755))
	r.must(os.MkdirAll(dir+"/gone.d/sub", 0o750))
	r.must(os.MkdirAll(dir+"/becomes.file", 0o755))
	for _, name := range []string{"a", "mode", "gone", "d/x", "d/y", "d/sub/deep/z", "gone.d/sub/f", "becomes.file/f", "becomes.dir", "becomes.link", "passwd"} {
		r.must(os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat("image "+name+"\n", 10)), 0o644))
	}
	r.must(os.Chmod(dir+"/gone.d/sub/f", 0o4755))
	r.must(os.Chown(dir+"/gone.d/sub/f", 0, 7))
	r.must(os.Chmod(dir+"/gone.d/sub/f", 0o4755))
	r.must(os.Symlink("a", dir+"/link"))
	r.must(syscall.Setxattr(dir+"/a", "trusted.image", []byte("1"), 0))
}

// edit makes local changes of every kind.
func (r *rig) edit() {
	write := func(name string) { r.must(os.WriteFile(filepath.Join(r.etc, name), []byte("mine\n"), 0o600)) }
	write("a")
	r.must(syscall.Removexattr(r.etc+"/a", "trusted.image"))
	r.must(os.Chmod(r.etc+"/mode", 0o600))
	r.must(syscall.Setxattr(r.etc+"/mode", "trusted.mine", []byte("1"), 0))
	r.must(os.Remove(r.etc + "/gone"))
	r.must(os.RemoveAll(r.etc + "/gone.d"))
	r.must(os.Chmod(r.etc+"/d", 0o700))
	r.must(os.Remove(r.etc + "/d/y"))
	write("d/mine")
	write("d/sub/deep/z")
	r.must(os.MkdirAll(r.etc+"/added.d/sub", 0o755))
	write("added.d/sub/f")
	r.must(os.RemoveAll(r.etc + "/becomes.file"))
	write("becomes.file")
	r.must(os.Remove(r.etc + "/becomes.dir"))
	r.must(os.Mkdir(r.etc+"/becomes.dir", 0o755))
	write("becomes.dir/f")
	r.must(os.Remove(r.etc + "/becomes.link"))
	r.must(os.Symlink("/nowhere", r.etc+"/becomes.link"))
	r.must(os.Remove(r.etc + "/link"))
	write("link")
}

func (r *rig) read(dir string) *tree.Node {
	r.t.Helper()
	f, err := os.Open(dir)
	r.must(err)
	defer f.Close()
	tree, err := merge.ReadDir(r.t.Context(), f, digest.SHA512, nil)
	r.must(err)
	return tree
}

// open is Open for the rig.
func (r *rig) open() *Etc {
	r.t.Helper()
	live, err := os.OpenRoot(r.etc)
	r.must(err)
	image, err := os.Open(r.dir + "/image")
	r.must(err)
	local, err := os.Open(r.etc)
	r.must(err)
	trees, open, err := merge.ReadDirs(r.t.Context(), digest.SHA512, image, local)
	r.must(err)
	e := &Etc{Side: carry.Side{Etc: deployment.EtcOverlay}, Base: trees[0], Local: trees[1], open: open, live: live}
	e.close = []func() error{live.Close, image.Close, local.Close}
	r.t.Cleanup(func() { e.Close() })
	return e
}

// differences returns what is otherwise than in the image.
func (r *rig) differences() []string {
	r.t.Helper()
	d, err := diff.Trees(r.read(r.dir+"/image"), r.read(r.etc), diff.Options{Ignore: diff.Mtime | diff.Links})
	r.must(err)
	var out []string
	for _, c := range d.Changes {
		out = append(out, c.String())
	}
	return out
}

func (r *rig) reset(paths ...string) {
	r.t.Helper()
	e := r.open()
	steps, err := e.PlanReset(r.t.Context(), paths, false)
	r.must(err)
	r.must(e.Apply(r.t.Context(), steps))
}

var edited = []string{
	"/etc/a", "/etc/mode", "/etc/gone", "/etc/gone.d", "/etc/d", "/etc/added.d", "/etc/becomes.file", "/etc/becomes.dir",
	"/etc/becomes.link", "/etc/link",
}

func TestReset(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		for _, mode := range []deployment.EtcMode{deployment.EtcOverlay, deployment.EtcBind} {
			r := newRig(t, mode)
			r.edit()
			// What a reset that was stopped has left is no hindrance.
			r.must(os.Mkdir(r.etc+"/"+temp, 0o755))
			r.reset(edited...)
			if left := r.differences(); len(left) > 0 {
				t.Errorf("%s: not as the image has it: %q", mode, left)
			}

			// One file in a directory that was deleted.
			r.edit()
			r.reset("/etc/gone.d/sub/f", "/etc/d/sub")
			got := r.differences()
			if slices.Contains(got, "- /gone.d/sub/f") || slices.Contains(got, "~ /d/sub/deep/z") || !slices.Contains(got, "+ /d/mine") {
				t.Errorf("%s: after a reset of some: %q", mode, got)
			}
		}
	})
}

// A plan says what it will do, and refuses what it should.
func TestPlanReset(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		r := newRig(t, deployment.EtcBind)
		r.edit()
		e := r.open()
		var got []string
		steps, err := e.PlanReset(t.Context(), []string{"/etc/d", "/etc/gone.d/sub/f", "/etc/becomes.dir", "/etc/d"}, false)
		r.must(err)
		for _, s := range steps {
			got = append(got, s.String())
		}
		want := []string{
			"restore owner, mode and attributes of /etc/d",
			"remove /etc/d/mine, a file that is not in the image",
			"replace /etc/d/sub/deep/z with the image's file",
			"restore /etc/d/y, a deleted file",
			"create the directory /etc/gone.d, empty",
			"create the directory /etc/gone.d/sub, empty",
			"restore /etc/gone.d/sub/f, a deleted file",
			"replace /etc/becomes.dir with the image's file",
		}
		if !slices.Equal(got, want) {
			t.Errorf("PlanReset = %q; want %q", got, want)
		}
		e.mounts = []mountplan.Mounted{{Where: "/etc"}, {Where: "/etc/added.d/sub"}}
		for path, want := range map[string]string{
			"/etc":                "name the files",
			"/etc/passwd":         "none of the accounts made on this machine",
			"/etc/nothing":        "no such file here or in the image",
			"/etc/becomes.file/f": "reset /etc/becomes.file",
			"/etc/added.d":        "/etc/added.d/sub is a mount point",
		} {
			if steps, err := e.PlanReset(t.Context(), []string{path}, false); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("PlanReset(%s) = %v, %v; want an error with %q", path, steps, err, want)
			}
		}
		if _, err := e.PlanReset(t.Context(), []string{"/etc/passwd"}, true); err != nil {
			t.Errorf("PlanReset with force = %v", err)
		}
	})
}

// What is already done when a reset stops is whole, and the next one goes on.
func TestResetStopped(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		for n := range edited {
			r := newRig(t, deployment.EtcOverlay)
			r.edit()
			e := r.open()
			steps, err := e.PlanReset(t.Context(), edited, false)
			r.must(err)
			r.must(e.Apply(t.Context(), steps[:min(n, len(steps))]))
			if i := slices.IndexFunc(steps, func(s Step) bool { return s.Path == "/etc/added.d" }); i < n {
				// There is nothing of that name any more, which is said.
				again := slices.DeleteFunc(slices.Clone(edited), func(p string) bool { return p == "/etc/added.d" })
				r.reset(again...)
			} else {
				r.reset(edited...)
			}
			if left := r.differences(); len(left) > 0 {
				t.Errorf("stopped after %d steps: %q", n, left)
			}
		}
	})
}

// TestResetDeep: directories in each other, more than a process may have open, are removed.
func TestResetDeep(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		r := newRig(t, deployment.EtcOverlay)
		var before syscall.Rlimit
		r.must(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before))
		r.must(os.MkdirAll(r.etc+"/added.d/"+strings.Repeat("d/", 900), 0o755))
		r.must(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 200, Max: before.Max}))
		defer func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before) }()
		r.reset("/etc/added.d")
		if left := r.differences(); len(left) > 0 {
			t.Errorf("left: %.300q", left)
		}
	})
}
