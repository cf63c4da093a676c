package boot

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// TestEvidence asks which entries boot the root that is mounted at /mnt, where vda1 is the
// EFI system partition.
func TestEvidence(t *testing.T) {
	const (
		ext4   = "file proc/self/mountinfo 20 1 254:2 / /mnt rw - ext4 /dev/vda2 rw"
		ofRoot = ";file run/udev/data/b254:2 E:ID_PART_ENTRY_TYPE=4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
		links  = ";link dev/disk/by-partuuid/0aff ../../vda2;link dev/disk/by-partuuid/0bee ../../vda1" +
			";link dev/disk/by-label/root ../../vda2"
		btrfs = "file dev/vda2 BTRFS;" +
			"file proc/self/mountinfo 20 1 0:30 /@a /mnt rw - btrfs /dev/vda2 rw,subvolid=256,subvol=/@a"
		other = "link sys/class/block/vdb ../../devices/vdb;link sys/class/block/vdb1 ../../devices/vdb/vdb1;" +
			"file sys/devices/vdb/vdb1/partition 1"
	)
	uuid := "root=UUID=" + testUUID
	tests := []struct {
		name, changes, loader, options string
		want                           verdict
	}{
		{"its UUID", ext4, "vda1", uuid, isOurs},
		{"its UUID in capitals", ext4, "vda1", "root=UUID=" + strings.ToUpper(testUUID), isOurs},
		{"its UUID as a link", ext4, "vda1", "root=/dev/disk/by-uuid/" + testUUID, isOurs},
		{"its device", ext4, "vda1", "root=/dev/vda2", isOurs},
		{"its partition", ext4 + links, "vda1", "root=PARTUUID=0AFF", isOurs},
		{"its label", ext4 + links, "vda1", "root=LABEL=root", isOurs},
		{"another UUID", ext4, "vda1", "root=UUID=1", isTheirs},
		{"another partition", ext4 + links, "vda1", "root=PARTUUID=0bee", isTheirs},
		{"another partition, where ours is not known", ext4, "vda1", "root=PARTUUID=0bee", unclear},
		{"another label", ext4 + links, "vda1", "root=LABEL=other", unclear},
		{"another device", ext4, "vda1", "root=/dev/vda3", unclear}, // names of devices change
		{"the last one counts", ext4, "vda1", uuid + " root=UUID=1", isTheirs},
		{"none, found by its type", ext4 + ofRoot, "vda1", "quiet", isOurs},
		{"none, of another type", ext4, "vda1", "quiet", unclear},
		{"none, on another disk", ext4 + ofRoot + ";" + other, "vdb1", "quiet", isTheirs},
		{"none, and no disk", ext4 + ofRoot, "", "quiet", unclear},
		{"its subvolume", btrfs, "vda1", uuid + " rootflags=subvol=@a", isOurs},
		{"its subvolume, from the top", btrfs, "vda1", uuid + " rootflags=ssd,subvol=/@a", isOurs},
		{"another subvolume", btrfs, "vda1", uuid + " rootflags=subvol=@b", isTheirs},
		{"the default subvolume", btrfs, "vda1", uuid, unclear},
		{"a directory", "file proc/self/mountinfo 20 1 254:2 / / rw - ext4 /dev/vda2 rw", "vda1", uuid, unclear},
		{"a directory, bound", "file proc/self/mountinfo 20 1 254:2 /dir /mnt rw - ext4 /dev/vda2 rw", "vda1", uuid, unclear},
	}
	for _, tt := range tests {
		changes := strings.NewReplacer("BTRFS", fakeSuperblock("_BHRfS_M", 0x10040, 0x10020)).Replace(tt.changes)
		seed := []string{"file dev/vda2 " + fakeSuperblock("\x53\xef", 0x438, 0x468), "file mnt/x "}
		m := fakeMachine(t, append(seed, strings.Split(changes, ";")...)...)
		f := EntryFile{Target: deployment.Target{ID: id("a")}}
		f.Entry.Linux, f.Entry.Options = "/k", tt.options
		e, err := m.evidence("/mnt", tt.loader, "amd64")
		if got := e.judge(f); got != tt.want || err != nil {
			t.Errorf("%s: judge = %v, %v; want %v", tt.name, got, err, tt.want)
		}
	}
}

// What boots as the running system was booted is its own, however it names the root.
func TestEvidenceOfRunning(t *testing.T) {
	e := evidence{running: &rootArgs{root: "LABEL=x"}, names: []string{"UUID=1"}, unnamed: isTheirs}
	for options, want := range map[string]verdict{
		"root=LABEL=x quiet": isOurs, "root=LABEL=x rootflags=a": unclear, "quiet": isTheirs,
	} {
		f := EntryFile{Target: deployment.Target{ID: id("a")}}
		f.Entry.Linux, f.Entry.Options = "/k", options
		if got := e.judge(f); got != want {
			t.Errorf("judge(%q) = %v; want %v", options, got, want)
		}
	}
}

// sharer opens dir as shared does, with a record of entries, none for "none".
func sharer(t *testing.T, dir, record, state string) (*Partition, *book) {
	t.Helper()
	ledger := &book{tag: "tag"}
	p := shared(t, dir, ledger, nil, state, "")
	ledger.root = p.machine.Name()
	if record != "none" {
		if err := ledger.SetEntries(strings.Fields(record)); err != nil {
			t.Fatal(err)
		}
	}
	return p, ledger
}

func recorded(t *testing.T, l *book) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(l.root, deployment.EntriesRecord))
	if errors.Is(err, os.ErrNotExist) {
		return "none"
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(text)), " ")
}

func TestClaim(t *testing.T) {
	const (
		one = "sysupdate-image-000001-a00000000000"
		two = "sysupdate-image-000002-a00000000000"
		bad = "sysupdate-image-000003-a00000000000"

		other = "sysupdate-image-000004-b00000000000"
	)
	entry := func(args string) string {
		return "linux /sysupdate-image/k/vmlinuz\noptions " + args + " composefs=" + string(id("a")) + "\n"
	}
	uki := "uki /sysupdate-image/k/" + string(id("a")) + ".efi\n"
	type files = map[string]string
	tests := []struct {
		name, record string
		running      string // root= of the running system, "" if it does not run
		entries      files
		want         string
	}{
		{"nothing", "none", "", nil, ""},
		{"all alike", "none", "", files{one: entry("root=UUID=1"), two: entry("root=UUID=1"), bad: "half"},
			one + " " + two + " " + bad},
		{"different roots", "none", "", files{one: entry("root=UUID=1"), two: entry("root=UUID=2")}, "none"},
		{"different roots, one of them runs", "none", "UUID=2",
			files{one: entry("root=UUID=1"), two: entry("root=UUID=2"), bad: "half"}, two},
		{"of no deployment here", "none", "", files{other: string(entryFor("b").Encode())}, ""},
		{"not of our form", "none", "", files{"bootc_x": entry("root=UUID=1")}, ""},
		{"unified kernel images besides", "none", "UUID=1", files{one: entry("root=UUID=1"), two: uki, bad: "half"},
			one + " " + two + " " + bad},
		{"unified kernel images, and another root", "none", "UUID=1",
			files{one: entry("root=UUID=1"), two: uki, bad: entry("root=UUID=2")}, one},
		{"unified kernel images alone", "none", "", files{two: uki}, two},
		{"a unified kernel image, and a record", one, "UUID=1", files{one: entry("root=UUID=1"), two: uki}, one},
		{"recorded", one, "", files{one: entry("root=UUID=1"), two: entry("root=UUID=1")}, one},
		{"an older deployment wrote one", one, "UUID=1",
			files{one: entry("root=UUID=1"), two: entry("root=UUID=1"), bad: entry("root=UUID=2")},
			one + " " + two},
	}
	for _, tt := range tests {
		dir := machineWith(t)
		for base, content := range tt.entries {
			put(t, dir, files{entriesDir + "/" + base + ".conf": content})
		}
		p, ledger := sharer(t, dir, tt.record, "a")
		if tt.running != "" {
			p.rootArgs = &rootArgs{root: tt.running}
		}
		if err := errors.Join(p.Claim(), p.Record()); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := recorded(t, ledger); got != tt.want {
			t.Errorf("%s: recorded %q; want %q", tt.name, got, tt.want)
		}
	}
}

// An entry of our form that the machine did not write is foreign, although it has the same
// deployment: it is not published, blessed, rolled back to, taken for staged or pruned.
func TestForeignTwin(t *testing.T) {
	const ours, theirs = "sysupdate-image-000001-a00000000000", "sysupdate-image-000002-a00000000000"
	dir := machineWith(t, ours+".conf=a", theirs+"+3-0.conf=a", "sysupdate-image-000003-b00000000000+3-0.conf.staged=b")
	p, ledger := sharer(t, dir, ours, "ab")
	files, err := p.Entries()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Foreign != (f.Name.Base != ours) || f.Foreign && (f.IsDeployment() || f.isStaged()) {
			t.Errorf("%s: foreign %t, deployment %t, staged %t", f.File, f.Foreign, f.IsDeployment(), f.isStaged())
		}
	}
	if err := p.Publish("sysupdate-image-000003-b00000000000+3-0.conf"); !errors.Is(err, errForeign) {
		t.Errorf("Publish: %v; want %v", err, errForeign)
	}
	for _, f := range files {
		if f.Name.Base == theirs {
			if err := p.Bless(f.Name); !errors.Is(err, errForeign) {
				t.Errorf("Bless: %v; want %v", err, errForeign)
			}
		}
	}
	before := tree(t, dir)
	if err := errors.Join(p.Unstage(), prune(p, "", "a")); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, dir); !slices.Equal(got, before) {
		t.Errorf("left: %q\nwant: %q", got, before)
	}
	// The same entry, staged once more, does not become that of the other.
	name, err := p.StageEntry(entryFor("b"))
	if want := "sysupdate-image-000004-b00000000000-tag+3-0.conf"; name != want || err != nil {
		t.Errorf("StageEntry = %q, %v; want %q", name, err, want)
	}
	if got, want := recorded(t, ledger), ours+" sysupdate-image-000004-b00000000000-tag"; got != want {
		t.Errorf("recorded: %q; want %q", got, want)
	}
	if err := p.Publish(name); err != nil {
		t.Error(err)
	}
	if name, err = p.Rollback(id("a")); name != "sysupdate-image-000005-a00000000000-tag.conf" || err != nil {
		t.Errorf("Rollback = %q, %v", name, err)
	}
	if got := tree(t, dir); !slices.Contains(got, entriesDir+"/"+theirs+"+3-0.conf") {
		t.Errorf("left: %q", got)
	}
}

// An entry that cannot be recorded is not written.
func TestFullRecord(t *testing.T) {
	dir := machineWith(t, "sysupdate-image-000001-a00000000000.conf=a")
	p, ledger := sharer(t, dir, "sysupdate-image-000001-a00000000000", "ab")
	ledger.full = true
	before := tree(t, dir)
	if name, err := p.StageEntry(entryFor("b")); err == nil {
		t.Errorf("StageEntry = %q; want an error", name)
	}
	if got := tree(t, dir); !slices.Equal(got, before) {
		t.Errorf("left: %q\nwant: %q", got, before)
	}
}

// The entry that the machine was booted from is its own, even if an older deployment wrote
// it without recording it, unless it names another root.
func TestBootedEntry(t *testing.T) {
	const base = "sysupdate-image-000001-a00000000000"
	for _, tt := range []struct {
		booted, root string
		want         bool
	}{
		{base + ".conf", "", true},
		{base + ".conf", "UUID=1", false},
		{"sysupdate-image-000002-a00000000000.conf", "", false},
		{"", "", false},
	} {
		p, _ := sharer(t, machineWith(t, base+"+2-1.conf=a"), "", "a")
		p.bootedID, p.rootArgs = tt.booted, &rootArgs{root: tt.root}
		if has, err := p.hasDeployment(); has != tt.want || err != nil {
			t.Errorf("booted %q with root %q: %t, %v; want %t", tt.booted, tt.root, has, err, tt.want)
		}
	}
	m := fakeMachine(t)
	selected := string(variable("Sysupdate-image-000001-A00000000000+2-1.conf"))
	put(t, m.root.Name(), map[string]string{bootcount.VariableFile("LoaderEntrySelected"): selected})
	if got, err := m.bootedEntry(); got != base+".conf" || err != nil {
		t.Errorf("bootedEntry = %q, %v; want %q", got, err, base+".conf")
	}
}
