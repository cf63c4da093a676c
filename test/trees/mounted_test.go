package trees

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/mount"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/scan"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/image/layer"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// TestDirectoryMounted makes images of a directory with a Debian in it and some
// files more, and has the kernel mount them: what is there is, file for file, what
// is in the directory.
func TestDirectoryMounted(t *testing.T) {
	t.Parallel()
	need(t)
	ns.Run(t, func(t *testing.T) {
		want := unpacked(t, layout(t, "base"), "base")
		addOddFiles(t, filepath.Join(want, "usr/lib/odd"))
		repo := newRepository(t, repo.Options{})
		dir, err := os.Open(want)
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		tree, err := scan.Scan(t.Context(), dir, scan.Options{Repository: repo})
		if err != nil {
			t.Fatal(err)
		}
		tree.Root.CountLinks()
		for _, version := range []int{erofs.V0, erofs.V1} {
			sameFiles(t, mountImage(t, repo, tree.Root, version), want)
		}
	})
}

// TestLayersMounted does so with the layers of an image, which remove and replace
// files of each other. The directory was made of them by umoci.
func TestLayersMounted(t *testing.T) {
	t.Parallel()
	need(t)
	ns.Run(t, func(t *testing.T) {
		ctx := t.Context()
		from := layout(t, "v2")
		want := unpacked(t, from, "v2")
		repo := newRepository(t, repo.Options{})
		img := openImage(ctx, t, from, "v2")
		if len(img.Layers) < 3 {
			t.Errorf("the image has %d layers; want several", len(img.Layers))
		}
		var m layer.Merger
		for _, l := range img.Layers {
			tar, err := img.OpenLayer(ctx, l, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := layer.Import(ctx, tar, repo, l.DiffID); err != nil {
				t.Fatal(err)
			}
			tar.Close()
			if err := m.ApplyStored(t.Context(), repo, l.DiffID); err != nil {
				t.Fatal(err)
			}
		}
		m.Root.CountLinks()
		sameFiles(t, mountImage(t, repo, m.Root, erofs.V1), want)
	})
}

// mount puts the image of a tree into the repository and mounts it.
func mountImage(t *testing.T, repo *repo.Repository, root *tree.Node, version int) string {
	t.Helper()
	id, err := repo.PutImage(func(w io.Writer) error {
		return erofs.Write(t.Context(), w, root, erofs.Options{Version: version})
	})
	if err != nil {
		t.Fatal(err)
	}
	image, err := repo.OpenImage(id.String())
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	dir := ns.Dir(t)
	if err := mount.Mount(image, repo.ObjectsDir(), dir, mount.Options{Source: "composefs:" + id.String()}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// addOddFiles makes files of all kinds that a Debian has not, or not always.
func addOddFiles(t *testing.T, dir string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, content string) { t.Helper(); must(os.WriteFile(at(name), []byte(content), 0o644)) }
	xattr := func(name, attr, value string) { t.Helper(); must(unix.Lsetxattr(at(name), attr, []byte(value), 0)) }

	must(os.Mkdir(dir, 0o755))
	for name, size := range map[string]int{"empty": 0, "64": 64, "65": 65, "4096": 4096, "4097": 4097, "1M": 1 << 20} {
		write(name, strings.Repeat("x", size))
	}
	write("\x01\n\\ \xff=-", "a name that has to be escaped")
	write(strings.Repeat("n", 255), "a long name")
	write("capability", strings.Repeat("a program", 100))
	xattr("capability", "security.capability", "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	write("label", "x")
	xattr("label", "security.selinux", "system_u:object_r:bin_t:s0\x00")
	xattr("label", "user.long", strings.Repeat("v", 1000))
	xattr("label", "user.empty", "")
	xattr("label", "trusted.mine", "x")
	run(t, "setfacl", "-m", "u:1000:rw,g:7:r", at("65"))
	must(os.Mkdir(at("acl"), 0o2775))
	run(t, "setfacl", "-d", "-m", "u:1000:rwx", at("acl"))
	for _, name := range []string{"hard1", "acl/hard2", "hard3"} {
		must(os.Link(at("4097"), at(name)))
	}
	must(os.Symlink(strings.Repeat("t/", 500), at("long-link")))
	must(os.Symlink("nowhere", at("link")))
	must(os.Lchown(at("link"), 70000, 1<<31))
	must(unix.Mkfifo(at("fifo"), 0o640))
	must(unix.Mknod(at("socket"), unix.S_IFSOCK|0o600, 0))
	must(unix.Mknod(at("char"), unix.S_IFCHR|0o600, int(unix.Mkdev(5, 1))))
	must(unix.Mknod(at("block"), unix.S_IFBLK|0o660, int(unix.Mkdev(259, 70000))))
	must(os.Chmod(at("64"), 0o7777))
	must(unix.Chmod(at("64"), 0o6711))
	must(os.Mkdir(at("sticky"), 0o755))
	must(unix.Chmod(at("sticky"), 0o1777))
	for name, time := range map[string]unix.Timespec{
		"empty": {Sec: 0, Nsec: 1}, "65": {Sec: 1 << 33, Nsec: 999999999}, "link": {Sec: 1, Nsec: 5}, "sticky": {Sec: 7, Nsec: 8},
	} {
		must(unix.UtimesNanoAt(unix.AT_FDCWD, at(name), []unix.Timespec{time, time}, unix.AT_SYMLINK_NOFOLLOW))
	}
}
