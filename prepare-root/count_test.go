package prepareroot

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// fallback installs another image on the machine, with modules for a kernel, as that to fall
// back to.
func (m machine) fallback(release string) deployment.ID {
	m.t.Helper()
	root := dir(0o755)
	for _, name := range []string{"etc", "var", "sysroot", "usr"} {
		root.Set(name, dir(0o755))
	}
	at := root.Entry("usr")
	for _, name := range []string{"lib", "modules", release} {
		at.Set(name, dir(0o755))
		at = at.Entry(name)
	}
	root.CountLinks()
	return m.install(root)
}

// install adds an image to the machine.
func (m machine) install(root *tree.Node) deployment.ID {
	m.t.Helper()
	var image bytes.Buffer
	if err := erofs.Write(m.t.Context(), &image, root, erofs.Options{Version: 1, Algorithm: digest.SHA512}); err != nil {
		m.t.Fatal(err)
	}
	d := m.object(image.Bytes())
	id := deployment.ID(d.String())
	if err := os.Symlink("../objects/"+d.ObjectPath(), m.path("composefs/images/"+d.String())); err != nil {
		m.t.Fatal(err)
	}
	m.mkdir(id.Dir())
	return id
}

func (m machine) store(a deployment.Attempts) {
	m.t.Helper()
	m.change(func(root *os.Root) error { return records.StoreAttempts(durable.OS(root), a) })
}

func (m machine) change(do func(root *os.Root) error) {
	m.t.Helper()
	root, err := os.OpenRoot(m.sysroot)
	if err != nil {
		m.t.Fatal(err)
	}
	defer root.Close()
	if err := do(root); err != nil {
		m.t.Fatal(err)
	}
}

// boot prepares the root of what a kernel command line with the target asks for, in a boot of
// its own, and returns the deployment that is mounted then. The mount is gone afterwards.
func (m machine) boot(id string) (booted deployment.ID, stderr string, err error) {
	m.t.Helper()
	if err := syscall.Mount(m.sysroot, m.sysroot, "", syscall.MS_BIND, ""); err != nil {
		m.t.Fatal(err)
	}
	var out, warnings bytes.Buffer
	err = Run(m.initramfs(id), []string{"--sysroot=" + m.sysroot, "--cmdline=" + m.target.Karg()}, &out, &warnings)
	root, _ := mountplan.At(mounted(m.t), m.sysroot)
	booted, _ = deployment.FromMountSource(root.What)
	if err := syscall.Unmount(m.sysroot, syscall.MNT_DETACH); err != nil {
		m.t.Fatal(err)
	}
	return booted, warnings.String(), err
}

// initramfs is the root of a boot, without EFI.
func (m machine) initramfs(bootID string) fs.FS {
	return fstest.MapFS{"proc/sys/kernel/random/boot_id": {Data: []byte(bootID + "\n")}}
}

func (m machine) count(id deployment.ID) deployment.AttemptsCount {
	m.t.Helper()
	a, err := records.LoadAttempts(os.DirFS(m.sysroot), id)
	if err != nil {
		m.t.Fatal(err)
	}
	return a.AttemptsCount
}

// recount changes what a record counts, as a system that is running does.
func (m machine) recount(id deployment.ID, change func(deployment.AttemptsCount) deployment.AttemptsCount) {
	m.t.Helper()
	a, err := records.LoadAttempts(os.DirFS(m.sysroot), id)
	if err != nil {
		m.t.Fatal(err)
	}
	a.AttemptsCount = change(a.AttemptsCount)
	m.store(a)
}

// A deployment on trial has three boots; then the other one is mounted in its place, boot
// after boot. Starting prepare-root again in one boot counts nothing.
func TestTrialEndsInFallback(t *testing.T) {
	inNamespace(t, func(t *testing.T, m machine, release string) {
		other := m.fallback(release)
		m.store(deployment.Attempts{ID: m.target.ID, Fallback: other, AttemptsCount: deployment.AttemptsCount{Trial: true, Left: 3}})
		for i, boot := range []string{"one", "one", "two", "three", "three"} {
			got, said, err := m.boot(boot)
			want := []deployment.AttemptsCount{
				{Trial: true, Left: 2, Done: 1, Boot: "one"}, {Trial: true, Left: 2, Done: 1, Boot: "one"},
				{Trial: true, Left: 1, Done: 2, Boot: "two"}, {Trial: true, Done: 3, Boot: "three"}, {Trial: true, Done: 3, Boot: "three"},
			}[i]
			if count := m.count(m.target.ID); got != m.target.ID || said != "" || err != nil || count != want {
				t.Errorf("start %d, in boot %s: %s boots, %q, %v; the count is %+v; want %+v", i, boot, got.Short(), said, err, count, want)
			}
		}
		for _, boot := range []string{"four", "five"} {
			got, said, err := m.boot(boot)
			if got != other || err != nil || !strings.Contains(said, "has used up its 3 boots: booting "+other.Short()+" in its place") {
				t.Errorf("boot %s: %s boots, %q, %v; want %s", boot, got.Short(), said, err, other.Short())
			}
			if boot == "four" { // it comes up, and settles that
				m.recount(m.target.ID, deployment.AttemptsCount.Settled)
			}
		}
		// Here it has not come up, and there is no other way: it is booted in its place again.
		for _, boot := range []string{"six", "seven", "eight"} {
			got, said, err := m.boot(boot)
			redirected := strings.Contains(said, "takes its place, by its own kernel")
			if got != other || err != nil || redirected == (boot == "eight") {
				t.Errorf("boot %s: %s boots, %q, %v; want %s", boot, got.Short(), said, err, other.Short())
			}
		}
	})
}

// A good deployment whose image is gone gives way after three failures, and once.
func TestFailuresEndInFallback(t *testing.T) {
	inNamespace(t, func(t *testing.T, m machine, release string) {
		other := m.fallback(release)
		m.store(deployment.Attempts{ID: m.target.ID, Fallback: other})
		object, err := os.Readlink(m.path("composefs/images/" + string(m.target.ID)))
		if err != nil {
			t.Fatal(err)
		}
		remove(t, m.path("composefs/images/"+object))
		s := settings{sysroot: m.sysroot}
		for i, boot := range []string{"one", "two", "three"} {
			_, _, err := m.boot(boot)
			if err == nil || !strings.Contains(err.Error(), "the repository has no image") {
				t.Fatalf("boot %s: %v", boot, err)
			}
			for range 2 { // somebody starts it again
				screen, action := s.explain(m.initramfs(boot), err, kcmdline.Parse(m.target.Karg()))
				if action != bootcount.Reboot || !strings.Contains(screen, "takes its place") {
					t.Errorf("boot %s: %s\n%s", boot, action, screen)
				}
			}
			if got := m.count(m.target.ID); got.Failures != uint(i+1) || !strings.Contains(got.Reason, "the repository has no image") {
				t.Errorf("after boot %s the count is %+v", boot, got)
			}
		}
		got, said, err := m.boot("four")
		if got != other || err != nil || !strings.Contains(said, "has failed 3 times in the initramfs") {
			t.Errorf("after three failures %s boots, %q, %v; want %s", got.Short(), said, err, other.Short())
		}
		_, _, err = m.boot("five") // nothing has said that the other one came up
		if err == nil {
			t.Fatal("the fallback was booted again")
		}
		if _, action := s.explain(m.initramfs("five"), err, kcmdline.Parse(m.target.Karg())); action != bootcount.Emergency {
			t.Errorf("then the action is %s", action)
		}
	})
}

// An image that cannot even be looked at, as where a directory is damaged, costs a boot like
// any other fault.
func TestUnreadableImageEndsInFallback(t *testing.T) {
	inNamespace(t, func(t *testing.T, m machine, release string) {
		other := m.fallback(release)
		link := m.path("composefs/images/" + string(m.target.ID))
		remove(t, link)
		if err := os.Symlink(string(m.target.ID), link); err != nil { // ELOOP
			t.Fatal(err)
		}
		for name, count := range map[string]deployment.AttemptsCount{"on trial": {Trial: true, Left: 3}, "blessed": {}} {
			m.store(deployment.Attempts{ID: m.target.ID, Fallback: other, AttemptsCount: count})
			for _, boot := range []string{"one", "two", "three"} {
				_, _, err := m.boot(name + boot)
				if err == nil || !strings.Contains(err.Error(), "cannot look for its image") {
					t.Fatalf("%s, boot %s: %v", name, boot, err)
				}
				settings{sysroot: m.sysroot}.explain(m.initramfs(name+boot), err, kcmdline.Parse(m.target.Karg()))
			}
			if got, said, err := m.boot(name + "four"); got != other || err != nil {
				t.Errorf("%s: after three boots %s boots, %q, %v; want %s", name, got.Short(), said, err, other.Short())
			}
		}
	})
}

// What cannot be counted is not tried, and a record that is damaged or names what is gone
// keeps nothing from booting.
func TestCountCannotBeWritten(t *testing.T) {
	inNamespace(t, func(t *testing.T, m machine, release string) {
		other := m.fallback(release)
		trial := deployment.Attempts{ID: m.target.ID, Fallback: other, AttemptsCount: deployment.AttemptsCount{Trial: true, Left: 3}}
		m.store(trial)
		protect(t, m.path(m.target.ID.AttemptsFile()), true)
		got, said, err := m.boot("one")
		protect(t, m.path(m.target.ID.AttemptsFile()), false)
		if got != other || err != nil || !strings.Contains(said, "cannot count this boot of deployment "+m.target.ID.Short()) {
			t.Errorf("with a record that cannot be written %s boots, %q, %v; want %s", got.Short(), said, err, other.Short())
		}

		trial.Left = 0
		trial.Fallback = deployment.ID(strings.Repeat("0c", 64))
		m.store(trial)
		if got, said, err := m.boot("two"); got != m.target.ID || err != nil || !strings.Contains(said, "there is no other to boot") {
			t.Errorf("without the fallback %s boots, %q, %v", got.Short(), said, err)
		}

		m.change(func(root *os.Root) error { return root.WriteFile(m.target.ID.AttemptsFile(), []byte("torn"), 0o644) })
		if got, said, err := m.boot("three"); got != m.target.ID || err != nil || !strings.Contains(said, "not a whole record") {
			t.Errorf("with a damaged record %s boots, %q, %v", got.Short(), said, err)
		}
	})
}

// inNamespace runs a test with a machine of one deployment, and the release of the kernel.
func inNamespace(t *testing.T, f func(t *testing.T, m machine, release string)) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		release, err := sys.KernelRelease()
		if err != nil {
			t.Fatal(err)
		}
		f(t, newMachine(t), release)
	})
}

func protect(t *testing.T, name string, immutable bool) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := sys.SetProtection(f, sys.Protection{Immutable: immutable}); err != nil {
		t.Skip("the file system has no immutable files:", err)
	}
}

// Where there is another deployment, one without a program to start has failed.
func TestCheckInit(t *testing.T) {
	sysroot := t.TempDir()
	root := fstest.MapFS{"etc/initrd-release": {}}
	s := settings{sysroot: sysroot, target: sysroot}
	id := deployment.ID(strings.Repeat("0a", 64))
	if err := s.checkInit(root, id, nil); err != nil {
		t.Errorf("without a record: %v", err)
	}
	if err := os.MkdirAll(sysroot+deployment.SysrootDir+"/"+id.Dir(), 0o755); err != nil {
		t.Fatal(err)
	}
	m := machine{t: t, sysroot: sysroot + deployment.SysrootDir}
	m.store(deployment.Attempts{ID: id, Fallback: deployment.ID(strings.Repeat("0b", 64))})
	if err := s.checkInit(root, id, nil); err == nil || !strings.Contains(err.Error(), "the image has no program to start") {
		t.Errorf("with a fallback: %v", err)
	}
	if err := s.checkInit(fstest.MapFS{}, id, nil); err != nil {
		t.Errorf("outside an initramfs: %v", err)
	}
}

func TestSetGRUB(t *testing.T) {
	inNamespace(t, func(t *testing.T, m machine, _ string) {
		s := settings{sysroot: m.sysroot}
		if err := s.setGRUB("e1.conf"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("without GRUB: %v; want %v", err, fs.ErrNotExist)
		}
		m.mkdir("boot/grub")
		const head = "# GRUB Environment Block\nsaved_entry=x\n"
		mustWrite(t, m.path("boot/grub/grubenv"), head+strings.Repeat("#", 1024-len(head)))
		if err := s.setGRUB("e1.conf"); err != nil {
			t.Error(err)
		}
		wantFile(t, m.path("boot/grub/grubenv"), head+"next_entry=e1\n"+strings.Repeat("#", 1024-len(head)-len("next_entry=e1\n")))
	})
}
