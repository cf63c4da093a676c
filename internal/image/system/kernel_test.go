package system

import (
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// tree makes directories and, for names that end in *, regular files.
func treeOf(paths ...string) *tree.Node {
	root := &tree.Node{Mode: tree.TypeDir | 0o755}
	for _, p := range paths {
		file := strings.HasSuffix(p, "*")
		names := strings.Split(strings.Trim(p, "/*"), "/")
		dir := root
		for i, name := range names {
			child := dir.Entry(name)
			if child == nil {
				child = &tree.Node{Mode: tree.TypeDir | 0o755}
				if file && i == len(names)-1 {
					child.Mode, child.Size = tree.TypeRegular|0o644, 1
				}
				dir.Set(name, child)
			}
			dir = child
		}
	}
	return root
}

func TestFindKernel(t *testing.T) {
	tests := []struct {
		name    string
		paths   []string
		want    string
		wantErr string
	}{
		{"one", []string{"usr/lib/modules/6.12/vmlinuz*", "usr/lib/modules/6.12/initramfs.img*"}, "6.12", ""},
		{"modules only beside it", []string{"usr/lib/modules/6.1/kernel", "usr/lib/modules/6.12/vmlinuz*", "usr/lib/modules/6.12/initramfs.img*"}, "6.12", ""},
		{"no modules", []string{"usr/bin"}, "", "no kernel"},
		{"none", []string{"usr/lib/modules/6.12"}, "", "no kernel"},
		{"two", []string{"usr/lib/modules/6.1/vmlinuz*", "usr/lib/modules/6.12/vmlinuz*"}, "", "2 kernels, 6.1 and 6.12"},
		{"no initramfs", []string{"usr/lib/modules/6.12/vmlinuz*"}, "", "no initramfs"},
		{"another name", []string{"usr/lib/modules/6.12/vmlinuz*", "usr/lib/modules/6.12/initrd.img*"}, "", "want /usr/lib/modules/6.12/initramfs.img, not initrd.img"},
		{"a directory", []string{"usr/lib/modules/6.12/vmlinuz"}, "", "/usr/lib/modules/6.12/vmlinuz is not a regular file"},
		{"a directory as initramfs", []string{"usr/lib/modules/6.12/vmlinuz*", "usr/lib/modules/6.12/initramfs.img"}, "", "/initramfs.img is not a regular file"},
		{"modules that are a file", []string{"usr/lib/modules*"}, "", "no kernel"},
		{"lib is a directory", []string{"lib/modules/6.12/vmlinuz*", "lib/modules/6.12/initramfs.img*", "usr/lib/modules"}, "", "no kernel: want /usr/lib/modules/<version>/vmlinuz"},
		{"unified", []string{"boot/EFI/Linux/x.efi*", "usr/lib/modules/6.12"}, "/boot/EFI/Linux/x.efi", ""},
		{"unified before others", []string{"boot/EFI/Linux/x.efi*", "usr/lib/modules/6.12/vmlinuz*", "usr/lib/modules/6.12/y.efi*"}, "/boot/EFI/Linux/x.efi", ""},
		{"unified with addons", []string{"boot/EFI/Linux/x.efi*", "boot/EFI/Linux/x.efi.extra.d/a.addon.efi*"}, "/boot/EFI/Linux/x.efi", ""},
		{"two unified", []string{"boot/EFI/Linux/x.efi*", "boot/EFI/Linux/y.efi*"}, "", "2 kernels, /boot/EFI/Linux/x.efi and /boot/EFI/Linux/y.efi"},
		{"unified beside modules", []string{"usr/lib/modules/6.12/x.efi*"}, "/usr/lib/modules/6.12/x.efi", ""},
		{"kernel before unified beside it", []string{"usr/lib/modules/6.12/vmlinuz*", "usr/lib/modules/6.12/initramfs.img*", "usr/lib/modules/6.12/x.efi*"}, "6.12", ""},
		{"directory called efi", []string{"boot/EFI/Linux/x.efi"}, "", "no kernel"},
	}
	for _, tt := range tests {
		k, err := FindKernel(treeOf(tt.paths...))
		if tt.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("%s: FindKernel() error = %v; want one with %q", tt.name, err, tt.wantErr)
			}
		} else if err != nil || k.String() != tt.want {
			t.Errorf("%s: FindKernel() = %q, %v; want %q", tt.name, k, err, tt.want)
		}
	}
}

// TestOddFiles: a kernel or an initramfs that cannot be taken as it is, is said to be
// there, and what it is.
func TestOddFiles(t *testing.T) {
	for _, name := range []string{"vmlinuz", "initramfs.img"} {
		for want, n := range map[string]*tree.Node{
			`is a symbolic link to "../\x1bx": want a regular file`: {Mode: tree.TypeSymlink | 0o777, Target: "../\x1bx"},
			"is empty": {Mode: tree.TypeRegular | 0o644}, "is not a regular file": {Mode: tree.TypeChar | 0o644},
		} {
			root := treeOf("usr/lib/modules/6.12/vmlinuz*", "usr/lib/modules/6.12/initramfs.img*")
			root.Lookup("usr/lib/modules/6.12").Set(name, n)
			if _, err := FindKernel(root); err == nil || err.Error() != "/usr/lib/modules/6.12/"+name+" "+want {
				t.Errorf("%s: error %v; want that it %s", name, err, want)
			}
		}
	}
}

func TestCheckAPIDirs(t *testing.T) {
	all := []string{"dev", "proc", "run", "sys"}
	for _, known := range []bool{true, false} {
		if err := checkAPIDirs(treeOf(all...), known); err != nil {
			t.Errorf("checkAPIDirs() = %v; want none", err)
		}
		for i, missing := range all {
			root := treeOf(all...)
			root.Remove(missing)
			if err := checkAPIDirs(root, known); err == nil || !strings.Contains(err.Error(), "no /"+missing) {
				t.Errorf("without /%s: checkAPIDirs() = %v; want an error that names it", missing, err)
			}
			root.Set(missing, &tree.Node{Mode: tree.TypeSymlink | 0o777, Target: all[(i+1)%4]})
			if err := checkAPIDirs(root, known); err == nil || !strings.Contains(err.Error(), "/"+missing+" is not a directory") {
				t.Errorf("/%s is a link: checkAPIDirs() = %v; want an error that names it", missing, err)
			}
		}
		if err := checkAPIDirs(treeOf("usr"), known); (err != nil) != known {
			t.Errorf("without any, initramfs known %v: %v", known, err)
		}
	}
}

func TestCheckBootable(t *testing.T) {
	if err := checkBootable(treeOf("usr", "etc", "var", "sysroot", "boot")); err != nil {
		t.Errorf("checkBootable() = %v; want none", err)
	}
	for _, missing := range []string{"usr", "etc", "var", "sysroot", "boot"} {
		root := treeOf("usr", "etc", "var", "sysroot", "boot")
		root.Remove(missing)
		if err := checkBootable(root); err == nil || !strings.Contains(err.Error(), "no /"+missing) {
			t.Errorf("without /%s: checkBootable() = %v; want an error that names it", missing, err)
		}
	}
}

func TestOSRelease(t *testing.T) {
	const text = "# comment\nNAME=Debian\nPRETTY_NAME=\"A \\\"good\\\" system\"\nVERSION_ID='13'\nodd line\nEMPTY=\n"
	vars := ParseRelease([]byte(text))
	for name, want := range map[string]string{"NAME": "Debian", "PRETTY_NAME": `A "good" system`, "VERSION_ID": "13", "EMPTY": ""} {
		if got, ok := vars[name]; !ok || got != want {
			t.Errorf("ParseRelease()[%s] = %q, %v; want %q", name, got, ok, want)
		}
	}
	name, version := titles(vars)
	if name != `A "good" system` || version != "13" {
		t.Errorf("titles() = %q, %q; want the pretty name and the version", name, version)
	}
}

// Whatever an image says, its title fits on a line of a boot entry, and does
// nothing to a terminal.
func TestTitlesAreClean(t *testing.T) {
	name, version := titles(ParseRelease([]byte("PRETTY_NAME=\"\x1b\"\nNAME=\"\x1b[31mL\xe9on\tOS\"\nVERSION_ID=1\x00\x9b\n")))
	if name != "[31mL\ufffdon OS" || version != "1 \ufffd" {
		t.Errorf("titles() = %q, %q; want them without what cannot be seen", name, version)
	}
	name, _ = titles(ParseRelease([]byte("NAME=" + strings.Repeat("long ", 10000))))
	if len(name) > 200 {
		t.Errorf("titles() has a name of %d bytes; want one that a person reads", len(name))
	}
}
