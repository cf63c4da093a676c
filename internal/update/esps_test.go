package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/partition"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/esps"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// An espBench is a bench with further EFI system partitions, which are directories. The
// last part of a PARTUUID is the name of one.
type espBench struct {
	*bench
	parts    string
	warnings *[]string
}

const espType = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"

func partUUID(name string) string { return "01234567-89ab-4cde-8f01-" + strings.Repeat(name, 12) }

func newESPBench(t *testing.T, names ...string) espBench {
	t.Helper()
	b := espBench{newBench(t), t.TempDir(), &[]string{}}
	for _, name := range names {
		b.must(os.Mkdir(filepath.Join(b.parts, name), 0o755))
	}
	entries, err := filepath.Glob(filepath.Join(b.dir, "boot/loader/entries/*.conf"))
	b.must(err)
	for _, name := range entries {
		content, err := os.ReadFile(name)
		b.must(err)
		b.write(name, strings.Replace(string(content), "\noptions ", "\noptions root=LABEL=root ", 1))
	}
	for _, name := range boot.LoaderPaths() {
		b.write(filepath.Join(b.dir, "boot", name), "MZ#### LoaderInfo: systemd-boot 257 ####")
	}
	return b
}

func (b espBench) write(name, content string) {
	b.t.Helper()
	b.must(os.MkdirAll(filepath.Dir(name), 0o755))
	b.must(os.WriteFile(name, []byte(content), 0o644))
}

// do opens the machine for f.
func (b espBench) do(f func(m *Machine) error) error {
	b.t.Helper()
	m := b.open(b.dir, nil)
	m.warn = func(err error) { *b.warnings = append(*b.warnings, err.Error()) }
	m.esps = esps.System{Find: b.find, Mount: b.mount, Entry: b.entry}
	return errors.Join(f(m), m.Close())
}

func (b espBench) find(uuid string) (string, error) {
	device := filepath.Join(b.parts, uuid[len(uuid)-1:])
	_, err := os.Stat(device)
	if err != nil && uuid == partUUID("0") {
		return filepath.Join(b.dir, "boot"), nil
	}
	return device, err
}

func (b espBench) mount(device string, _ bool) (*boot.Partition, error) { return boot.OpenDir(device) }

func (b espBench) entry(device string) (partition.Partition, error) {
	switch name := filepath.Base(device); name {
	case "boot":
		return partition.Partition{Type: espType, UUID: partUUID("0")}, nil
	case "d":
		return partition.Partition{Type: "other", UUID: partUUID(name)}, nil
	default:
		return partition.Partition{Type: espType, UUID: partUUID(name)}, nil
	}
}

func (b espBench) add(name string) error {
	b.t.Helper()
	return b.do(func(m *Machine) error {
		p, err := m.AddESP(context.Background(), filepath.Join(b.parts, name))
		if err == nil && p.PartUUID != partUUID(name) {
			err = fmt.Errorf("PARTUUID=%s", p.PartUUID)
		}
		return err
	})
}

// boots returns the titles of the entries on a partition.
func (b espBench) boots(name string) string {
	b.t.Helper()
	b.must(os.MkdirAll(filepath.Join(b.parts, "look"), 0o755))
	link := filepath.Join(b.parts, "look", name)
	b.must(errors.Join(os.MkdirAll(link, 0o755), os.RemoveAll(link+"/boot"), os.Symlink(filepath.Join(b.parts, name), link+"/boot")))
	return b.titles(link)
}

// recorded wants the partitions with these names to be recorded.
func (b espBench) recorded(names ...string) {
	b.t.Helper()
	got, err := records.LoadESPs(os.DirFS(b.dir))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	b.must(err)
	var want deployment.ESPs
	for _, name := range names {
		want = append(want, partUUID(name))
	}
	if !slices.Equal(got, want) {
		b.t.Errorf("recorded are %q; want %q", got, want)
	}
}

// TestESPs: a further partition boots what is proven, after each change.
func TestESPs(t *testing.T) {
	b := newESPBench(t, "a", "b")
	b.must(b.add("a"))
	b.must(b.add("b"))
	b.must(b.add("a"))
	b.recorded("0", "a", "b")
	b.must(b.do(func(m *Machine) error { b.apply(m, "3", nil); return nil }))
	if got, all := b.boots("a"), b.titles(b.dir); got != "OS (2), OS (1)" || all != "OS (3), OS (2), OS (1)" {
		t.Errorf("with an update on trial, the first has %q and the other %q", all, got)
	}
	BlessAll(t, b.dir)
	b.must(os.Rename(filepath.Join(b.parts, "b"), filepath.Join(b.parts, "gone")))
	b.must(b.do(func(m *Machine) error {
		copies, err := m.UpdateESPs(context.Background(), esps.Contents)
		if len(copies) != 2 || copies[0].State != esps.Equal || copies[1].State != esps.Missing {
			t.Errorf("UpdateESPs = %+v", copies)
		}
		return err
	}))
	if got := b.boots("a"); got != "OS (3), OS (2), OS (1)" {
		t.Errorf("a blessed update: the other boots %q", got)
	}
	if len(*b.warnings) == 0 || !strings.Contains((*b.warnings)[0], "PARTUUID="+partUUID("b")+" is not up to date") {
		t.Errorf("warnings: %q", *b.warnings)
	}
	b.must(b.do(func(m *Machine) error {
		_, err := m.Rollback(context.Background(), b.idIn(m, "2"))
		return err
	}))
	if got := b.boots("a"); got != "OS (2), OS (3), OS (1)" {
		t.Errorf("after a rollback, the other boots %q", got)
	}
	b.must(b.do(func(m *Machine) error {
		_, err := m.Remove(context.Background(), []string{b.idIn(m, "3")})
		return err
	}))
	if got := b.boots("a"); got != "OS (2), OS (1)" {
		t.Errorf("after a removal, the other boots %q", got)
	}
	b.removes()
}

// removes removes both partitions, of which one is missing.
func (b espBench) removes() {
	b.t.Helper()
	for _, name := range []string{partUUID("b"), filepath.Join(b.parts, "a")} {
		b.must(b.do(func(m *Machine) error {
			_, err := m.RemoveESP(name)
			return err
		}))
	}
	b.must(b.add("a"))
	b.must(b.do(func(m *Machine) error {
		m.esps.Mount = func(string, bool) (*boot.Partition, error) { return nil, errors.New("I/O error") }
		_, err := m.RemoveESP(partUUID("a"))
		return err
	}))
	b.recorded()
	if last := (*b.warnings)[len(*b.warnings)-1]; !strings.Contains(last, "may still boot the machine: I/O error") {
		b.t.Errorf("the last warning is %q", last)
	}
	b.must(b.add("a"))
	b.must(b.do(func(m *Machine) error {
		_, err := m.RemoveESP(partUUID("a"))
		return err
	}))
	b.recorded()
	if got := b.boots("a"); got != "" {
		b.t.Errorf("the removed partition boots %q", got)
	}
	err := b.do(func(m *Machine) error {
		_, err := m.RemoveESP(partUUID("a"))
		return err
	})
	if err == nil {
		b.t.Error("removing a partition twice: no error")
	}
}

// What cannot be a further partition is refused, and a plan changes nothing.
func TestAddESPErrors(t *testing.T) {
	b := newESPBench(t, "a", "c", "d")
	b.write(filepath.Join(b.parts, "c/EFI/Microsoft/Boot/bootmgfw.efi"), "MZ")
	for name, want := range map[string]string{"c": "files of another system, /EFI/Microsoft", "d": "not an EFI system partition"} {
		if err := b.add(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("add %s: %v; want that it %s", name, err, want)
		}
	}
	err := b.do(func(m *Machine) error {
		_, err := m.AddESP(context.Background(), filepath.Join(b.dir, "boot"))
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "boots from") {
		t.Errorf("add the first: %v", err)
	}
	before := files(t, b.parts)
	b.must(b.do(func(m *Machine) error {
		p, err := m.PlanAddESP(context.Background(), filepath.Join(b.parts, "a"))
		if len(p.Writes) == 0 || p.Need == 0 {
			t.Errorf("PlanAddESP = %+v", p)
		}
		return err
	}))
	if after := files(t, b.parts); after != before {
		t.Errorf("PlanAddESP has written %q", without(after, before))
	}
	b.recorded()
	plain := espBench{newBench(t), b.parts, b.warnings}
	for _, name := range boot.LoaderPaths() {
		plain.write(filepath.Join(plain.dir, "boot", name), "MZ#### LoaderInfo: systemd-boot 257 ####")
	}
	if err := plain.add("a"); !errors.Is(err, ErrNoRootArg) {
		t.Errorf("add to a machine without root=: %v", err)
	}
	b.write(filepath.Join(b.dir, deployment.LoaderRecord), string(deployment.Loader{Kind: deployment.GRUB}.Encode()))
	if err := b.add("a"); err == nil || !strings.Contains(err.Error(), "only a machine with systemd-boot") {
		t.Errorf("add beside GRUB: %v", err)
	}
}

// TestESPIsFirst: a machine that has booted from a further partition brings the first up to date.
func TestESPIsFirst(t *testing.T) {
	b := newESPBench(t, "a")
	b.must(b.add("a"))
	b.must(os.Rename(filepath.Join(b.dir, "boot"), filepath.Join(b.parts, "0")))
	b.must(os.Rename(filepath.Join(b.parts, "a"), filepath.Join(b.dir, "boot")))
	b.must(os.Symlink(filepath.Join(b.dir, "boot"), filepath.Join(b.parts, "a")))
	b.must(b.do(func(m *Machine) error {
		_, err := m.Rollback(context.Background(), b.idIn(m, "1"))
		return err
	}))
	if got := b.boots("0"); got != "OS (1), OS (2)" {
		t.Errorf("the former first boots %q", got)
	}
	if len(*b.warnings) != 0 {
		t.Errorf("warnings: %q", *b.warnings)
	}
}
