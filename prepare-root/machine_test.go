package prepareroot

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/image/rootconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// A machine is a physical root with one deployment, in a directory. fs-verity is
// optional, since the file system may have none.
type machine struct {
	t       *testing.T
	sysroot string
	target  deployment.Target
}

// toolText is the content of the one file that is kept as an object.
var toolText = strings.Repeat("a tool that is too large for the image itself\n", 10)

// newMachine installs an image; without are directories that it lacks.
func newMachine(t *testing.T, without ...string) machine {
	t.Helper()
	m := machine{t: t, sysroot: ns.Dir(t)}
	tool := m.object([]byte(toolText))

	root := dir(0o755)
	for _, name := range []string{"etc", "var", "sysroot", "usr", "boot"} {
		if !slices.Contains(without, name) {
			root.Set(name, dir(0o755))
		}
	}
	if etc := root.Entry("etc"); etc != nil {
		etc.Mode = tree.TypeDir | 0o2751
		etc.GID = 7
		etc.SetXattr("user.note", "kept")
		etc.Set("default.conf", file("default\n"))
		etc.Set("removed.conf", file("to be removed\n"))
	}
	if v := root.Entry("var"); v != nil {
		v.Set("lib", dir(0o755))
		v.Entry("lib").Set("seed", file("from the image\n"))
	}
	root.Entry("usr").Set("tool", &tree.Node{
		Mode: tree.TypeRegular | 0o755, Size: uint64(len(toolText)), Digest: tool,
	})
	root.CountLinks()

	var image bytes.Buffer
	if err := erofs.Write(t.Context(), &image, root, erofs.Options{Version: 1, Algorithm: digest.SHA512}); err != nil {
		t.Fatal(err)
	}
	id := m.object(image.Bytes())
	m.target = deployment.Target{ID: deployment.ID(id.String()), VerityOptional: true}
	m.mkdir("composefs/images")
	if err := os.Symlink("../objects/"+id.ObjectPath(), m.path("composefs/images/"+id.String())); err != nil {
		t.Fatal(err)
	}
	m.mkdir(m.target.ID.Dir())
	m.mkdir(deployment.SharedVar)
	return m
}

func dir(mode uint32) *tree.Node { return &tree.Node{Mode: tree.TypeDir | mode} }

func file(text string) *tree.Node {
	return &tree.Node{Mode: tree.TypeRegular | 0o644, Size: uint64(len(text)), Inline: []byte(text)}
}

// object puts content into the repository.
func (m machine) object(content []byte) digest.Digest {
	m.t.Helper()
	d := verity.Sum(digest.SHA512, content)
	name := "composefs/objects/" + d.ObjectPath()
	m.mkdir(filepath.Dir(name))
	if err := os.WriteFile(m.path(name), content, 0o644); err != nil {
		m.t.Fatal(err)
	}
	return d
}

func (m machine) path(name string) string { return filepath.Join(m.sysroot, name) }

func (m machine) mkdir(name string) {
	m.t.Helper()
	if err := os.MkdirAll(m.path(name), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

// input returns what to plan with; the new root comes over the physical root.
func (m machine) input(config rootconfig.Config) Input {
	return Input{Sysroot: m.sysroot, Where: m.sysroot, Target: m.target, Config: config}
}

// apply applies a plan and returns the warnings.
func (m machine) apply(p mountplan.Plan, k Kernel) (warnings []string, err error) {
	err = Apply(p, m.sysroot, k, func(text string) { warnings = append(warnings, text) })
	return warnings, err
}

// kernels are the ways of mounting that this kernel knows: as new as it is, and
// as if it were older.
func kernels(t *testing.T) map[string]Kernel {
	t.Helper()
	k, err := ProbeKernel()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]Kernel{
		"held":    {LayerFDs: k.LayerFDs, EROFSFiles: k.EROFSFiles},
		"by path": {EROFSFiles: k.EROFSFiles},
		"by loop": {},
	}
	if k.DetachedLayers {
		all["detached"] = k
	}
	return all
}

func wantFile(t *testing.T, name, want string) {
	t.Helper()
	got, err := os.ReadFile(name)
	if err != nil || string(got) != want {
		t.Errorf("ReadFile(%s) = %q, %v; want %q", name, got, err, want)
	}
}

func wantMissing(t *testing.T, name string) {
	t.Helper()
	if _, err := os.Lstat(name); !os.IsNotExist(err) {
		t.Errorf("Lstat(%s) = %v; want that it is not there", name, err)
	}
}

func mustWrite(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Error(err)
	}
}

func wantNoWrite(t *testing.T, name string) {
	t.Helper()
	if err := os.WriteFile(name, nil, 0o644); err == nil {
		t.Errorf("WriteFile(%s) succeeded; want that it is read-only", name)
	}
}

// mountTable returns the mounts there are, but for their numbers.
func mountTable(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
