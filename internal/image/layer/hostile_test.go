package layer

import (
	"archive/tar"
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// raw returns a header block that change has been applied to, with the right
// checksum.
func raw(change func(h []byte)) []byte {
	h := make([]byte, blockSize)
	copy(h, "file")
	copy(h[100:], "0000644\x000000000\x000000000\x0000000000000\x0000000000000\x00")
	h[156] = '0'
	copy(h[257:], "ustar\x0000")
	change(h)
	return sum(h)
}

// sum enters the checksum.
func sum(h []byte) []byte {
	copy(h[148:], "        ")
	n := 0
	for _, b := range h {
		n += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", n))
	return h
}

// pax returns an extended header with records.
func pax(typeflag byte, records string) []byte {
	h := raw(func(h []byte) {
		copy(h[124:], fmt.Sprintf("%011o", len(records)))
		h[156] = typeflag
	})
	return append(append(h, records...), make([]byte, padding(int64(len(records))))...)
}

func record(key, value string) string {
	for n := len(key) + len(value) + 3; ; n++ {
		if s := fmt.Sprintf("%d %s=%s\n", n, key, value); len(s) == n {
			return s
		}
	}
}

func TestHostile(t *testing.T) {
	end := make([]byte, 2*blockSize)
	file := raw(func([]byte) {})
	name := func(s string) []byte { return raw(func(h []byte) { copy(h, s+"\x00") }) }
	typeflag := func(c byte) []byte { return raw(func(h []byte) { h[156] = c }) }
	size := func(s string) []byte { return raw(func(h []byte) { copy(h[124:136], s+"\x00") }) }
	link := func(c byte, target string) []byte {
		return raw(func(h []byte) {
			h[156] = c
			copy(h[157:], target)
		})
	}
	tests := []struct {
		name    string
		archive []byte
		want    string
	}{
		{"..", name(".."), `the component ".."`},
		{".. inside", name("usr/../../etc/passwd"), `the component ".."`},
		{".. after a slash", name("/../etc/passwd"), `the component ".."`},
		{".. in a hard link", link('1', "../etc/passwd"), `the component ".."`},
		{"through a symbolic link", newBuilder(t).symlink("x", "/etc").file("x/passwd", "").end(), `"/x" is not a directory`},
		{"hard link through a symbolic link", newBuilder(t).symlink("x", "/etc").link("y", "x/passwd").end(), `"/x" is not a directory`},
		{"hard link to nothing", link('1', "etc/passwd"), "not there"},
		{"hard link to itself", link('1', "file"), "not there"},
		{"hard link to a directory", newBuilder(t).dir("x").link("y", "x").end(), "hard link to the directory"},
		{"hard link to the root", link('1', "/"), "hard link to"},
		{"hard link without a target", link('1', ""), "hard link to"},
		{"symbolic link without a target", link('2', ""), "symbolic link without a target"},
		{"symbolic link of 5000 bytes", append(pax('x', record("linkpath", strings.Repeat("x", 5000))), typeflag('2')...), "symbolic link to 5000 bytes"},
		{"parent is a file", newBuilder(t).file("x", "").file("x/y", "").end(), `"/x" is not a directory`},
		{"no name", name(""), "no name"},
		{"root is a file", name("."), "the root must be a directory"},
		{"root is a hard link", newBuilder(t).file("x", "").link("./", "x").end(), "the root must be a directory"},
		{"name of 300 bytes", newBuilder(t).file(strings.Repeat("x", 300), "").end(), "name of 300 bytes"},
		{"path of 5000 bytes", newBuilder(t).file(strings.Repeat("x/", 2500)+"x", "").end(), "path of 5001 bytes"},
		{"NUL in a name", append(pax('x', record("path", "a\x00b")), file...), "NUL"},
		{"NUL in a symbolic link", append(pax('x', record("linkpath", "a\x00b")), typeflag('2')...), "NUL"},
		{"NUL in an attribute", append(pax('x', record("SCHILY.xattr.user.\x00", "")), file...), "NUL"},
		{"attribute without a name", append(pax('x', record("SCHILY.xattr.", "")), file...), "extended attribute"},
		{"attribute of 100000 bytes", append(pax('x', record("SCHILY.xattr.user.x", strings.Repeat("x", 100000))), file...), "100000 bytes"},
		{"device with large numbers", raw(func(h []byte) {
			h[156] = '3'
			copy(h[329:], "7777777\x00")
		}), "no device"},
		{"device of old tar", raw(func(h []byte) {
			h[156] = '4'
			clear(h[257:265])
		}), "device without numbers"},
		{"sparse file without GNU tar", typeflag('S'), "not in a header of GNU tar"},
		{"sparse file of 1 TiB", append(raw(func(h []byte) {
			h[156] = 'S'
			copy(h[257:], "ustar  \x00")
			copy(h[483:], "\x80\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00")
		}), end...), "sparse file size limit: at most 16 GiB"},
		{"sparse file with less than its map has", append(pax('x', record("GNU.sparse.map", "0,1")), file...), "1 bytes at 0 of 0"},
		{"sparse file with more", append(append(pax('x', record("GNU.sparse.map", "0,1")+record("GNU.sparse.size", "1")), size("00000000002")...), append([]byte("ab"), make([]byte, 510)...)...), "1 bytes more than it says"},
		{"segments that overlap", append(pax('x', record("GNU.sparse.map", "0,5,3,5")+record("GNU.sparse.size", "10")), file...), "5 bytes at 3 of 10"},
		{"half a segment", append(pax('x', record("GNU.sparse.map", "0,5,3")), file...), "3 numbers"},
		{"sparse file of version 2.0", append(pax('x', record("GNU.sparse.major", "2")+record("GNU.sparse.minor", "0")+record("GNU.sparse.size", "10")), file...), "version"},
		{"map that is none", append(append(pax('x', record("GNU.sparse.major", "1")+record("GNU.sparse.minor", "0")+record("GNU.sparse.realsize", "10")), size("00000001000")...), bytes.Repeat([]byte("x\n"), 256)...), "is not a number"},
		{"map of 10⁹ segments", append(append(pax('x', record("GNU.sparse.major", "1")+record("GNU.sparse.minor", "0")+record("GNU.sparse.realsize", "10")), size("00000001000")...), append([]byte("1000000000\n"), bytes.Repeat([]byte("0\n"), 256)[:501]...)...), "truncated"},
		{"10 GB and nothing", append(size("112402762000"), end...), "truncated: 1024 of 10000000000 bytes"},
		{"negative size", size("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "size is negative"},
		{"size of 2⁶⁴", size("\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00"), "size is too large"},
		{"owner of 2³²", raw(func(h []byte) { copy(h[108:], "\x80\x00\x00\x01\x00\x00\x00\x00") }), "uid 4294967296: want 0 to 4294967294"},
		{"owner -1", raw(func(h []byte) { copy(h[108:], "\xff\xff\xff\xff\xff\xff\xff\xff") }), "uid -1: want"},
		{"group of 2³² in PAX", append(pax('x', record("gid", "4294967296")), file...), "gid 4294967296: want"},
		{"group of 2⁶⁴ in PAX", append(pax('x', record("gid", "18446744073709551616")), file...), "gid=\"18446744073709551616\" is too large"},
		{"size of 2⁶³ - 1", append(pax('x', record("size", "9223372036854775807")), file...), "size is negative or too large"},
		{"size that is none", size("12x"), "octal"},
		{"mode that is none", raw(func(h []byte) { copy(h[100:], "99") }), "octal"},
		{"size of a directory", raw(func(h []byte) {
			h[156] = '5'
			copy(h[124:], "77777777777\x00")
		}), "not a regular file"},
		{"unknown type", typeflag('Z'), `entries of type 'Z'`},
		{"volume label", typeflag('V'), `entries of type 'V'`},
		{"PAX header of old tar", raw(func(h []byte) {
			h[156] = 'x'
			clear(h[257:265])
		}), `entries of type 'x'`},
		{"wrong checksum", func() []byte { h := bytes.Clone(file); h[0] = 'F'; return h }(), "checksum"},
		{"no tar", bytes.Repeat([]byte("x"), 1024), "not a tar header"},
		{"cut in a header", file[:100], "truncated"},
		{"cut in a small file", append(size("00000000005"), "hel"...), "truncated"},
		{"cut in padding", append(size("00000000005"), "hello\x00"...), "truncated"},
		{"cut in the padding of an object", append(size("00000000101"), make([]byte, 100)...), "truncated"},
		{"cut before a PAX record", pax('x', record("path", "x"))[:blockSize], "truncated"},
		{"cut before a block of PAX records", pax('x', record("path", strings.Repeat("x", 490)))[:blockSize], "truncated"},
		{"PAX header at the end", pax('x', record("path", "x")), "extended header without an entry"},
		{"PAX header before the end", append(pax('x', record("path", "x")), end...), "extended header without an entry"},
		{"global header after a PAX header", append(pax('x', ""), pax('g', "")...), "global header"},
		{"PAX header of 8 GB", raw(func(h []byte) {
			h[156] = 'x'
			copy(h[124:], "77777777777\x00")
		}), "extended header of"},
		{"many global headers", bytes.Repeat(pax('g', record("comment", strings.Repeat("x", 1<<20-20))), 5), "bytes of headers"},
		{"PAX record without an end", append(pax('x', "8 path=x"), file...), "malformed PAX record"},
		{"PAX record that is too long", append(pax('x', "99 path=x\n"), file...), "malformed PAX record"},
		{"PAX record that is too short", append(pax('x', "3 path=x\n"), file...), "malformed PAX record"},
		{"PAX record of length 0", append(pax('x', "0 path=x\n"), file...), "malformed PAX record"},
		{"PAX record without =", append(pax('x', "7 path\n"), file...), "malformed PAX record"},
		{"PAX record without a length", append(pax('x', "path=x\n"), file...), "malformed PAX record"},
		{"PAX record of NULs", append(pax('x', "\x00\x00\x00\x00\x00"), file...), "malformed PAX record"},
		{"empty PAX name", append(pax('x', record("path", "")), file...), "no name"},
		{"PAX owner that is none", append(pax('x', record("uid", "root")), file...), "not a number"},
	}
	for _, tt := range tests {
		root, err := applyBytes(t, tt.archive)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: tree %v, error %v; want one with %q", tt.name, root, err, tt.want)
		}
	}
}

// TestOdd has archives that are unusual, but not wrong.
func TestOdd(t *testing.T) {
	end := make([]byte, 2*blockSize)
	file := raw(func([]byte) {})
	const want = "/ 40755\n/file 100644 \"\"\n"
	tests := []struct {
		name    string
		archive []byte
		want    string
	}{
		{"nothing", nil, "/ 40755\n"},
		{"only an end", end, "/ 40755\n"},
		{"no end", file, want},
		{"half an end", append(bytes.Clone(file), end[:blockSize]...), want},
		{"zeros in between", append(make([]byte, blockSize), file...), want},
		{"a long end", append(bytes.Clone(file), make([]byte, 100000)...), want},
		{"something after the end", append(append(bytes.Clone(file), end...), "more"...), want},
		{"old tar", sum(append([]byte(nil), append(file[:257:257], make([]byte, blockSize-257)...)...)), want},
		{"type NUL", raw(func(h []byte) { h[156] = 0 }), want},
		{"contiguous file", raw(func(h []byte) { h[156] = '7' }), want},
		{"numbers with spaces", raw(func(h []byte) { copy(h[100:], " 644 \x00") }), want},
		{"long name with its NUL", append(pax('L', "file\x00"), raw(func(h []byte) { copy(h, "x") })...), want},
		{"PAX before GNU", append(append(pax('x', record("path", "file")), pax('L', "other")...), file...), want},
		{"GNU before PAX", append(append(pax('L', "other"), pax('x', record("path", "file"))...), file...), want},
		{"two PAX headers", append(append(pax('x', record("path", "other")), pax('x', record("path", "file"))...), file...), want},
		{"two long names", append(append(pax('L', "other\x00"), pax('L', "file\x00")...), file...), want},
		{"long name with more after its NUL", append(pax('L', "file\x00x\x00"), file...), want},
		{"empty numbers in PAX", append(pax('x', record("uid", "")+record("size", "")+record("mtime", "")), file...), want},
		{"signed checksum", signedSum(append(pax('x', record("path", "file")), raw(func(h []byte) { copy(h, "\xff\xfe") })...)), want},
		{"directory of old tar", raw(func(h []byte) { h[156] = 0; copy(h, "dir/"); clear(h[257:265]) }), "/ 40755\n/dir 40644\n"},
		{"regular file with a slash", raw(func(h []byte) { copy(h, "dir/") }), "/ 40755\n/dir 40644\n"},
		{"and content", append(raw(func(h []byte) { copy(h, "dir/"); copy(h[124:], "00000000144\x00") }), make([]byte, blockSize)...), "/ 40755\n/dir 40644\n"},
		{"last record counts", append(pax('x', record("path", "other")+record("path", "file")), file...), want},
		{"unknown record", append(pax('x', record("comment", "x=y\nz")), file...), want},
		{"hard link with content", append(append(bytes.Clone(file), raw(func(h []byte) {
			copy(h, "link")
			copy(h[124:], "00000000005\x00")
			h[156] = '1'
			copy(h[157:], "file")
		})...), "hello"+strings.Repeat("\x00", 507)...), "/ 40755\n/file 100644 \"\" (2 links)\n/link 100644 \"\" (2 links)\n"},
	}
	for _, tt := range tests {
		root, err := applyBytes(t, tt.archive)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := list(root); got != tt.want {
			t.Errorf("%s: tree is\n%swant\n%s", tt.name, got, tt.want)
		}
		checkSame(t, tt.name, tt.archive)
	}
}

// TestDeep merges the deepest path that there can be.
func TestDeep(t *testing.T) {
	b := newBuilder(t)
	for i := 1; 2*i < 4095; i += 1 {
		b.add(tar.Header{Name: strings.Repeat("d/", i), Typeflag: tar.TypeDir, Mode: 0o755}, "")
	}
	root, err := applyBytes(t, b.end())
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(list(root), "\n"); n != 2048 {
		t.Errorf("%d directories; want 2048", n)
	}
}

// signedSum gives the last header of an archive the checksum that old systems compute.
func signedSum(archive []byte) []byte {
	h := archive[len(archive)-blockSize:]
	n := int(8 * ' ')
	for i, b := range h {
		if i < 148 || i >= 156 {
			n += int(int8(b))
		}
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", n))
	return archive
}
