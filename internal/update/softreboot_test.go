package update

import (
	"archive/tar"
	"errors"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/rootconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
	ocitest "github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
)

// softImages are images that differ from the one called "running", each in one thing.
var softImages = map[string]map[string]string{
	"running":   {},
	"same":      {"usr/bin/new": "new"},
	"kernel":    {"usr/lib/modules/6.12/vmlinuz": "another kernel"},
	"initramfs": {"usr/lib/modules/6.12/initramfs.img": "another initramfs"},
	"kargs":     {"usr/lib/bootc/kargs.d/10.toml": `kargs = ["quiet", "b=2"]`},
	"policy":    {"etc/selinux/targeted/policy/policy.33": "another policy"},
	"selinux":   {"etc/selinux/config": "SELINUX=permissive\n"},
	"other":     {"etc/selinux/targeted/booleans": "not part of the policy"},
}

// newSoftBench returns a machine that has the image "running".
func newSoftBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, layout: t.TempDir(), dir: t.TempDir()}
	for tag, changes := range softImages {
		content := map[string]string{
			"usr/lib/modules/6.12/vmlinuz": "kernel", "usr/lib/modules/6.12/initramfs.img": "initramfs",
			"usr/lib/os-release": "PRETTY_NAME=" + tag + "\n", "usr/lib/sysupdate-image/prepare-root": "x",
			"usr/lib/sysupdate-image/prepare-root.toml": "[var]\nmount = \"bind\"\n",
			"usr/lib/bootc/kargs.d/10.toml":             `kargs = ["quiet", "a=1"]`,
			"etc/selinux/config":                        "SELINUX=enforcing\nSELINUXTYPE=targeted\n",
			"etc/selinux/targeted/policy/policy.33":     "policy", "etc/selinux/targeted/contexts/files/file_contexts": "/.* system_u:object_r:default_t:s0\n",
			"sysroot/.keep": "", "var/.keep": "", "boot/.keep": "",
		}
		maps.Copy(content, changes)
		img := ocitest.Image{Layers: [][]byte{treeLayer(t, content)}}
		b.must(ocitest.WriteLayout(b.layout, tag, img))
	}
	m := b.open(b.dir, nil)
	id := b.apply(m, "running", nil).ID
	b.must(m.Root.MkdirAll(id.EtcUpper(), 0o755))
	b.must(m.Close())
	BlessAll(t, b.dir)
	return b
}

// treeLayer returns a layer with these files and their directories.
func treeLayer(t *testing.T, content map[string]string) []byte {
	t.Helper()
	var dirs []string
	for name := range content {
		for dir := path.Dir(name); dir != "." && !slices.Contains(dirs, dir); dir = path.Dir(dir) {
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	var headers []tar.Header
	for _, dir := range dirs {
		headers = append(headers, tar.Header{Name: dir + "/", Typeflag: tar.TypeDir, Mode: 0o755})
	}
	for _, name := range slices.Sorted(maps.Keys(content)) {
		headers = append(headers, tar.Header{Name: name, Mode: 0o755})
	}
	layer, err := ocitest.Tar(headers, content)
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

// running is the root of a system that can soft-reboot.
func running(cmdline string) fstest.MapFS {
	return fstest.MapFS{
		"usr/lib/systemd/system/soft-reboot.target": {}, rootconfig.Program: {}, "proc/cmdline": {Data: []byte(cmdline)},
	}
}

// openRunning opens the machine as one that runs the image "running".
func (b *bench) openRunning(dir string, root fstest.MapFS) *Machine {
	b.t.Helper()
	m := b.open(dir, nil)
	s, err := m.readState()
	b.must(err)
	first, _ := s.First()
	m.RunAs(first.Target.ID, root)
	m.etc = deployment.EtcOverlay
	return m
}

func TestSoftReboot(t *testing.T) {
	ns.Run(t, func(t *testing.T) { // without a systemd that stage could ask
		b := newSoftBench(t)
		for tag, want := range map[string]string{
			"same": "", "other": "",
			"kernel":    "its kernel or initramfs differs from the running one",
			"initramfs": "its kernel or initramfs differs from the running one",
			"kargs":     "its kernel arguments differ from the running ones: -a=1 +b=2",
			"policy":    "its SELinux policy differs from the running one",
			"selinux":   "its SELinux policy differs from the running one",
		} {
			m := b.openRunning(b.copy(), running("quiet"))
			o := b.options(tag)
			o.SoftReboot = IfPossibleOrFail
			plan, err := m.Plan(t.Context(), o, silent{})
			if err != nil || plan.SoftReboot == nil || plan.SoftReboot.Why != notYet {
				t.Errorf("%s: Plan() without the layers = %+v, %v; want that it is not known yet", tag, plan.SoftReboot, err)
			}
			if plan.Reboot != nil {
				t.Errorf("%s: Plan() without the layers says that %+v is needed; want that it is not known yet", tag, plan.Reboot)
			}
			_, err = m.Apply(t.Context(), o, silent{})
			refused, _ := errors.AsType[*SoftRebootError](err)
			if want != "" && (refused == nil || refused.Why != want) || want == "" && !notArmed(err) {
				t.Errorf("%s: Apply() error = %v; want %q", tag, err, want)
			}
			if s, err := m.readState(); err != nil || (s.Staged != nil) != (want == "") {
				t.Errorf("%s: staged is %v, %v", tag, s.Staged, err)
			}
			if _, err = m.Plan(t.Context(), o, silent{}); (err == nil) != (want == "") {
				t.Errorf("%s: Plan() error = %v; want %q", tag, err, want)
			}
			o.SoftReboot = IfPossible
			plan, err = m.Plan(t.Context(), o, silent{})
			if err != nil || plan.SoftReboot == nil || plan.SoftReboot.Possible != (want == "") || plan.SoftReboot.Why != want {
				t.Errorf("%s: Plan() = %+v, %v; want %q", tag, plan.SoftReboot, err, want)
			}
			need := RebootPlan{RebootFull, want}
			if want == "" {
				need.Needed = RebootSoft
			}
			if plan.Reboot == nil || *plan.Reboot != need {
				t.Errorf("%s: Plan() says that %+v is needed; want %+v", tag, plan.Reboot, need)
			}
			b.must(m.Close())
		}
	})
}

// TestSoftRebootAgain asks for a soft reboot into what is staged already. Whatever drops
// that, drops the request.
func TestSoftRebootAgain(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		b := newSoftBench(t)
		m := b.openRunning(b.dir, running("quiet"))
		defer m.Close()
		if err := b.applyError(m, "same"); !notArmed(err) {
			t.Fatal(err)
		}
		if _, err := records.LoadSoftReboot(m.Host.FS()); err == nil {
			t.Error("a soft reboot is asked for that nobody wanted")
		}
		o := b.options("same")
		o.SoftReboot = IfPossibleOrFail
		if _, err := m.Apply(t.Context(), o, silent{}); !notArmed(err) {
			t.Fatal(err)
		}
		s, err := m.readState()
		b.must(err)
		request, err := records.LoadSoftReboot(m.Host.FS())
		config, configErr := rootconfig.Parse(request.Config)
		if err != nil || configErr != nil || request.Target.ID != s.Staged.ID || config.Var != rootconfig.Bind || config.Etc != rootconfig.Overlay {
			t.Errorf("the request is %+v, %v, %v; want one for %s, as prepare-root.toml of the image has it", request, err, configErr, s.Staged.ID.Short())
		}
		if _, err := m.Rollback(t.Context(), deployment.WordBooted); err != nil {
			t.Fatal(err)
		}
		if _, err := records.LoadSoftReboot(m.Host.FS()); err == nil {
			t.Error("a soft reboot is still asked for after rollback booted")
		}
	})
}

// TestCannotSoftReboot: what is missing is named before the image is looked at.
func TestCannotSoftReboot(t *testing.T) {
	b := newSoftBench(t)
	old := running("quiet")
	delete(old, "usr/lib/systemd/system/soft-reboot.target")
	bare := running("quiet")
	delete(bare, rootconfig.Program)
	for want, root := range map[string]fstest.MapFS{
		"systemd is older than 254":      old,
		"lacks /" + rootconfig.Program:   bare,
		"systemd.volatile=overlay is on": running("quiet systemd.volatile=overlay"),
		"":                               running("quiet systemd.volatile=state"),
	} {
		m := b.openRunning(b.copy(), root)
		why, err := m.cannotSoftReboot()
		if err != nil || !strings.Contains(why, want) || want == "" && why != "" {
			t.Errorf("cannotSoftReboot() = %q, %v; want %q", why, err, want)
		}
		b.must(m.Close())
	}
}

// What the initramfs has booted in place of another deployment runs with the kernel, the
// initramfs and the arguments of that one. What a soft reboot has continued with does not.
func TestNoSoftRebootAfterFallback(t *testing.T) {
	b := newSoftBench(t)
	named := deployment.ID(strings.Repeat("a", 128))
	for want, left := range map[string]uint{
		"the running system was booted in place of deployment aaaaaaaaaaaa, by its kernel and initramfs": 0, "": 1,
	} {
		m := b.openRunning(b.copy(), running("quiet composefs="+string(named)))
		b.must(m.Root.MkdirAll(named.Dir(), 0o755))
		b.must(records.StoreAttempts(m.Changes, deployment.Attempts{
			ID: named, Fallback: m.Booted, AttemptsCount: deployment.AttemptsCount{Trial: true, Left: left},
		}))
		if why, err := m.cannotSoftReboot(); err != nil || why != want {
			t.Errorf("with %d boots left: cannotSoftReboot() = %q, %v; want %q", left, why, err, want)
		}
		b.must(m.Close())
	}
}

// Without its layers nothing tells whether a soft reboot can continue with what is staged.
// One that is required is refused then.
func TestSoftRebootUnknown(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		b := newSoftBench(t)
		m := b.openRunning(b.dir, running("quiet"))
		defer m.Close()
		if err := b.applyError(m, "same"); !notArmed(err) {
			t.Fatal(err)
		}
		b.must(os.RemoveAll(b.dir + "/composefs/streams"))
		b.must(os.Mkdir(b.dir+"/composefs/streams", 0o755))
		o := b.options("same")
		o.SoftReboot = IfPossibleOrFail
		_, err := m.Apply(t.Context(), o, silent{})
		if refused, ok := errors.AsType[*SoftRebootError](err); !ok || refused.Why != notYet {
			t.Errorf("required: %v; want that it is not known", err)
		}
		o.SoftReboot = IfPossible
		if result, err := m.Apply(t.Context(), o, silent{}); !notArmed(err) {
			t.Errorf("if possible: %+v, %v", result.SoftReboot, err)
		}
	})
}
