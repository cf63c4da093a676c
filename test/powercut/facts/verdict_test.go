package facts

import (
	"strings"
	"testing"
)

var (
	idA = strings.Repeat("a", 128)
	idB = strings.Repeat("b", 128)
	idC = strings.Repeat("c", 128)
)

// life is the markers of an update from A to B.
var life = Judge{Markers: []Marker{
	{Step: "install begins", Next: []string{None, Any}},
	{Step: "installed", Next: []string{idA}, Etc: map[string][]string{idA: {"etc-a"}}, Images: []string{idA}},
	{Step: "editing", Next: []string{idA}, Editing: true, Files: map[string]string{idA + "/x": "x1"}, Var: 3},
	{Step: "applied", Next: []string{idA}, Etc: map[string][]string{idA: {"etc-a2"}}, Staged: idB, Var: 3, Images: []string{idA, idB}},
	{Step: "finalize begins", Next: []string{idA, idB}, Etc: map[string][]string{idA: {"etc-a2"}}, Var: 3,
		Attempts: map[string][]string{idB: {"3-0"}}},
	{Step: "finalized", Next: []string{idB}, Listed: []string{idA}, Etc: map[string][]string{idA: {"etc-a2"}, idB: {"etc-b"}}, Var: 3,
		Attempts: map[string][]string{idA: {"", NoTrial}, idB: {"3-0"}}},
	{Step: "counted", Next: []string{idB}, Etc: map[string][]string{idB: {"etc-b"}}, Var: 3, Attempts: map[string][]string{idB: {"2-1"}}},
}}

const (
	nothingYet = iota
	installed
	editing
	applied
	finalizing
	finalized
	counted
)

// A disk is what is found; each test changes something of it.
type disk struct {
	esp  ESPFacts
	root RootFacts
}

func diskWithBoth() disk {
	return disk{
		ESPFacts{Entries: []Entry{{File: "1.conf", Base: "1", ID: idA}, {File: "2.conf.staged", Base: "2", ID: idB, Staged: true}}},
		RootFacts{
			Deployments: map[string]Deployment{
				idA: {Etc: "etc-a2", Files: map[string]string{"/x": "x1"}}, idB: {Etc: "etc-b"},
			},
			Staged: &Staged{ID: idB, Entry: "2.conf"}, Var: 3, Tagged: []string{idA, idB},
			Recorded: []string{"1", "2"},
		},
	}
}

// published is the disk after the commit.
func (d *disk) published() {
	d.esp.Entries = []Entry{{File: "2.conf", Base: "2", ID: idB}, {File: "1.conf", Base: "1", ID: idA}}
	d.root.Staged = nil
	d.setDeployment(idB, func(d *Deployment) { d.Attempts, d.Fallback = "3-0", idA })
}

// onTrial is the disk after the commit, with the record of the initramfs.
func (d *disk) onTrial(attempts string) {
	d.published()
	d.setDeployment(idB, func(d *Deployment) { d.Attempts, d.Fallback = attempts, idA })
}

func (d *disk) setDeployment(id string, change func(*Deployment)) {
	deployment := d.root.Deployments[id]
	change(&deployment)
	d.root.Deployments[id] = deployment
}

func TestJudge(t *testing.T) {
	tests := []struct {
		name   string
		at     int
		change func(*disk)
		want   string // in what is wrong; "" for nothing
	}{
		{"nothing has begun", -1, func(d *disk) { *d = disk{} }, ""},
		{"an empty disk before the installation", nothingYet, func(d *disk) { *d = disk{} }, ""},
		{"an unreadable boot partition before the installation", nothingYet, func(d *disk) { *d = disk{esp: ESPFacts{Error: "x"}} }, ""},
		{"all is well", applied, func(*disk) {}, ""},
		{"the old one before the commit", finalizing, func(*disk) {}, ""},
		{"the new one within finalize", finalizing, (*disk).published, ""},
		{"the new one after it", finalized, (*disk).published, ""},
		{"a broken file that no loader reads", applied, func(d *disk) { d.esp.Entries = append(d.esp.Entries, Entry{File: "x", Error: "x"}) }, ""},

		{"no file system", applied, func(d *disk) { d.root.Error = "no magic" }, "root file system: no magic"},
		{"no boot partition", applied, func(d *disk) { d.esp.Error = "no magic" }, "boot partition: no magic"},
		{"no boot loader", applied, func(d *disk) { d.esp.Loader = "missing" }, "boot loader: missing"},
		{"what fsck leaves cannot be listed", applied, func(d *disk) { d.esp.Listing = "EIO" }, "boot partition, after fsck: EIO"},
		{"no boot loader yet", nothingYet, func(d *disk) { *d = disk{esp: ESPFacts{Loader: "missing"}} }, ""},
		{"nothing boots", applied, func(d *disk) { d.esp.Entries = d.esp.Entries[1:] }, `the next to boot is ""`},
		{"the new one too early", applied, (*disk).published, `the next to boot is "bbbbbbbbbbbb"`},
		{"the old one too late", finalized, func(*disk) {}, `the next to boot is "aaaaaaaaaaaa"`},
		{"the old one lost", finalized, func(d *disk) { d.published(); d.esp.Entries = d.esp.Entries[:1] }, "aaaaaaaaaaaa is not listed"},
		{"a torn kernel", applied, func(d *disk) { d.esp.Entries[0].Kernel = "digest x" }, "entry 1.conf: digest x"},
		{"an entry for something else", applied, func(d *disk) { d.esp.Entries[0].ID = "" }, "boots no deployment"},
		{"an entry that is not recorded", applied, func(d *disk) { d.root.Recorded = []string{"1"} }, "entry 2.conf.staged is not recorded"},
		{"no state directory", applied, func(d *disk) { delete(d.root.Deployments, idA) }, "there is nothing of deployment"},
		{"half an image", applied, func(d *disk) { d.setDeployment(idA, func(d *Deployment) { d.Image = "object x is missing" }) }, "object x is missing"},
		{"half a state directory", applied, func(d *disk) { d.setDeployment(idA, func(d *Deployment) { d.State = "no origin" }) }, "no origin"},
		{"a fallback that is broken", finalized, func(d *disk) {
			d.published()
			d.setDeployment(idA, func(d *Deployment) { d.Image = "object x is missing" })
		}, "entry 1.conf: deployment aaaaaaaaaaaa: object x is missing"},

		{"no record", applied, func(d *disk) { d.root.Staged = nil }, "the staged record of bbbbbbbbbbbb is lost"},
		{"an empty record", applied, func(d *disk) { d.root.Staged = &Staged{Error: "empty"} }, "staged record: empty"},
		{"another record", applied, func(d *disk) { d.root.Staged = &Staged{ID: idA} }, "deployment aaaaaaaaaaaa is staged"},
		{"no staged entry", applied, func(d *disk) { d.esp.Entries = d.esp.Entries[:1] }, "neither staged nor published"},
		{"a staged entry that is torn", applied, func(d *disk) { d.esp.Entries[1].Error = "empty" }, "staged entry 2.conf.staged: empty"},
		{"a staged deployment that is not whole", applied, func(d *disk) { d.setDeployment(idB, func(d *Deployment) { d.Image = "damaged" }) }, "staged entry 2.conf.staged: deployment bbbbbbbbbbbb: damaged"},

		{"/etc half merged", finalizing, func(d *disk) { d.published(); d.setDeployment(idB, func(d *Deployment) { d.Etc = "half" }) }, "/etc of deployment bbbbbbbbbbbb"},
		{"/etc of the old one changed", finalizing, func(d *disk) { d.setDeployment(idA, func(d *Deployment) { d.Etc = "half" }) }, "/etc of deployment aaaaaaaaaaaa"},
		{"/etc while somebody edits", editing, func(d *disk) { d.setDeployment(idA, func(d *Deployment) { d.Etc = "any" }) }, ""},
		{"a synced file lost", editing, func(d *disk) { d.setDeployment(idA, func(d *Deployment) { d.Files = nil }) }, "/etc/x of deployment"},
		{"a synced line lost", editing, func(d *disk) { d.root.Var = 2 }, "2 lines below /var; 3 had been synced"},

		{"on trial, and counted", finalized, func(d *disk) { d.onTrial("3-0") }, ""},
		{"on trial, and not counted", finalized, func(d *disk) { d.onTrial("") }, `the initramfs counts "" for deployment bbbbbbbbbbbb; want one of ["3-0"]`},
		{"not counted, but not listed yet", finalizing, func(*disk) {}, ""},
		{"good, and counted", finalized, func(d *disk) {
			d.onTrial("3-0")
			d.setDeployment(idA, func(d *Deployment) { d.Attempts = "3-0" })
		}, `the initramfs counts "3-0" for deployment aaaaaaaaaaaa; want one of ["" "good"]`},
		{"a damaged count", finalized, func(d *disk) {
			d.onTrial("3-0")
			d.setDeployment(idB, func(d *Deployment) { d.Damaged = "wrong checksum" })
		}, "deployment bbbbbbbbbbbb: wrong checksum"},
		{"nothing to fall back to", finalized, func(d *disk) {
			d.onTrial("3-0")
			d.setDeployment(idB, func(d *Deployment) { d.Fallback = idC })
		}, "has nothing to fall back to: there is nothing of deployment cccccccccccc"},
		{"a boot that is not counted", counted, func(d *disk) { d.onTrial("3-0") }, `the initramfs counts "3-0" for deployment bbbbbbbbbbbb; want one of ["2-1"]`},

		{"a dangling link", applied, func(d *disk) { d.root.Problems = []string{"images/x: missing"} }, "repository: images/x"},
		{"no tag", applied, func(d *disk) { d.root.Tagged = d.root.Tagged[:1] }, "no tag leads to the image of deployment bbbbbbbbbbbb"},
	}
	for _, tt := range tests {
		d := diskWithBoth()
		tt.change(&d)
		wrong := life.Judge(tt.at, &d.esp, &d.root)
		got := strings.Join(wrong, "; ")
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: wrong is %q; want %q", tt.name, got, tt.want)
		}
	}
}

func TestMarker(t *testing.T) {
	m := life.Markers[applied]
	data, err := m.Encode()
	if err != nil || len(data) != markSize {
		t.Fatalf("Encode returns %d bytes, %v", len(data), err)
	}
	got, err := ParseMarker(data)
	if err != nil || got.Step != m.Step || got.Staged != m.Staged || got.Var != m.Var {
		t.Errorf("read back %+v, %v; want %+v", got, err, m)
	}
	for _, bad := range [][]byte{nil, data[:40], make([]byte, markSize)} {
		if m, err := ParseMarker(bad); err == nil {
			t.Errorf("ParseMarker of %d bytes = %+v; want an error", len(bad), m)
		}
	}
	m.Step = strings.Repeat("x", markSize)
	if _, err := m.Encode(); err == nil {
		t.Error("Encode accepts a marker that is too long")
	}
}
