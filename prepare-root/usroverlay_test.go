package prepareroot

import (
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/image/rootconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

const wantUsrPlan = `tmpfs /run/sysupdate-image/memory-usr tmpfs mode=0755 0 0
transient /run/sysupdate-image/usr overlay ro,lowerdir+=/usr,upperdir=/run/sysupdate-image/memory-usr/upper,workdir=/run/sysupdate-image/memory-usr/work 0 0
/run/sysupdate-image/usr /usr none move 0 0
`

func TestUsrOverlayPlan(t *testing.T) {
	if got := UsrOverlayPlan("/usr", true).String(); got != wantUsrPlan {
		t.Errorf("UsrOverlayPlan() is:\n%s\nwant:\n%s", got, wantUsrPlan)
	}
}

func TestUsrOverlay(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		for name, kernel := range kernels(t) {
			for _, readOnly := range []bool{false, true} {
				t.Run(name, func(t *testing.T) { testUsrOverlay(t, readOnly, kernel) })
			}
		}
	})
}

func testUsrOverlay(t *testing.T, readOnly bool, k Kernel) {
	m := newMachine(t)
	in := m.input(rootconfig.Config{})
	in.Where = ns.Dir(t)
	if _, err := m.apply(Plan(in), k); err != nil {
		t.Fatalf("Apply = %v", err)
	}
	usr := filepath.Join(in.Where, "usr")
	// A file and a mount that must stay visible.
	other := ns.Dir(t)
	mustWrite(t, other+"/file", "mounted\n")
	if err := syscall.Mount(other+"/file", usr+"/tool", "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	var warnings []string
	warn := func(text string) { warnings = append(warnings, text) }
	if err := overlayUsr(usr, MountsBelow(mounted(t), usr), readOnly, k, warn); err != nil || len(warnings) > 0 {
		t.Fatalf("overlayUsr = %v, warnings %q", err, warnings)
	}
	wantMissing(t, buildDir)
	wantFile(t, usr+"/tool", "mounted\n")
	top, _ := mountplan.At(mounted(t), usr)
	if got := slices.Contains(top.Options, "ro"); got != readOnly || top.Type != "overlay" {
		t.Errorf("the mount at usr is %+v; want an overlay, read-only: %v", top, readOnly)
	}
	if readOnly {
		wantNoWrite(t, usr+"/new")
		if err := syscall.Mount("", usr, "", syscall.MS_REMOUNT|syscall.MS_BIND, ""); err != nil {
			t.Fatalf("cannot remount it writable: %v", err)
		}
	}
	mustWrite(t, usr+"/new", "tried\n")
	wantFile(t, usr+"/new", "tried\n")
	for _, at := range []string{usr + "/tool", usr} {
		if err := syscall.Unmount(at, syscall.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
	}
	wantMissing(t, usr+"/new")
}

// TestUsrOverlayFails: without the place of a mount that has to stay, nothing is mounted.
func TestUsrOverlayFails(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		usr := ns.Dir(t)
		before := mountTable(t)
		if err := OverlayUsr(usr, []string{usr + "/none"}, false, nil); err == nil {
			t.Error("OverlayUsr succeeded; want an error that a mount is gone")
		}
		if after := mountTable(t); after != before {
			t.Errorf("mounts are left:\n%s\nbefore:\n%s", after, before)
		}
	})
}
