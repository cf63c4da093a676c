package erofs

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// largeDump returns a dump of n entries shaped like an operating system: for
// each directory some 14 files, one in twelve of them a symbolic link, with a
// few hundred SELinux labels, and one file in twenty there twice. Digests are
// those of an algorithm.
func largeDump(n int, alg digest.Algorithm) []byte {
	var b bytes.Buffer
	b.WriteString("/ 0 40755 3 0 0 0 1700000000.0 - - - security.selinux=system_u:object_r:root_t:s0\n")
	for i, dir := 1, ""; i < n; i++ {
		label := fmt.Sprintf("security.selinux=system_u:object_r:type%d_t:s0", i/15%300)
		mtime := 1700000000 + i/1000
		switch {
		case i%15 == 1:
			if i%60 == 1 {
				dir = "" // four levels, then from the top again
			}
			dir += fmt.Sprintf("/directory-%06d", i)
			fmt.Fprintf(&b, "%s 0 40755 2 0 0 0 %d.0 - - - %s\n", dir, mtime, label)
		case i%12 == 0:
			target := fmt.Sprintf("../lib/target-%d", i)
			fmt.Fprintf(&b, "%s/name-%06d %d 120777 1 0 0 0 %d.0 %s - - %s\n", dir, i, len(target), mtime, target, label)
		default:
			content := i
			if i%20 == 0 {
				content /= 40
			}
			sum := sha512.Sum512([]byte{byte(content), byte(content >> 8), byte(content >> 16)})
			hash := hex.EncodeToString(sum[:alg.Size()])
			fmt.Fprintf(&b, "%s/name-%06d %d 100644 1 0 0 0 %d.0 %s/%s - %s %s\n",
				dir, i, 100+i, mtime, hash[:2], hash[2:], hash, label)
		}
	}
	return b.Bytes()
}

const benchmarkEntries = 128 << 10

func BenchmarkDumpToDigest(b *testing.B) {
	dump := largeDump(benchmarkEntries, digest.SHA512)
	for b.Loop() {
		root, err := tree.ParseDump(bytes.NewReader(dump))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Digest(b.Context(), root, Options{Version: V1, Algorithm: digest.SHA512}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(dump))/1e6, "MB-dump")
}

func BenchmarkParse(b *testing.B) {
	dump := largeDump(benchmarkEntries, digest.SHA512)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tree.ParseDump(bytes.NewReader(dump)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDigest(b *testing.B) {
	root, err := tree.ParseDump(bytes.NewReader(largeDump(benchmarkEntries, digest.SHA512)))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Digest(b.Context(), root, Options{Version: V1, Algorithm: digest.SHA512}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestLargeDumpIsOne(t *testing.T) {
	const entries = 5000
	got := strings.Count(string(largeDump(entries, digest.SHA512)), "\n")
	root, err := tree.ParseDump(bytes.NewReader(largeDump(entries, digest.SHA512)))
	if err != nil || got != entries {
		t.Fatalf("largeDump(%d) has %d lines, %v; want as many", entries, got, err)
	}
	names := 0
	root.Walk(func(string, *tree.Node) { names++ })
	if names != entries {
		t.Errorf("the tree has %d names; want %d", names, entries)
	}
}

func BenchmarkRead(b *testing.B) {
	image := write(b, cornerTree(b, string(largeDump(benchmarkEntries, digest.SHA512))), Options{Version: V1})
	b.ReportAllocs()
	b.SetBytes(int64(len(image)))
	for b.Loop() {
		read(b, image)
	}
}
