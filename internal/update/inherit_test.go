package update

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// inheriting returns a machine whose boot partition has these files, and its warnings.
func inheriting(t *testing.T, files ...string) (m *Machine, warnings *[]string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("x"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	p, err := boot.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	warnings = new([]string)
	return &Machine{System: &machine.System{Boot: p}, warn: func(err error) { *warnings = append(*warnings, err.Error()) }}, warnings
}

// Its cases are entries: what the one before has, and what becomes of it.
func TestInherit(t *testing.T) {
	const own = "initrd /new/initrd"
	tests := []struct{ name, before, want, warning string }{
		{"its own initramfs alone", "linux /old/vmlinuz\ninitrd /old/whatever.img", own, ""},
		{"microcode before and more after", "linux /old/vmlinuz\ninitrd /ucode\ninitrd /old/initrd\ninitrd /tail", "initrd /ucode\n" + own + "\ninitrd /tail", ""},
		{"in another case", `linux \OLD\VMLINUZ` + "\ninitrd /ucode\n" + `initrd \old\INITRD`, "initrd /ucode\n" + own, ""},
		{"without a name that is known", "linux /old/vmlinuz\ninitrd /ucode\ninitrd /old/initramfs.img", "initrd /ucode\n" + own, ""},
		{"one known by its directory", "linux /old/vmlinuz\ninitrd /ucode\ninitrd /old/initramfs.img\ninitrd /tail", "initrd /ucode\n" + own + "\ninitrd /tail", ""},
		{"nothing beside the kernel", "linux /old/vmlinuz\ninitrd /ucode\ninitrd /tail", "initrd /ucode\n" + own, ""},
		{"the new one's already", "linux /old/vmlinuz\ninitrd //NEW/initrd\ninitrd /old/initrd", own, ""},
		{"lost", "linux /old/vmlinuz\ninitrd /lost\ninitrd /old/initrd", own, "initrd /lost"},
		{"out of the partition", "linux /old/vmlinuz\ninitrd /../../etc/shadow\ninitrd /old/initrd", own, "initrd /../../etc/shadow"},
		{"too long", "linux /old/vmlinuz\ninitrd /" + strings.Repeat("x", 300) + "\ninitrd /old/initrd", own, "is missing"},
		{"from a unified kernel image", "uki /old.efi\ninitrd /ucode\nprofile 1\ngrub_users a", "initrd /ucode\n" + own + "\ngrub_users a", "profile 1"},
		{"overlays", "linux /old/vmlinuz\ndevicetree-overlay /fix /lost", own + "\ndevicetree-overlay /fix", "devicetree-overlay /lost"},
		{"no overlay", "linux /old/vmlinuz\ndevicetree-overlay /lost", own, "devicetree-overlay /lost"},
		{"another kernel", "options composefs=x\nuki-url http://there/", own, "uki-url http://there/"},
		{"a machine", "linux /old/vmlinuz\nmachine-id 0123456789abcdef0123456789abcdef", own, "machine-id 0123456789abcdef0123456789abcdef"},
		{"an architecture", "linux /old/vmlinuz\narchitecture x64", "architecture x64\nlinux /new/vmlinuz\n" + own, ""},
		{"a device tree is chosen elsewhere", "linux /old/vmlinuz\ndevicetree /old/dtb/x", own, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, warnings := inheriting(t, "ucode", "tail", "fix", "old/initrd")
			before, err := bootentry.Parse([]byte(tt.before))
			if err != nil {
				t.Fatal(err)
			}
			e := bootentry.Entry{Linux: "/new/vmlinuz", Initrds: []string{"/new/initrd"}}
			got, err := m.inherit(e, before, "")
			if err != nil {
				t.Fatal(err)
			}
			if text := strings.TrimSpace(strings.TrimPrefix(string(got.Encode()), "linux /new/vmlinuz\n")); text != tt.want {
				t.Errorf("inherit:\n%s\nwant:\n%s", text, tt.want)
			}
			if all := strings.Join(*warnings, "\n"); (tt.warning == "") != (all == "") || !strings.Contains(all, tt.warning) {
				t.Errorf("warnings are %q; want one with %q", all, tt.warning)
			}
			if _, err := bootentry.Parse(got.Encode()); err != nil {
				t.Errorf("no loader boots it: %v", err)
			}
		})
	}
}

// A unified kernel image has its own of most things, and what is lost by that is named.
func TestInheritToUKI(t *testing.T) {
	m, warnings := inheriting(t, "ucode", "tail", "fix")
	before, err := bootentry.Parse([]byte("linux /old/vmlinuz\ninitrd /ucode\ninitrd /old/initrd\ndevicetree-overlay /fix\nprofile 1\ngrub_users a"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.inherit(bootentry.Entry{UKI: "/new.efi"}, before, "")
	if text := string(got.Encode()); err != nil || text != "uki /new.efi\nprofile 1\ngrub_users a\n" {
		t.Errorf("inherit: %q, %v", text, err)
	}
	if len(*warnings) != 2 || !strings.Contains((*warnings)[0], "initrd /ucode") || !strings.Contains((*warnings)[1], "devicetree-overlay /fix") {
		t.Errorf("warnings are %q; want one of the initrd and one of the overlay", *warnings)
	}
}

// What cannot be looked at is not dropped as missing: the update stops.
func TestInheritOutOfSight(t *testing.T) {
	for _, line := range []string{"initrd /loop\ninitrd /old/initrd", "devicetree-overlay /loop"} {
		m, warnings := inheriting(t)
		before, err := bootentry.Parse([]byte("linux /old/vmlinuz\n" + line))
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.inherit(bootentry.Entry{Linux: "/new/vmlinuz"}, before, "")
		if !errors.Is(err, syscall.ELOOP) || len(*warnings) > 0 {
			t.Errorf("%s: inherit = %v, warnings %q; want ELOOP", line, err, *warnings)
		}
	}
}

// Of several device trees the loader takes the last.
func TestDeviceTreeOfEntry(t *testing.T) {
	e, err := bootentry.Parse([]byte("linux /k\ndevicetree /a\ndevicetree /b"))
	if got := e.DeviceTree(); err != nil || got != "/b" {
		t.Errorf("DeviceTree = %q, %v; want /b", got, err)
	}
	if kept := e.Kernel(); !slices.Contains(kept, "a") || !slices.Contains(kept, "b") {
		t.Errorf("Kernel = %q; want both, since another loader may take the first", kept)
	}
}

func FuzzInherit(f *testing.F) {
	f.Add([]byte("linux /old/vmlinuz\ninitrd /ucode\ninitrd /old/initrd\ndevicetree /x\ndevicetree-overlay /fix /y\nprofile 1"))
	f.Add([]byte("uki \\old.efi\ninitrd /../..\nuki-url x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		before, err := bootentry.Parse(data)
		if err != nil {
			return
		}
		m, _ := inheriting(t, "ucode", "fix")
		for _, e := range []bootentry.Entry{{Linux: "/new/vmlinuz", Initrds: []string{"/new/initrd"}}, {UKI: "/new.efi"}} {
			got, err := m.inherit(e, before, "/new/dtb/x")
			if err != nil {
				continue
			}
			if again, err := bootentry.Parse(got.Encode()); err != nil || again.Linux+again.UKI != e.Linux+e.UKI {
				t.Errorf("no loader boots the new entry:\n%s\n%v", got.Encode(), err)
			}
		}
	})
}
