package lint

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/scan"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// Sizes of the tree that is checked: 1.8 GB, as a desktop has it.
const (
	benchFiles     = 60_000
	benchSize      = 30_000
	benchInitramfs = 60 << 20
)

// BenchmarkRun checks a tree of 1.8 GB on disk, and compares the time with what find(1)
// takes to look at each file. Contents that no rule reads are holes.
func BenchmarkRun(b *testing.B) {
	root := b.TempDir()
	makeTree(b, root)
	var ours, theirs time.Duration
	for b.Loop() {
		began := time.Now()
		checkTree(b, root)
		ours += time.Since(began)
		began = time.Now()
		if err := exec.Command("find", root, "-newermt", "@4000000000").Run(); err != nil {
			b.Fatal(err)
		}
		theirs += time.Since(began)
	}
	b.ReportMetric(ours.Seconds()/float64(b.N), "s/lint")
	b.ReportMetric(ours.Seconds()/theirs.Seconds(), "times-find")
}

// checkTree scans a directory and checks all rules.
func checkTree(b *testing.B, root string) {
	b.Helper()
	dir, err := os.Open(root)
	if err != nil {
		b.Fatal(err)
	}
	defer dir.Close()
	files, err := scan.Scan(b.Context(), dir, scan.Options{Algorithm: digest.SHA512, Shallow: true, NoMounts: true})
	if err != nil {
		b.Fatal(err)
	}
	r, err := Run(b.Context(), Image{Root: files.Root, Open: files.Open, Arch: "amd64", Now: time.Now()}, nil)
	if err != nil {
		b.Fatal(err)
	}
	if len(r.Findings) > 0 {
		b.Fatalf("found %+v; want nothing", r.Findings)
	}
}

// makeTree writes the tree.
func makeTree(b *testing.B, root string) {
	b.Helper()
	i := cleanImage(&testing.T{})
	i.Root.Walk(func(p string, n *tree.Node) {
		name := filepath.Join(root, p)
		var err error
		switch {
		case n.IsDir():
			err = os.MkdirAll(name, 0o755)
		case n.IsSymlink():
			err = os.Symlink(n.Target, name)
		default:
			err = os.WriteFile(name, n.Inline, os.FileMode(n.Mode&0o777))
		}
		if err != nil {
			b.Fatal(err)
		}
	})
	// Owners and modes that a test cannot give to files on disk.
	err := errors.Join(
		os.WriteFile(filepath.Join(root, "usr/lib/tmpfiles.d/more.conf"), []byte("d /var/lib/example-web\n"), 0o644),
		os.WriteFile(filepath.Join(root, "usr/lib/modules/6.12.1/initramfs.img"), largeInitramfs(b), 0o644),
	)
	for n := range benchFiles {
		dir := filepath.Join(root, fmt.Sprintf("usr/share/d%02d/e%04d", n/200%40, n/200))
		if n%200 == 0 {
			err = errors.Join(err, os.MkdirAll(dir, 0o755))
		}
		name := filepath.Join(dir, fmt.Sprintf("file-%d", n))
		err = errors.Join(err, os.WriteFile(name, nil, 0o644), os.Truncate(name, benchSize))
	}
	if err != nil {
		b.Fatal(err)
	}
}

// largeInitramfs returns a compressed initramfs with the program and much that does not
// compress.
func largeInitramfs(b *testing.B) []byte {
	b.Helper()
	noise := make([]byte, benchInitramfs)
	random := rand.NewChaCha8([32]byte{})
	_, _ = random.Read(noise) // never fails
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out)
	if err != nil {
		b.Fatal(err)
	}
	text := archive(&testing.T{}, map[string]string{
		"usr/lib/sysupdate-image/prepare-root": "the program", "usr/lib/sysupdate-image/prepare-root.toml": "[etc]\nmount = \"overlay\"\n",
		"noise": string(noise),
	})
	if _, err := w.Write([]byte(text)); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}
