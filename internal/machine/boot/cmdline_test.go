package boot

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/uki/ukitest"
)

// What the kernel gets of a unified kernel image comes from the image and its addons.
func TestCmdline(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"EFI/Linux/os.efi":                            ukitest.UKI("composefs=a"),
		"EFI/Linux/os.efi.extra.d/disk.addon.efi":     ukitest.Addon("root=UUID=1"),
		"EFI/Linux/os.efi.extra.d/none.cred":          []byte("secret"),
		"EFI/Linux/bad.efi":                           []byte("MZ"),
		"EFI/Linux/bad.efi.extra.d/other.addon.efi":   ukitest.Addon("quiet"),
		"EFI/Linux/half.efi":                          ukitest.UKI("composefs=a"),
		"EFI/Linux/half.efi.extra.d/broken.addon.efi": []byte("MZ"),
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := open(t, dir, nil)
	for _, tt := range []struct {
		entry  bootentry.Entry
		want   string
		failed bool
	}{
		{bootentry.Entry{Linux: "/vmlinuz", Options: "quiet"}, "quiet", false},
		{bootentry.Entry{UKI: "/EFI/Linux/os.efi"}, "composefs=a root=UUID=1", false},
		{bootentry.Entry{UKI: "/EFI/Linux/bad.efi"}, "", true},
		{bootentry.Entry{UKI: "/EFI/Linux/half.efi"}, "", true},
	} {
		got, err := p.Cmdline(tt.entry)
		if (err != nil) != tt.failed || err == nil && got != tt.want {
			t.Errorf("Cmdline(%+v) = %q, %v; want %q", tt.entry, got, err, tt.want)
		}
	}
}
