package update

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// setEntries replaces a text in all boot entries of a machine.
func (b *bench) setEntries(dir, old, now string) {
	b.t.Helper()
	files, err := filepath.Glob(dir + "/boot/loader/entries/*.conf")
	b.must(err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		b.must(err)
		b.must(os.WriteFile(file, []byte(strings.ReplaceAll(string(text), old, now)), 0o644))
	}
}

// nextOptions returns the kernel command line of what boots next.
func (b *bench) nextOptions(dir string) string {
	b.t.Helper()
	m := b.open(dir, nil)
	defer m.Close()
	next, err := m.next()
	b.must(err)
	return next.Entry.Options
}

// Where there is fs-verity, a deployment requires it after Protect, with an entry on trial; where
// there is none, nothing changes, and it is not tried again.
func TestProtect(t *testing.T) {
	ns.Run(t, func(t *testing.T) { // without a systemd that could be asked
		b := newBench(t)
		dir := b.copy()
		b.stage(dir, "3")
		m := b.open(dir, nil)
		defer m.Close()
		b.runAsTwo(m)
		if _, asked, err := m.ProtectIfAsked(t.Context()); asked || err != nil {
			t.Errorf("ProtectIfAsked = %t, %v; want that nobody has asked", asked, err)
		}
		b.must(records.StoreProtect(m.Changes))
		before := files(t, dir)
		p, asked, err := m.ProtectIfAsked(t.Context())
		if again, loadErr := records.LoadProtect(m.Sysroot); again || loadErr != nil || !asked {
			t.Errorf("asked is %t, and %t afterwards, %v; want it done with", asked, again, loadErr)
		}
		if errors.Is(err, verity.ErrNotSupported) {
			if after := files(t, dir); len(without(after, before)) > 0 || p.Requires {
				t.Errorf("without fs-verity it has changed %q: %+v", without(after, before), p)
			}
			return
		}
		staged, loadErr := m.staged()
		if !notArmed(err) || loadErr != nil || p.ID != m.Booted || p.Staged != staged.ID || !p.Enabled || !p.Requires || m.Repository.Insecure() {
			t.Fatalf("ProtectIfAsked = %+v, %v, %v; want all protected", p, err, loadErr)
		}
		for _, id := range []deployment.ID{p.ID, p.Staged} {
			if options := b.optionsIn(m, id); strings.Contains(options[0], "composefs=?") {
				t.Errorf("the entries of %s have %q; want that the first requires fs-verity", id.Short(), options)
			}
		}
		if p, err = m.Protect(t.Context()); err != nil || p.Enabled || p.Requires {
			t.Errorf("Protect again = %+v, %v; want nothing changed", p, err)
		}
	})
}

func TestRequiring(t *testing.T) {
	id := strings.Repeat("0", 128)
	for options, want := range map[string]string{
		"rw composefs=?" + id + " quiet -- init": "rw composefs=" + id + " quiet -- init",
		"composefs=" + id + " composefs=?" + id:  "composefs=" + id + " composefs=?" + id,
	} {
		if got, err := requiring(kcmdline.Parse(options)); err != nil || got.String() != want {
			t.Errorf("requiring(%q) = %q, %v; want %q", options, got, err, want)
		}
	}
}

// A new deployment is as strict as the one before it, whatever meta.json says, and
// less only if it is told to be.
func TestVerityFollowsEntry(t *testing.T) {
	b := newBench(t)
	m := b.open(b.dir, nil)
	insecure := m.Repository.Insecure() // no fs-verity here: a strict machine has to be refused
	b.must(m.Close())
	tests := []struct {
		name     string
		before   string // composefs=
		verity   Verity
		optional bool
		refused  bool
	}{
		{"optional stays", "composefs=?", "", true, false},
		{"strict stays", "composefs=", "", false, insecure},
		{"strict is given up", "composefs=", VerityOptional, true, false},
		{"optional is raised", "composefs=?", VerityRequired, false, insecure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := b.copy()
			b.setEntries(dir, "composefs=?", "composefs=")
			b.setEntries(dir, "composefs=", tt.before)
			before := files(t, dir+"/boot")
			m := b.open(dir, nil)
			o := b.options("3")
			o.Verity = tt.verity
			_, err := m.Apply(t.Context(), o, silent{})
			b.must(m.Close())
			if tt.refused {
				if !errors.Is(err, verity.ErrNotSupported) || tt.verity == "" && !errors.Is(err, ErrVerityRequired) {
					t.Errorf("error is %v; want %v", err, ErrVerityRequired)
				}
				if after := files(t, dir+"/boot"); after != before {
					t.Errorf("changed: %q", without(after, before))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(b.nextOptions(dir), "composefs=?"); got != tt.optional {
				t.Errorf("options are %q; want optional %v", b.nextOptions(dir), tt.optional)
			}
		})
	}
}

// An image that is sealed for less than the machine demands is refused.
func TestVeritySealedForLess(t *testing.T) {
	b := newBench(t)
	m := b.open(b.dir, nil)
	defer m.Close()
	target := deployment.Target{ID: deployment.ID(strings.Repeat("0", 128)), VerityOptional: true}
	err := m.checkSealedVerity(t.Context(), target, strictness{floor: true})
	if !errors.Is(err, ErrVerityRequired) {
		t.Errorf("checkSealedVerity = %v; want %v", err, ErrVerityRequired)
	}
	b.must(m.checkSealedVerity(t.Context(), target, strictness{}))
	b.must(m.checkSealedVerity(t.Context(), target, strictness{optional: true}))
}
