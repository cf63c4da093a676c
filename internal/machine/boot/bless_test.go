package boot

import (
	"errors"
	"slices"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
)

// An entry is blessed by a copy, and at no moment is there none.
func TestBless(t *testing.T) {
	booted, err := bootentry.ParseName("SYSUPDATE-IMAGE-000002-b00000000000+2-1.conf") // as firmware may spell it
	if err != nil {
		t.Fatal(err)
	}
	machine := func() string {
		return machineWith(t, "sysupdate-image-000001-a00000000000+1-0.conf=a", "sysupdate-image-000002-b00000000000+2-1.conf=b")
	}
	for n := 0; ; n++ {
		dir := machine()
		err := open(t, dir, func(fsys durable.FS) durable.FS { return durabletest.CrashAfter(fsys, n) }).Bless(booted)
		if got := next(t, dir); got != "b" {
			t.Errorf("after %d steps: %s boots next (%v)", n, got, err)
		}
		if err := open(t, dir, nil).Bless(booted); err != nil {
			t.Errorf("after %d steps: again: %v", n, err)
		}
		files, readErr := open(t, dir, nil).Entries()
		if readErr != nil || len(files) != 2 || files[0].File != "sysupdate-image-000002-b00000000000.conf" || !files[1].Name.Counted {
			t.Errorf("after %d steps and again: entries are %v, %v", n, files, readErr)
		}
		if err == nil {
			break
		}
	}
	booted.Base += "x"
	if err := open(t, machine(), nil).Bless(booted); !errors.Is(err, ErrNoEntry) {
		t.Errorf("Bless of what is not there: %v; want %v", err, ErrNoEntry)
	}
}

// Where the loader does not name the entry that is on trial, the deployment tells, and which
// entry the loader selected.
func TestBlessBooted(t *testing.T) {
	const old, first, second = "sysupdate-image-000001-b00000000000", "sysupdate-image-000002-a00000000000", "sysupdate-image-000003-a00000000000"
	for selected, want := range map[string][]string{
		"":               {first + ".conf", second + ".conf", old + "+0-3.conf"},
		second + ".conf": {first + "+3-0.conf", second + ".conf", old + "+0-3.conf"},
		old + ".conf":    {first + ".conf", second + ".conf", old + "+0-3.conf"},
	} {
		dir := machineWith(t, old+"+0-3.conf=b", first+"+3-0.conf=a", second+"+2-1.conf=a")
		p := open(t, dir, nil)
		p.bootedID = selected
		if err := p.BlessBooted(id("a")); err != nil {
			t.Errorf("selected %q: %v", selected, err)
		}
		if err := p.BlessBooted(id("c")); !errors.Is(err, ErrNoEntry) {
			t.Errorf("a deployment without an entry: %v; want %v", err, ErrNoEntry)
		}
		files, err := p.Entries()
		var got []string
		for _, f := range files {
			got = append(got, f.File)
		}
		slices.Sort(got)
		slices.Sort(want)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("selected %q: entries %q, %v; want %q", selected, got, err, want)
		}
	}
}
