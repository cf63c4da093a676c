package carry

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// A disk is a physical root with two images and local changes to /etc.
type disk struct {
	b        testing.TB
	root     *os.Root
	from, to Side
}

// newDisk makes a disk in dir whose images have so many files in /etc, of which the
// second has every seventh otherwise, and 70,000 files in /usr. 50 files of the
// first are changed, deleted, or have another mode.
func newDisk(b testing.TB, dir string, files int, etc deployment.EtcMode) *disk {
	b.Helper()
	root, err := os.OpenRoot(dir)
	d := &disk{b: b, root: root}
	d.must(err)
	b.Cleanup(func() { root.Close() })
	d.from = Side{ID: d.image(files, 0), Etc: etc}
	d.to = Side{ID: d.image(files, 1), Etc: etc}
	d.change(files)
	return d
}

func (d *disk) must(err error) {
	d.b.Helper()
	if err != nil {
		d.b.Fatal(err)
	}
}

// name returns the path of a file: 20 are in a directory.
func name(i int) string { return fmt.Sprintf("d%02d/e%02d/f%02d", i/200, i/20%10, i%20) }

func content(i, version int) []byte {
	return []byte(strings.Repeat(fmt.Sprintf("setting-%d = %d\n", i, version*(i%7/6)), 100))
}

// object puts content into the repository.
func (d *disk) object(data []byte) digest.Digest {
	sum := verity.Sum(digest.SHA512, data)
	path := filepath.Join("objects", sum.ObjectPath())
	d.must(d.root.MkdirAll(filepath.Dir(path), 0o755))
	d.must(d.root.WriteFile(path, data, 0o644))
	return sum
}

func (d *disk) image(files, version int) deployment.ID {
	tree := &tree.Node{Mode: tree.TypeDir | 0o755}
	for i := range files {
		data := content(i, version)
		place(tree, "etc/"+name(i), d.object(data), len(data))
	}
	for i := range 70_000 {
		place(tree, fmt.Sprintf("usr/lib%02d/p%d/f%d", i%50, i/50%40, i), verity.Sum(digest.SHA512, fmt.Append(nil, i)), 9000)
	}
	tree.CountLinks()
	var image strings.Builder
	d.must(erofs.Write(context.Background(), &image, tree, erofs.Options{Version: erofs.V1}))
	return deployment.ID(d.object([]byte(image.String())).String())
}

func place(root *tree.Node, path string, content digest.Digest, size int) {
	names := strings.Split(path, "/")
	for _, name := range names[:len(names)-1] {
		next := root.Entry(name)
		if next == nil {
			next = &tree.Node{Mode: tree.TypeDir | 0o755}
			root.Set(name, next)
		}
		root = next
	}
	root.Set(names[len(names)-1], &tree.Node{Mode: tree.TypeRegular | 0o644, Nlink: 1, Size: uint64(size), Digest: content})
}

// change makes 50 local changes.
func (d *disk) change(files int) {
	base, err := d.carrier().Pristine(d.from.ID, erofs.All)
	d.must(err)
	local, err := d.carrier().Pristine(d.from.ID, erofs.All)
	d.must(err)
	for i := range 50 {
		path := name(i * (files / 50))
		dir := local.Lookup(filepath.Dir(path))
		n := local.Lookup(path).Clone()
		switch i % 10 {
		case 8:
			dir.Remove(filepath.Base(path))
			continue
		case 9:
			n.Mode = tree.TypeRegular | 0o600
		default:
			n.Inline = []byte(strings.Repeat(fmt.Sprintf("mine = %d\n", i), 400))
			n.Size, n.Digest = uint64(len(n.Inline)), digest.Digest{}
		}
		dir.Set(filepath.Base(path), n)
	}
	d.must(d.carrier().Write(context.Background(), d.from, local, base, d.carrier().OpenContent))
}

// carrier opens objects as a repository with fs-verity does: what they hold is
// for the kernel to check.
func (d *disk) carrier() Carrier {
	return Carrier{
		Sysroot: d.root,
		OpenObject: func(sum digest.Digest) (*os.File, error) {
			return d.root.Open(filepath.Join("objects", sum.ObjectPath()))
		},
		Warn: func(text string) { d.b.Log(text) },
	}
}

func (d *disk) carry() {
	d.b.Helper()
	report, err := d.carrier().Carry(context.Background(), d.from, d.to)
	d.must(err)
	if len(report.Changes) != 50 {
		d.b.Fatalf("%d local changes; want 50", len(report.Changes))
	}
}

// inMemory returns a directory on a tmpfs, where no device is waited for.
func inMemory(b *testing.B) string {
	b.Helper()
	if os.Geteuid() != 0 {
		b.Skip("overlay whiteouts are devices, which only root can make")
	}
	dir, err := os.MkdirTemp("/dev/shm", "etc")
	if err != nil {
		b.Skip("no tmpfs at /dev/shm")
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// BenchmarkCarry is all that finalize does before it publishes the boot entry,
// at 50 local changes, for an /etc of 3,000 files and for one of 30,000 (Debian's
// has about 1,500). It reports how much longer the latter takes.
func BenchmarkCarry(b *testing.B) {
	small, large := newDisk(b, inMemory(b), 3_000, deployment.EtcOverlay), newDisk(b, inMemory(b), 30_000, deployment.EtcOverlay)
	var took [2]time.Duration
	for b.Loop() {
		for i, d := range []*disk{small, large} {
			begun := time.Now()
			d.carry()
			took[i] += time.Since(begun)
		}
	}
	b.ReportMetric(took[0].Seconds()*1000/float64(b.N), "ms/3k-files")
	b.ReportMetric(took[1].Seconds()*1000/float64(b.N), "ms/30k-files")
	b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "30k/3k")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkCarryToDisk is the same with what the device takes for every sync, and
// for a full copy, where all of /etc is read and written.
func BenchmarkCarryToDisk(b *testing.B) {
	inMemory(b)
	for _, etc := range []deployment.EtcMode{deployment.EtcOverlay, deployment.EtcBind} {
		b.Run(string(etc), func(b *testing.B) {
			d := newDisk(b, b.TempDir(), 1_500, etc)
			for b.Loop() {
				d.carry()
			}
		})
	}
}
