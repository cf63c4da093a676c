package cryptroot

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/uki/ukitest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
)

// all is what dracut puts into an initramfs that opens a root.
const all = "usr/lib/systemd/systemd usr/bin/systemd-cryptsetup usr/lib/systemd/system-generators/systemd-cryptsetup-generator " +
	"usr/lib/libtss2-esys.so.0 usr/lib/libtss2-mu.so.0.0.1 usr/lib/libtss2-rc.so.0 usr/lib/libtss2-tcti-device.so.0 " +
	"usr/lib/modules/6/dm-crypt.ko.xz usr/lib/modules/6/tpm_crb.ko"

// check has an initramfs with some files, and a kernel with some modules.
func check(initrd []byte, builtin string) error {
	regular := func() *tree.Node { return &tree.Node{Mode: tree.TypeRegular | 0o644} }
	file, list := regular(), regular()
	root := &tree.Node{Mode: tree.TypeDir | 0o755}
	at := root
	for _, name := range []string{"usr", "lib", "modules", "6"} {
		below := &tree.Node{Mode: tree.TypeDir | 0o755}
		at.Set(name, below)
		at = below
	}
	at.Set("modules.builtin", list)
	content := map[*tree.Node]string{file: string(initrd), list: builtin}
	return Check(context.Background(), root, system.Kernel{Version: "6", Initrd: file}, func(n *tree.Node) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content[n])), nil
	})
}

// with returns an initramfs with files.
func with(files string) []byte {
	var entries []string
	for name := range strings.FieldsSeq(files) {
		entries = append(entries, name, "x")
	}
	return ukitest.Cpio(entries...)
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct{ without, builtin, want string }{
		{"", "", ""},
		{"usr/lib/libtss2-mu.so.0.0.1", "", "lacks libtss2-mu (dracut module tpm2-tss)"},
		{"usr/bin/systemd-cryptsetup", "", "lacks systemd-cryptsetup (dracut module systemd-cryptsetup or crypt)"},
		{"usr/lib/modules/6/dm-crypt.ko.xz", "", "lacks the kernel module dm-crypt (dracut module crypt)"},
		{"usr/lib/modules/6/dm-crypt.ko.xz", "kernel/fs/x.ko\nkernel/drivers/md/dm-crypt.ko\n", ""},
		{"usr/lib/modules/6/tpm_crb.ko", "kernel/drivers/char/tpm/tpm.ko", "lacks a kernel module for a TPM (dracut module tpm2-tss)"},
		{"usr/lib/modules/6/tpm_crb.ko", "kernel/drivers/char/tpm/tpm_tis.ko", ""},
		{"usr/lib/systemd/systemd ", "", "has no systemd"},
	} {
		err := check(with(strings.Replace(all+" ", tt.without, "", 1)), tt.builtin)
		if err != nil {
			if got := err.Error(); tt.want == "" || !strings.HasSuffix(got, tt.want) && !strings.Contains(got, tt.want+",") {
				t.Errorf("without %s: %s; want %s", tt.without, got, tt.want)
			}
		} else if tt.want != "" {
			t.Errorf("without %s: no error; want %s", tt.without, tt.want)
		}
	}
	unknown := (*UnknownError)(nil)
	if err := check([]byte("\xfd7zXZ\x00 and more"), ""); !errors.As(err, &unknown) {
		t.Errorf("an initramfs that cannot be looked into: %v; want an UnknownError", err)
	}
	if err := Check(context.Background(), nil, system.Kernel{UKI: &system.UKI{}}, nil); !errors.Is(err, ErrSealed) {
		t.Errorf("a sealed image: %v; want ErrSealed", err)
	}
}
