package finalize

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// A rig is a machine that runs one deployment and has another one staged.
type rig struct {
	Machine
	t              *testing.T
	log            *bytes.Buffer
	disk           string // the physical root
	booted, staged deployment.ID
	entry          string
}

// long is content that an image keeps as an object.
func long(s string) string { return s + strings.Repeat(".", 200) + "\n" }

var (
	oldEtc = map[string]string{"hostname": "image\n", "default": long("old"), "gone": "x", "other": long("other")}
	newEtc = map[string]string{"hostname": "newer\n", "default": long("new"), "gone": "x", "other": long("other"), "added": "y"}
)

// makeRig makes a rig with the given ways to have /etc, "" for none said.
func makeRig(t *testing.T, from, to deployment.EtcMode) *rig {
	t.Helper()
	ns.NeedRealRoot(t)
	dir := ns.Dir(t)
	r := &rig{t: t, log: new(bytes.Buffer), disk: dir + "/disk"}
	r.Machine = Machine{root: running(t, dir), log: journal.Log{Else: r.log}}
	repo, err := repo.Init(r.disk+"/composefs", repo.Options{Algorithm: digest.SHA512})
	r.must(err)
	defer repo.Close()
	r.booted, r.staged = r.image(repo, oldEtc), r.image(repo, newEtc)

	line := "22 1 0:21 / / ro - overlay " + r.booted.MountSource() + " ro\n"
	switch from {
	case deployment.EtcOverlay:
		line += "23 22 0:22 / /etc rw - overlay overlay rw\n"
		r.localOverlay()
	case deployment.EtcTransient:
		line += "23 22 0:22 / /etc rw - overlay transient rw\n"
	case deployment.EtcBind:
		line += "23 22 8:2 / /etc rw - ext4 /dev/sda2 rw\n"
		r.localBind()
	}
	r.must(os.WriteFile(dir+"/root/proc/self/mountinfo", []byte(line), 0o644))
	// The boot partition can be written to, unlike the rest of /sysroot.
	r.must(os.MkdirAll(r.disk+"/boot", 0o755))
	r.must(syscall.Mount(r.disk+"/boot", dir+"/root/sysroot/boot", "", syscall.MS_BIND, ""))
	r.stage(to)
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// image puts an image with the given /etc into the repository.
func (r *rig) image(repo *repo.Repository, etc map[string]string) deployment.ID {
	r.t.Helper()
	dir := &tree.Node{Mode: tree.TypeDir | 0o755}
	for name, content := range etc {
		file := &tree.Node{Mode: tree.TypeRegular | 0o644, Size: uint64(len(content))}
		if len(content) <= 64 {
			file.Inline = []byte(content)
		} else {
			var err error
			file.Digest, err = repo.PutObject([]byte(content))
			r.must(err)
		}
		dir.Set(name, file)
	}
	root := &tree.Node{Mode: tree.TypeDir | 0o755}
	root.Set("etc", dir)
	root.CountLinks()
	d, err := repo.PutImage(func(w io.Writer) error { return erofs.Write(context.Background(), w, root, erofs.Options{Version: 1}) })
	r.must(err)
	id, err := deployment.ParseID(d.String())
	r.must(err)
	return id
}

// Local changes: hostname is another, gone is deleted, mine is new.
func (r *rig) localOverlay() {
	r.t.Helper()
	upper := filepath.Join(r.disk, r.booted.EtcUpper())
	r.must(os.MkdirAll(upper, 0o755))
	r.must(os.WriteFile(upper+"/hostname", []byte("local\n"), 0o644))
	r.must(os.WriteFile(upper+"/mine", []byte(long("mine")), 0o600))
	r.must(syscall.Mknod(upper+"/gone", syscall.S_IFCHR, 0))
}

func (r *rig) localBind() {
	r.t.Helper()
	etc := filepath.Join(r.disk, r.booted.EtcDir())
	r.must(os.MkdirAll(etc, 0o755))
	for name, content := range map[string]string{
		"hostname": "local\n", "mine": long("mine"), "default": oldEtc["default"], "other": oldEtc["other"],
	} {
		r.must(os.WriteFile(etc+"/"+name, []byte(content), 0o644))
	}
	r.must(os.Chmod(etc+"/mine", 0o600))
}

func (r *rig) stage(etc deployment.EtcMode) {
	r.t.Helper()
	p, err := boot.OpenDir(r.disk + "/boot")
	r.must(err)
	defer p.Close()
	kernel, _, err := p.WriteKernel(context.Background(), strings.NewReader("kernel"), strings.NewReader("initrd"))
	r.must(err)
	r.entry, err = p.StageEntry(boot.NewEntry("OS", "2", p.KernelDir(kernel), deployment.Target{ID: r.staged}.Karg()))
	r.must(err)
	r.record(deployment.Staged{ID: r.staged, Entry: r.entry, Etc: etc})
}

func (r *rig) record(s deployment.Staged) {
	r.t.Helper()
	r.must(os.MkdirAll(filepath.Join(r.disk, deployment.StateDir), 0o755))
	r.must(os.WriteFile(filepath.Join(r.disk, deployment.StagedRecord), s.Encode(), 0o644))
	run := filepath.Join(r.root.Name(), deployment.RunStaged)
	r.must(os.MkdirAll(filepath.Dir(run), 0o755))
	r.must(os.WriteFile(run, s.Encode(), 0o644))
}

// check says what boots next and that no record is left behind.
func (r *rig) checkPublished() {
	r.t.Helper()
	p, err := boot.OpenDir(r.disk + "/boot")
	r.must(err)
	defer p.Close()
	files, err := p.Entries()
	r.must(err)
	if next, ok := boot.Next(files); !ok || next.Target.ID != r.staged || len(files) != 1 {
		r.t.Errorf("next entry is %+v of %d; want that of %s alone", next, len(files), r.staged.Short())
	}
	for _, name := range []string{filepath.Join(r.disk, deployment.StagedRecord), filepath.Join(r.root.Name(), deployment.RunStaged)} {
		if _, err := os.Lstat(name); !os.IsNotExist(err) {
			r.t.Errorf("staged record %s is left behind (%v)", name, err)
		}
	}
}

// tree returns the files in a directory: content, or "whiteout".
func (r *rig) tree(dir string) map[string]string {
	r.t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(filepath.Join(r.disk, dir))
	r.must(err)
	for _, e := range entries {
		if e.Type()&os.ModeCharDevice != 0 {
			files[e.Name()] = "whiteout"
			continue
		}
		data, err := os.ReadFile(filepath.Join(r.disk, dir, e.Name()))
		r.must(err)
		files[e.Name()] = string(data)
	}
	return files
}

func (r *rig) checkTree(dir string, want map[string]string) {
	r.t.Helper()
	got := r.tree(dir)
	for name := range want {
		if got[name] != want[name] {
			r.t.Errorf("%s of %s is %.20q; want %.20q", name, dir, got[name], want[name])
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			r.t.Errorf("%s has %s", dir, name)
		}
	}
}

func TestFinalize(t *testing.T) {
	upper := map[string]string{"hostname": "local\n", "mine": long("mine"), "gone": "whiteout"}
	full := map[string]string{
		"hostname": "local\n", "mine": long("mine"), "default": newEtc["default"], "other": newEtc["other"], "added": "y",
	}
	tests := []struct {
		name     string
		from, to deployment.EtcMode
		dir      func(deployment.ID) string
		want     map[string]string
	}{
		{"overlay", deployment.EtcOverlay, "", deployment.ID.EtcUpper, upper},
		{"bind", deployment.EtcBind, deployment.EtcBind, deployment.ID.EtcDir, full},
		{"bind to overlay", deployment.EtcBind, deployment.EtcOverlay, deployment.ID.EtcUpper, upper},
		{"overlay to bind", deployment.EtcOverlay, deployment.EtcBind, deployment.ID.EtcDir, full},
		{"nothing to bind", deployment.EtcNone, deployment.EtcBind, deployment.ID.EtcDir, newEtc},
		{"transient to bind", deployment.EtcTransient, deployment.EtcBind, deployment.ID.EtcDir, newEtc},
		{"overlay to transient", deployment.EtcOverlay, deployment.EtcTransient, nil, nil},
		{"overlay to none", deployment.EtcOverlay, deployment.EtcNone, nil, nil},
		{"bind to transient", deployment.EtcBind, deployment.EtcTransient, nil, nil},
		{"bind to none", deployment.EtcBind, deployment.EtcNone, nil, nil},
		{"transient to overlay", deployment.EtcTransient, deployment.EtcOverlay, nil, nil},
		{"transient to transient", deployment.EtcTransient, deployment.EtcTransient, nil, nil},
		{"transient to none", deployment.EtcTransient, deployment.EtcNone, nil, nil},
		{"nothing to overlay", deployment.EtcNone, deployment.EtcOverlay, nil, nil},
		{"nothing to transient", deployment.EtcNone, deployment.EtcTransient, nil, nil},
		{"nothing to nothing", deployment.EtcNone, deployment.EtcNone, nil, nil},
	}
	ns.Run(t, func(t *testing.T) {
		for _, tt := range tests {
			t.Log(tt.name)
			r := makeRig(t, tt.from, tt.to)
			// Once more after a crash that came before the record was dropped.
			for range 2 {
				r.record(deployment.Staged{ID: r.staged, Entry: r.entry, Etc: tt.to})
				if err := Finalize(r.Machine, reboot); err != nil {
					t.Fatal(err)
				}
				r.checkPublished()
				if tt.dir == nil {
					r.checkNoEtc()
					continue
				}
				r.checkTree(tt.dir(r.staged), tt.want)
			}
			if err := Finalize(r.Machine, reboot); err != nil || !strings.Contains(r.log.String(), "no deployment is staged: nothing to finalize") {
				t.Errorf("with nothing staged: %v, log %q", err, r.log)
			}
		}
	})
}

// Extensions may lie over what prepare-root has mounted: see systemd-confext(8).
func TestFinalizeConfext(t *testing.T) {
	upper := map[string]string{"hostname": "local\n", "mine": long("mine"), "gone": "whiteout"}
	ns.Run(t, func(t *testing.T) {
		for _, from := range []deployment.EtcMode{deployment.EtcBind, deployment.EtcOverlay} {
			r := makeRig(t, from, deployment.EtcOverlay)
			r.mount("99 23 0:77 / /etc ro - overlay confext ro")
			r.must(Finalize(r.Machine, reboot))
			r.checkPublished()
			r.checkTree(r.staged.EtcUpper(), upper)
		}
		r := makeRig(t, deployment.EtcNone, deployment.EtcOverlay)
		r.mount("99 22 0:77 / /etc ro - overlay confext ro")
		r.must(Finalize(r.Machine, reboot))
		r.checkPublished()
		r.checkNoEtc()
	})
}

// mount adds a line to the mount table.
func (r *rig) mount(line string) {
	r.t.Helper()
	f, err := os.OpenFile(filepath.Join(r.root.Name(), "proc/self/mountinfo"), os.O_WRONLY|os.O_APPEND, 0)
	r.must(err)
	defer f.Close()
	_, err = f.WriteString(line + "\n")
	r.must(err)
}

// What runs has its /etc somewhere: if it is not where it should be, nothing tells
// what an administrator has changed.
func TestFinalizeLostEtc(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		for from, dir := range map[deployment.EtcMode]func(deployment.ID) string{
			deployment.EtcOverlay: deployment.ID.EtcUpper, deployment.EtcBind: deployment.ID.EtcDir,
		} {
			r := makeRig(t, from, "")
			r.must(os.RemoveAll(filepath.Join(r.disk, dir(r.booted))))
			err := Finalize(r.Machine, reboot)
			if err == nil || !strings.Contains(err.Error(), "; the running system boots next: cannot read local changes to /etc: ") {
				t.Errorf("%s: error %v", from, err)
			}
			if _, err := os.Lstat(r.disk + "/boot/loader/entries/" + r.entry); !os.IsNotExist(err) {
				t.Errorf("%s: the entry was published all the same (%v)", from, err)
			}
		}
	})
}

// checkNoEtc says that the staged deployment has nothing of its own in /etc.
func (r *rig) checkNoEtc() {
	r.t.Helper()
	if list, err := os.ReadDir(filepath.Join(r.disk, r.staged.EtcDir())); !os.IsNotExist(err) {
		r.t.Errorf("there is an /etc with %v, %v; want none", list, err)
	}
}

// An edit after staging that the new image leaves no place for stops nothing,
// and both sides are kept.
func TestFinalizeConflict(t *testing.T) {
	tests := []struct {
		policy, report deployment.ConflictPolicy
		want           map[string]string
	}{
		{"", deployment.ConflictsKeep, map[string]string{"added/mine": "mine", ".conflicts/ID/added": "y"}},
		{deployment.ConflictsFail, deployment.ConflictsKeep, map[string]string{"added/mine": "mine", ".conflicts/ID/added": "y"}},
		{deployment.ConflictsKeep, deployment.ConflictsKeep, map[string]string{"added/mine": "mine", ".conflicts/ID/added": "y"}},
		{deployment.ConflictsNew, deployment.ConflictsNew, map[string]string{"added": "", ".conflicts/ID/added/mine": "mine"}},
	}
	ns.Run(t, func(t *testing.T) {
		for _, tt := range tests {
			r := makeRig(t, deployment.EtcOverlay, "")
			r.record(deployment.Staged{ID: r.staged, Entry: r.entry, EtcConflicts: tt.policy})
			r.must(os.MkdirAll(filepath.Join(r.disk, r.booted.EtcUpper(), "added"), 0o755))
			r.must(os.WriteFile(filepath.Join(r.disk, r.booted.EtcUpper(), "added/mine"), []byte("mine"), 0o644))
			r.must(Finalize(r.Machine, reboot))
			r.checkPublished()
			for name, want := range tt.want {
				name = strings.Replace(name, "ID", r.staged.Short(), 1)
				got, err := os.ReadFile(filepath.Join(r.disk, r.staged.EtcUpper(), name))
				if want == "" && !os.IsNotExist(err) || want != "" && string(got) != want {
					t.Errorf("policy %q: %s is %q, %v; want %q", tt.policy, name, got, err, want)
				}
			}
			data, err := os.ReadFile(filepath.Join(r.disk, r.staged.EtcReportFile()))
			r.must(err)
			report, err := deployment.ParseEtcReport(data)
			if err != nil || len(report.Conflicts) != 1 || report.Conflicts[0].Wins != tt.report ||
				report.Conflicts[0].Aside != "/etc/.conflicts/"+r.staged.Short()+"/added" {
				t.Errorf("policy %q: report %s, %v", tt.policy, data, err)
			}
			if !strings.Contains(r.log.String(), "<4>/etc/added: local directory, file in the new image: /etc/added/mine; ") || !strings.Contains(r.log.String(), " version is in /etc/.conflicts/") {
				t.Errorf("policy %q: log %q; want a warning with both sides", tt.policy, r.log)
			}
		}
	})
}

// breakImage damages the booted deployment's image, until repair is called.
func (r *rig) breakImage() (repair func()) {
	r.t.Helper()
	d, err := r.booted.Digest()
	r.must(err)
	object := filepath.Join(r.disk, "composefs/objects", d.ObjectPath())
	image, err := os.ReadFile(object)
	r.must(err)
	damaged := bytes.Clone(image)
	damaged[len(damaged)-1] ^= 1
	write := func(data []byte) {
		r.must(os.Remove(object))
		r.must(os.WriteFile(object, data, 0o644))
	}
	write(damaged)
	return func() { write(image) }
}

// What goes wrong before the commit leaves the entry unpublished and the record
// for the next try.
func TestFinalizeFails(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		r := makeRig(t, deployment.EtcOverlay, "")
		repair := r.breakImage()
		err := Finalize(r.Machine, reboot)
		if err == nil || !strings.Contains(err.Error(), "the running system boots next") || !strings.Contains(err.Error(), "damaged: the digest of its content is") {
			t.Errorf("with a damaged image: error %v", err)
		}
		if _, err := os.Lstat(r.disk + "/boot/loader/entries/" + r.entry); !os.IsNotExist(err) {
			t.Errorf("the entry was published all the same (%v)", err)
		}
		repair()
		r.must(Finalize(r.Machine, reboot))
		r.checkPublished()
	})
}

func TestLocked(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		r := makeRig(t, deployment.EtcOverlay, "")
		sysroot, err := os.OpenRoot(r.disk)
		r.must(err)
		defer sysroot.Close()
		_, unlock, err := r.openObjects(sysroot, 0)
		r.must(err)
		if _, _, err := r.openObjects(sysroot, 0); err == nil || !strings.Contains(err.Error(), errBusy.Error()) {
			t.Errorf("a second lock: error %v; want %v", err, errBusy)
		}
		unlock()
		_, unlock, err = r.openObjects(sysroot, 0)
		r.must(err)
		unlock()
	})
}
