package prepareroot

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/image/rootconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// failures are machines that cannot start, and what is said of them.
var failures = []struct {
	name    string
	without []string
	harm    func(t *testing.T, m *machine)
	want    []string
}{
	{
		name: "image without a directory", without: []string{"var"},
		want: []string{"cannot mount /run/sysupdate-image/root/var", "the image has no directory /var"},
	},
	{
		name: "image without sysroot", without: []string{"sysroot"},
		want: []string{"the image has no directory /sysroot"},
	},
	{
		name: "no repository",
		harm: func(t *testing.T, m *machine) { remove(t, m.path("composefs")) },
		want: []string{"no repository on the physical root", "composefs"},
	},
	{
		name: "no image",
		harm: func(t *testing.T, m *machine) { remove(t, m.path("composefs/images")) },
		want: []string{"the repository has no image", "the deployment was removed"},
	},
	{
		name: "no state directory",
		harm: func(t *testing.T, m *machine) { remove(t, m.path(m.target.ID.Dir())) },
		want: []string{"it has no state directory on the physical root", "state/deploy/"},
	},
	{
		name: "image that fs-verity does not protect",
		harm: func(t *testing.T, m *machine) { m.target.VerityOptional = false },
		want: []string{"image ", "fs-verity"},
	},
	{
		name: "image that is none",
		harm: func(t *testing.T, m *machine) {
			if err := os.WriteFile(m.path("composefs/images/"+string(m.target.ID)), []byte("no image"), 0o644); err != nil {
				t.Fatal(err)
			}
		},
		want: []string{"cannot mount /run/sysupdate-image/image"},
	},
}

func TestFailureUndoesAll(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		for _, tt := range failures {
			t.Run(tt.name, func(t *testing.T) {
				m := newMachine(t, tt.without...)
				if tt.harm != nil {
					tt.harm(t, &m)
				}
				before := mountTable(t)
				var stdout, stderr bytes.Buffer
				err := Run(os.DirFS("/"), []string{"--sysroot=" + m.sysroot, "--cmdline=" + m.target.Karg()}, &stdout, &stderr)
				if err == nil {
					t.Fatalf("Run succeeded; want an error with %q", tt.want)
				}
				for _, want := range append(tt.want, "cannot prepare the root of deployment "+m.target.ID.Short()) {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("Run = %v; want an error with %q", err, want)
					}
				}
				if after := mountTable(t); after != before {
					t.Errorf("Run has left mounts:\n%s\nbefore there were\n%s", after, before)
				}
				wantMissing(t, buildDir)
			})
		}
	})
}

func TestFailureUndoesAllOnOlderKernels(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		for name, kernel := range kernels(t) {
			t.Run(name, func(t *testing.T) {
				m := newMachine(t, "var")
				before := mountTable(t)
				if warnings, err := m.apply(Plan(m.input(rootconfig.Config{})), kernel); err == nil || len(warnings) > 0 {
					t.Errorf("Apply = %v, warnings %q; want an error", err, warnings)
				}
				if after := mountTable(t); after != before {
					t.Errorf("Apply has left mounts:\n%s\nbefore there were\n%s", after, before)
				}
				wantMissing(t, buildDir)
			})
		}
	})
}

func TestDamagedImageWhereVerityIsOptional(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		m := newMachine(t)
		name := m.path("composefs/images/" + string(m.target.ID))
		image, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		image[len(image)-1] ^= 1
		if err := os.WriteFile(name, image, 0o644); err != nil {
			t.Fatal(err)
		}
		k, err := ProbeKernel()
		if err != nil {
			t.Fatal(err)
		}
		warnings, err := m.apply(Plan(m.input(rootconfig.Config{})), k)
		if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], string(m.target.ID)) {
			t.Errorf("Apply = %v, warnings %q; want one that names the image", err, warnings)
		}
	})
}

func TestMissingState(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		m := newMachine(t)
		k, err := ProbeKernel()
		if err != nil {
			t.Fatal(err)
		}
		// A copy of /etc that is not there is nothing to invent.
		_, err = m.apply(Plan(m.input(rootconfig.Config{Etc: rootconfig.Bind})), k)
		if err == nil || !strings.Contains(err.Error(), m.target.ID.EtcDir()) {
			t.Errorf("Apply = %v; want an error that names %s", err, m.target.ID.EtcDir())
		}
	})
}

func TestTooManyOverlays(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		m := newMachine(t)
		// With a physical root that is an overlay, /etc would be the third.
		upper := ns.Dir(t)
		for _, name := range []string{"upper", "work"} {
			if err := os.Mkdir(upper+"/"+name, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		options := "lowerdir=" + m.sysroot + ",upperdir=" + upper + "/upper,workdir=" + upper + "/work"
		if err := syscall.Mount("overlay", m.sysroot, "overlay", 0, options); err != nil {
			t.Fatal(err)
		}
		before := mountTable(t)
		k, err := ProbeKernel()
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.apply(Plan(m.input(rootconfig.Config{})), k)
		if !errors.Is(err, errRefused) || !strings.Contains(err.Error(), "cannot mount /run/sysupdate-image/root/etc") {
			t.Errorf("Apply = %v; want that the kernel refuses /etc", err)
		}
		if after := mountTable(t); after != before {
			t.Errorf("Apply has left mounts:\n%s\nbefore there were\n%s", after, before)
		}
	})
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.RemoveAll(name); err != nil {
		t.Fatal(err)
	}
}
