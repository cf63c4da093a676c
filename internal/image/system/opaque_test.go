package system

import (
	"bytes"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/uki/ukitest"
)

// TestOpaqueInitramfs: an initramfs that is recognised, but cannot be looked into, needs
// its directories and causes a warning. One that is not recognised does neither.
func TestOpaqueInitramfs(t *testing.T) {
	early := string(ukitest.Cpio("kernel/x", "microcode"))
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(ukitest.Cpio("usr/a", "one"))
	z.Close()
	zpacked, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	frame := zpacked.EncodeAll(ukitest.Cpio("usr/a", "one"), nil)
	for _, tt := range []struct{ data, warning string }{
		{"\xfd7zXZ\x00data", "compressed with xz"},
		{early + "\xfd7zXZ\x00data", "compressed with xz"},
		{"\x02\x21\x4c\x18data", "compressed with lz4"},
		{"\x04\x22\x4d\x18data", "compressed with lz4"},
		{"\x5d\x00\x00\x80\x00", "compressed with lzma"},
		{"BZh91AY", "compressed with bzip2"},
		{"\x89LZO\x00\x0d", "compressed with lzop"},
		{packed.String()[:packed.Len()-12], "the gzip data is damaged"},
		{string(frame[:len(frame)-5]), "the zstd data is damaged"},
		{early + "\x1f\x8b", "the gzip data is damaged"},
		{"initramfs 6.12", ""},
		{early + "text", ""},
	} {
		system := func(dirs ...string) *System {
			n := &tree.Node{Mode: tree.TypeRegular | 0o644, Size: uint64(len(tt.data)), Inline: []byte(tt.data)}
			return &System{Tree: treeOf(append(dirs, "usr")...), Kernel: Kernel{Initrd: n}}
		}
		_, err := system().mounts(t.Context())
		if refused := err != nil && strings.Contains(err.Error(), "image cannot boot: no /dev"); refused != (tt.warning != "") {
			t.Errorf("%.20q without directories: %v; want it refused: %v", tt.data, err, tt.warning != "")
		}
		s := system("dev", "proc", "run", "sys")
		for range 2 { // as for a sealed image
			if _, err := s.mounts(t.Context()); err != nil {
				t.Errorf("%.20q: %v", tt.data, err)
			}
		}
		got := strings.Join(s.Warnings, "\n")
		if (got != "") != (tt.warning != "") || !strings.Contains(got, tt.warning) || len(s.Warnings) > 1 {
			t.Errorf("%.20q: warnings %q; want one with %q", tt.data, got, tt.warning)
		}
	}
}

// TestTruncatedInitramfs: an archive that is not compressed tells where it should end.
func TestTruncatedInitramfs(t *testing.T) {
	early := string(ukitest.Cpio("kernel/x", "microcode"))
	main := string(ukitest.Cpio("usr/lib/sysupdate-image/prepare-root", strings.Repeat("x", 1000)))
	for data, want := range map[string]string{
		early + main: "",
		early + strings.Repeat("\x00", 512) + main: "",
		early + main + strings.Repeat("\x00", 511): "",
		early + main[:len(main)-200]:               "image cannot boot: cannot read initramfs: it is truncated: usr/lib/sysupdate-image/prepare-root: unexpected EOF",
		early[:len(early)-20]:                      "image cannot boot: cannot read initramfs: it is truncated",
	} {
		n := &tree.Node{Mode: tree.TypeRegular | 0o644, Size: uint64(len(data)), Inline: []byte(data)}
		s := &System{Tree: treeOf("dev", "proc", "run", "sys", "usr"), Kernel: Kernel{Initrd: n}}
		_, err := s.mounts(t.Context())
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d bytes: %v; want %q", len(data), err, want)
		}
	}
}
