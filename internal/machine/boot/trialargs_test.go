package boot

import (
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
)

func TestTrialForm(t *testing.T) {
	for options, want := range map[string]string{
		"quiet composefs=a":                                "quiet composefs=a panic=0x1e",
		`composefs=a x="b c" -- 3`:                         `composefs=a x="b c" panic=0x1e -- 3`,
		"composefs=a panic=0":                              "composefs=a panic=0",
		"composefs=a panic=30":                             "composefs=a panic=30",
		"composefs=a panic=0x1e":                           "composefs=a panic=0x1e",
		"composefs=a sysupdate-image.on-failure=emergency": "composefs=a sysupdate-image.on-failure=emergency",
		"composefs=a sysupdate-image.on-failure=reboot":    "composefs=a sysupdate-image.on-failure=reboot panic=0x1e",
	} {
		e := bootentry.Entry{Linux: "/k", Options: options}
		onTrial := trialForm(e, true)
		if onTrial.Options != want {
			t.Errorf("on trial, %q becomes %q; want %q", options, onTrial.Options, want)
		}
		if got := trialForm(onTrial, false).Options; got != strings.Replace(options, " panic=0x1e", "", 1) {
			t.Errorf("good, %q becomes %q", onTrial.Options, got)
		}
	}
	uki := NewUKIEntry("OS", "1", "d", id("a"))
	if got := trialForm(uki, true); got.Options != "" {
		t.Errorf("a unified kernel image on trial has options %q", got.Options)
	}
}

// An entry has the argument as long as it has tries.
func TestTrialArguments(t *testing.T) {
	dir := machineWith(t, "sysupdate-image-000001-a00000000000.conf=a")
	p := open(t, dir, nil)
	has := func(when string, want bool) {
		t.Helper()
		first, _ := Next(must(p.Entries()))
		if got := strings.HasSuffix(first.Entry.Options, " panic=0x1e"); got != want || first.Target.ID != id("b") || first.Name.Counted != want {
			t.Errorf("%s: %s has options %q", when, first.File, first.Entry.Options)
		}
	}
	for _, again := range []bool{false, true} {
		name, err := p.StageEntry(entryFor("b"))
		if err != nil {
			t.Fatal(err)
		}
		if staged, err := p.StageEntry(entryFor("b")); staged != name || err != nil {
			t.Errorf("staged again as %s, %v; want %s", staged, err, name)
		}
		if err := p.Publish(name); err != nil {
			t.Fatal(err)
		}
		has("published", true)
		if again {
			break
		}
		n, err := bootentry.ParseName(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Bless(n); err != nil {
			t.Fatal(err)
		}
		has("blessed", false)
	}
	for range 2 {
		if _, err := p.Rollback(id("b")); err != nil {
			t.Fatal(err)
		}
		has("rolled back to", true)
	}
}

func must(files []EntryFile, err error) []EntryFile {
	if err != nil {
		panic(err)
	}
	return files
}
