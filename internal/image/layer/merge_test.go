package layer

import (
	"archive/tar"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

func TestApply(t *testing.T) {
	big := strings.Repeat("x", 65)
	base := func() *builder {
		return newBuilder(t).dir("usr").dir("usr/lib").file("usr/a", "a").file("usr/lib/b", big)
	}
	const baseList = "/ 40755\n/usr 40755\n/usr/a 100644 \"a\"\n/usr/lib 40755\n/usr/lib/b 100644 65 bytes\n"
	tests := []struct {
		name   string
		layers []*builder
		want   string
	}{
		{"one layer", []*builder{base()}, baseList},
		{"64 bytes are inline", []*builder{newBuilder(t).file("f", big[1:])}, "/ 40755\n/f 100644 \"" + big[1:] + "\"\n"},
		{"no content", []*builder{newBuilder(t).file("f", "")}, "/ 40755\n/f 100644 \"\"\n"},
		{"forms of names", []*builder{newBuilder(t).dir("./").dir("/usr/").dir("./usr//./lib").file("//usr/lib/./a", "a")},
			"/ 40755\n/usr 40755\n/usr/lib 40755\n/usr/lib/a 100644 \"a\"\n"},
		{"root has only metadata", []*builder{base(), newBuilder(t).add(tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o700}, "")},
			strings.Replace(baseList, "/ 40755", "/ 40700", 1)},
		{"file over file", []*builder{base(), newBuilder(t).file("usr/a", "new")}, strings.Replace(baseList, `"a"`, `"new"`, 1)},
		{"directory over directory", []*builder{base(), newBuilder(t).add(tar.Header{Name: "usr", Typeflag: tar.TypeDir, Mode: 0o1777}, "")},
			strings.Replace(baseList, "/usr 40755", "/usr 41777", 1)},
		{"file over directory", []*builder{base(), newBuilder(t).file("usr", "")}, "/ 40755\n/usr 100644 \"\"\n"},
		{"directory over file", []*builder{base(), newBuilder(t).dir("usr/a").file("usr/a/c", "c")},
			strings.Replace(baseList, "/usr/a 100644 \"a\"\n", "/usr/a 40755\n/usr/a/c 100644 \"c\"\n", 1)},
		{"directory over symbolic link", []*builder{base(), newBuilder(t).symlink("bin", "usr"), newBuilder(t).dir("bin")},
			strings.Replace(baseList, "/ 40755\n", "/ 40755\n/bin 40755\n", 1)},
		{"symbolic links are not followed or judged", []*builder{newBuilder(t).symlink("x", "../../../etc")}, "/ 40755\n/x 120644 -> ../../../etc\n"},
		{"hard links", []*builder{base().link("c", "usr/lib/b").link("d", "/c"), newBuilder(t).link("e", "./d")},
			"/ 40755\n/c 100644 65 bytes (4 links)\n/d 100644 65 bytes (4 links)\n/e 100644 65 bytes (4 links)\n" +
				strings.Replace(strings.TrimPrefix(baseList, "/ 40755\n"), "65 bytes", "65 bytes (4 links)", 1)},
		{"hard link and then another file", []*builder{base().link("c", "usr/a"), newBuilder(t).file("usr/a", "new")},
			"/ 40755\n/c 100644 \"a\"\n" + strings.Replace(strings.TrimPrefix(baseList, "/ 40755\n"), `"a"`, `"new"`, 1)},
		{"hard link to a symbolic link", []*builder{newBuilder(t).symlink("a", "x").link("b", "a")},
			"/ 40755\n/a 120644 -> x (2 links)\n/b 120644 -> x (2 links)\n"},
		{"whiteout", []*builder{base(), newBuilder(t).file("usr/.wh.a", "")}, strings.Replace(baseList, "/usr/a 100644 \"a\"\n", "", 1)},
		{"whiteout of a directory", []*builder{base(), newBuilder(t).file(".wh.usr", "")}, "/ 40755\n"},
		{"whiteout of nothing", []*builder{base(), newBuilder(t).file("usr/.wh.x", "").file(".wh.", "").file(".wh...", "")}, baseList},
		{"whiteout and a new file", []*builder{base(), newBuilder(t).file("usr/.wh.lib", "").dir("usr/lib").file("usr/lib/c", "c")},
			strings.Replace(baseList, "b 100644 65 bytes", "c 100644 \"c\"", 1)},
		{"opaque", []*builder{base(), newBuilder(t).dir("usr").file("usr/.wh..wh..opq", "").file("usr/c", "c")},
			"/ 40755\n/usr 40755\n/usr/c 100644 \"c\"\n"},
		{"devices and a FIFO", []*builder{newBuilder(t).
			add(tar.Header{Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}, "").
			add(tar.Header{Name: "nvme", Typeflag: tar.TypeBlock, Devmajor: 259, Devminor: 0x12345}, "").
			add(tar.Header{Name: "pipe", Typeflag: tar.TypeFifo}, "")},
			"/ 40755\n/null 20644 device 0x103\n/nvme 60644 device 0x12310345\n/pipe 10644\n"},
		{"overlay whiteout stays", []*builder{newBuilder(t).add(tar.Header{Name: "w", Typeflag: tar.TypeChar}, "")}, "/ 40755\n/w 20644\n"},
		{"global header", []*builder{newBuilder(t).
			add(tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "no"}}, "").file("f", "")},
			"/ 40755\n/f 100644 \"\"\n"},
	}
	for _, tt := range tests {
		var archives [][]byte
		for _, b := range tt.layers {
			archives = append(archives, b.end())
		}
		root, err := applyBytes(t, archives...)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := list(root); got != tt.want {
			t.Errorf("%s: tree is\n%swant\n%s", tt.name, got, tt.want)
		}
	}
}

func TestMetadata(t *testing.T) {
	long := strings.Repeat("d/", 60) + "f"
	dirs := newBuilder(t)
	for i := 2; i < len(long); i += 2 {
		dirs.dir(long[:i])
	}
	when := time.Unix(1234567890, 123456789)
	xattrs := map[string]string{
		"SCHILY.xattr.security.capability":   "\x01\x00=\n\x02",
		"SCHILY.xattr.user.one":              "",
		"LIBARCHIVE.xattr.user.not-this-one": "eA==",
	}
	tests := []struct {
		name   string
		header tar.Header
		want   tree.Node
	}{
		{"ustar", tar.Header{Format: tar.FormatUSTAR, Name: long, Uid: 1000, Gid: 0o7777777, Mode: 0o6755, ModTime: time.Unix(1, 0)},
			tree.Node{Mode: 0o106755, UID: 1000, GID: 0o7777777, Mtime: tree.Time{Sec: 1}}},
		{"GNU", tar.Header{Format: tar.FormatGNU, Name: long, Uid: 1 << 30, Gid: 1<<32 - 2, Mode: 0o644, ModTime: time.Unix(-5, 0)},
			tree.Node{Mode: 0o100644, UID: 1 << 30, GID: 1<<32 - 2, Mtime: tree.Time{Sec: -5}}},
		{"PAX", tar.Header{Format: tar.FormatPAX, Name: long, Uid: 1 << 30, Gid: 7, Mode: 0o600, ModTime: when, PAXRecords: xattrs},
			tree.Node{Mode: 0o100600, UID: 1 << 30, GID: 7, Mtime: tree.Time{Sec: 1234567890, Nsec: 123456789}}},
	}
	for _, tt := range tests {
		root, err := applyBytes(t, dirs.buf.Bytes(), newBuilder(t).add(tt.header, "x").end())
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got := root.Lookup(long)
		if got == nil {
			t.Errorf("%s: the file is not there", tt.name)
			continue
		}
		if got.Mode != tt.want.Mode || got.UID != tt.want.UID || got.GID != tt.want.GID || got.Mtime != tt.want.Mtime {
			t.Errorf("%s: mode %o, owner %d:%d, mtime %v; want %o, %d:%d, %v", tt.name,
				got.Mode, got.UID, got.GID, got.Mtime, tt.want.Mode, tt.want.UID, tt.want.GID, tt.want.Mtime)
		}
		if tt.header.PAXRecords == nil {
			continue
		}
		capability, _ := got.Xattr("security.capability")
		if one, ok := got.Xattr("user.one"); capability != "\x01\x00=\n\x02" || !ok || one != "" || len(got.Xattrs()) != 2 {
			t.Errorf("%s: extended attributes %q; want security.capability and user.one", tt.name, got.Xattrs())
		}
	}
}

func TestParseTime(t *testing.T) {
	tests := []struct {
		in   string
		want tree.Time
		ok   bool
	}{
		{"0", tree.Time{}, true},
		{"5.", tree.Time{Sec: 5}, true},
		{"5.1", tree.Time{Sec: 5, Nsec: 100000000}, true},
		{"5.000000001", tree.Time{Sec: 5, Nsec: 1}, true},
		{"5.9999999999", tree.Time{Sec: 5, Nsec: 999999999}, true},
		{"-1", tree.Time{Sec: -1}, true},
		{"-0", tree.Time{}, true},
		{"-1.5", tree.Time{Sec: -2, Nsec: 500000000}, true},
		{"-0.000000001", tree.Time{Sec: -1, Nsec: 999999999}, true},
		{"253402300800", tree.Time{Sec: 253402300800}, true},
		{"", tree.Time{}, false},
		{"-", tree.Time{}, false},
		{"--1", tree.Time{}, false},
		{".5", tree.Time{}, false},
		{"1.-5", tree.Time{}, false},
		{"1e5", tree.Time{}, false},
		{"9223372036854775808", tree.Time{}, false},
	}
	for _, tt := range tests {
		if got, ok := parseTime(tt.in); got != tt.want || ok != tt.ok {
			t.Errorf("parseTime(%q) = %v, %v; want %v, %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}

// TestTimes: an image is not refused for a time. An invalid one in a PAX record
// is that of the header, or else 1970.
func TestTimes(t *testing.T) {
	file := func(mtime string) []byte { return raw(func(h []byte) { copy(h[136:148], mtime) }) }
	for _, tt := range []struct {
		archive []byte
		want    tree.Time
	}{
		{file("00000000005\x00"), tree.Time{Sec: 5}},
		{file("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe"), tree.Time{Sec: -2}},
		{file("\x80\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x05"), tree.Time{Sec: 1<<33 + 5}},
		{file("\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00"), tree.Time{}},
		{file("\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), tree.Time{}},
		{file("never\x00"), tree.Time{}},
		{append(pax('x', record("mtime", "-1.5")), file("00000000005\x00")...), tree.Time{Sec: -2, Nsec: 500000000}},
		{append(pax('x', record("mtime", "1e9")), file("00000000005\x00")...), tree.Time{Sec: 5}},
		{append(pax('x', record("mtime", strings.Repeat("9", 1000))), file("00000000005\x00")...), tree.Time{Sec: 5}},
	} {
		root, err := applyBytes(t, tt.archive)
		if err != nil {
			t.Errorf("mtime %q: %v", tt.archive[136:148], err)
		} else if got := root.Entry("file").Mtime; got != tt.want {
			t.Errorf("mtime %q is %v; want %v", tt.archive[136:148], got, tt.want)
		}
	}
}
