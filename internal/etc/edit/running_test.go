package edit

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// A host is a directory that is to a process in it as a machine that runs: with
// its root, /etc, /proc and /sysroot.
type host struct {
	t          *testing.T
	root, disk string
	id         deployment.ID
}

var hostEtc = map[string]string{"a": strings.Repeat("image\n", 20), "gone": "image\n", "d/x": "image\n", "machine-id": ""}

func newHost(t *testing.T, mode deployment.EtcMode) *host {
	t.Helper()
	ns.NeedRealRoot(t)
	t.Setenv("GOTMPDIR", "/var/tmp") // a directory in memory that is bound to /etc is a transient one
	dir := ns.Dir(t)
	h := &host{t: t, root: dir + "/root", disk: dir + "/disk"}
	for _, name := range []string{"root", "disk", "lower/etc/d", "lower/proc", "lower/sysroot", "tmp"} {
		h.must(os.MkdirAll(dir+"/"+name, 0o755))
	}
	for name, content := range hostEtc {
		h.must(os.WriteFile(dir+"/lower/etc/"+name, []byte(content), 0o644))
	}
	h.image()
	h.mount(h.id.MountSource(), h.root, "overlay", syscall.MS_RDONLY, "lowerdir="+dir+"/lower:"+dir+"/tmp")
	h.mount("/proc", h.root+"/proc", "", syscall.MS_BIND, "")
	h.mount(h.disk, h.root+"/sysroot", "", syscall.MS_BIND, "")
	etc := filepath.Join(h.disk, h.id.EtcDir())
	h.must(os.MkdirAll(etc, 0o755))
	switch mode {
	case deployment.EtcOverlay:
		h.overlay("overlay", dir+"/lower/etc", etc)
	case deployment.EtcTransient:
		h.mount("tmpfs", dir+"/tmp", "tmpfs", 0, "")
		h.overlay("transient", dir+"/lower/etc", dir+"/tmp")
	case deployment.EtcBind:
		h.must(os.CopyFS(etc, os.DirFS(dir+"/lower/etc")))
		h.mount(etc, h.root+"/etc", "", syscall.MS_BIND, "")
	}
	return h
}

func (h *host) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) mount(what, where, fstype string, flags uintptr, options string) {
	h.t.Helper()
	if err := syscall.Mount(what, where, fstype, flags, options); err != nil {
		h.t.Fatalf("mount %s at %s: %v", what, where, err)
	}
}

func (h *host) overlay(source, lower, dir string) {
	h.t.Helper()
	for _, name := range []string{"upper", "work"} {
		h.must(os.MkdirAll(dir+"/"+name, 0o755))
	}
	h.mount(source, h.root+"/etc", "overlay", 0, "lowerdir="+lower+",upperdir="+dir+"/upper,workdir="+dir+"/work")
}

// image puts the image into the repository.
func (h *host) image() {
	h.t.Helper()
	repo, err := repo.Init(h.disk+"/"+deployment.RepositoryDir, repo.Options{Algorithm: digest.SHA512})
	h.must(err)
	defer repo.Close()
	etc := &tree.Node{Mode: tree.TypeDir | 0o755}
	etc.Set("d", &tree.Node{Mode: tree.TypeDir | 0o755})
	for name, content := range hostEtc {
		n := &tree.Node{Mode: tree.TypeRegular | 0o644, Size: uint64(len(content)), Inline: []byte(content)}
		if len(content) > 64 {
			n.Inline = nil
			n.Digest, err = repo.PutObject([]byte(content))
			h.must(err)
		}
		etc.Lookup(filepath.Dir("/"+name)).Set(filepath.Base(name), n)
	}
	root := rooted(etc)
	root.Mode |= 0o755
	root.CountLinks()
	d, err := repo.PutImage(func(w io.Writer) error {
		return erofs.Write(context.Background(), w, root, erofs.Options{Version: erofs.V1})
	})
	h.must(err)
	h.id = deployment.ID(d.String())
}

// inside runs f with the host's root as the root.
func (h *host) inside(f func()) {
	h.t.Helper()
	outside, err := os.Open("/")
	h.must(err)
	defer outside.Close()
	h.must(errors.Join(syscall.Chroot(h.root), os.Chdir("/")))
	defer func() { h.must(errors.Join(outside.Chdir(), syscall.Chroot("."))) }()
	f()
}

// place returns the place of the machine with the root directory.
func (h *host) place() machine.Place {
	h.t.Helper()
	root, err := os.OpenRoot("/")
	h.must(err)
	h.t.Cleanup(func() { root.Close() })
	return machine.Place{Host: machine.Host{Root: root, Files: os.DirFS("/")}}
}

// changes returns what etc diff says.
func (h *host) changes() []string {
	h.t.Helper()
	e, err := Open(h.t.Context(), h.place(), false)
	h.must(err)
	defer e.Close()
	changes, err := e.Changes(h.t.Context())
	h.must(err)
	var out []string
	for _, c := range changes {
		out = append(out, c.String())
	}
	return out
}

// A machine that runs is shown as it is, and reset, however it has its /etc and
// whatever is mounted below.
func TestRunningMachine(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		for _, mode := range []deployment.EtcMode{deployment.EtcOverlay, deployment.EtcBind, deployment.EtcTransient} {
			h := newHost(t, mode)
			h.inside(func() {
				if got := h.changes(); len(got) > 0 {
					t.Errorf("%s: before any change: %q", mode, got)
				}
				h.must(os.WriteFile("/etc/a", []byte("mine\n"), 0o644))
				h.must(os.Remove("/etc/gone"))
				h.must(os.WriteFile("/etc/d/mine", nil, 0o600))
				// As systemd does it where there is none.
				h.mount("/etc/a", "/etc/machine-id", "", syscall.MS_BIND, "")
				want := []string{"~ /etc/a  content 120 bytes -> 5 bytes", "+ /etc/d/mine", "- /etc/gone"}
				if got := h.changes(); !slices.Equal(got, want) {
					t.Errorf("%s: %q; want %q", mode, got, want)
				}
				h.reset(mode)
			})
		}
	})
}

func (h *host) reset(mode deployment.EtcMode) {
	h.t.Helper()
	e, err := Open(h.t.Context(), h.place(), true)
	h.must(err)
	defer e.Close()
	if e.ID != h.id || e.Etc != mode {
		h.t.Errorf("it is the /etc of %s, %s; want %s, %s", e.ID.Short(), e.Etc, h.id.Short(), mode)
	}
	if steps, err := e.PlanReset(h.t.Context(), []string{"/etc/machine-id"}, false); len(steps) > 0 || err != nil {
		h.t.Errorf("a mount point where nothing was changed: %v, %v; want no steps", steps, err)
	}
	steps, err := e.PlanReset(h.t.Context(), []string{"/etc/a", "/etc/d", "/etc/gone"}, false)
	h.must(err)
	h.must(e.Apply(h.t.Context(), steps))
	if got := h.changes(); len(got) > 0 {
		h.t.Errorf("%s: after the reset: %q", mode, got)
	}
	if data, err := os.ReadFile("/etc/a"); err != nil || string(data) != hostEtc["a"] {
		h.t.Errorf("%s: /etc/a is %.20q, %v", mode, data, err)
	}
}
