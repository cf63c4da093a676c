package lint

import (
	"bytes"
	"io"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/image/initramfs"
)

// built is when the images of the tests were built.
var built = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// An image is one that a test makes, and changes to have a fault.
type image struct {
	Image
	t *testing.T
}

// cleanImage returns an image without a fault.
func cleanImage(t *testing.T) *image {
	t.Helper()
	root := &tree.Node{Mode: tree.TypeDir | 0o755, Mtime: tree.Time{Sec: built.Unix()}}
	open := func(n *tree.Node) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(n.Inline)), nil }
	i := &image{Image{Root: root, Open: open, Arch: "amd64", Now: built.Add(time.Minute)}, t}
	i.dir("boot", "dev", "etc", "home", "proc", "root", "run", "sys", "sysroot", "tmp", "usr/bin", "usr/lib", "var/log", "var/lib", "var/cache", "var/tmp")
	i.node("tmp").Mode = tree.TypeDir | 0o1777
	i.link("bin", "usr/bin")
	i.link("var/run", "../run")
	i.file("usr/lib/os-release", "ID=example\nVERSION_ID=1\n")
	i.file("usr/lib/systemd/systemd", "ELF").Mode |= 0o111
	i.link("etc/os-release", "../usr/lib/os-release")
	i.file("etc/machine-id", "")
	i.link("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")
	i.file("usr/bin/su", "ELF").Mode |= setuid
	i.file("usr/lib/modules/6.12.1/vmlinuz", "the kernel")
	i.file("usr/lib/modules/6.12.1/config", "CONFIG_EROFS_FS=m\nCONFIG_EROFS_FS_XATTR=y\nCONFIG_OVERLAY_FS=m\nCONFIG_FS_VERITY=y\n")
	i.file("usr/lib/sysupdate-image/prepare-root", "the program")
	i.file("usr/lib/sysupdate-image/prepare-root.toml", "[etc]\nmount = \"overlay\"\n")
	i.initramfs(map[string]string{"usr/lib/sysupdate-image/prepare-root": "the program", "usr/lib/sysupdate-image/prepare-root.toml": "[etc]\nmount = \"overlay\"\n"})
	i.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:999:999::/:/usr/sbin/nologin\n")
	i.file("etc/group", "root:x:0:\nweb:x:999:\nadm:x:4:\n")
	i.file("usr/lib/sysusers.d/basic.conf", "# accounts\nu root 0 - /root /bin/sh\ng adm 4\nu! web 999 \"Web server\"\n")
	i.file("usr/lib/tmpfiles.d/var.conf", "q /var 0755 - - -\nL /var/run - - - - ../run\nd /var/log\nd /var/lib\nd /var/cache\nq /var/tmp 1777 root root 30d\nd /var/lib/%o-web 0750 web web\n")
	i.dir("var/lib/example-web")
	i.file("usr/lib/systemd/system/web.service", "[Service]\nExecStart=/usr/bin/web \\\n  --data /var/lib/web\nReadWritePaths=/var/lib/web\n")
	i.link("etc/systemd/system/multi-user.target.wants/web.service", "/usr/lib/systemd/system/web.service")
	i.file("usr/lib/bootc/kargs.d/10-console.toml", "kargs = [\"console=ttyS0\"]\n")
	i.file("usr/lib/sysupdate-image/update.toml", "keep = 1\n")
	i.file("etc/fstab", "# none\nLABEL=data /srv ext4 defaults 0 2\n")
	return i
}

// node returns the file at a path, which must be there.
func (i *image) node(name string) *tree.Node {
	i.t.Helper()
	n := i.Root.Lookup(path.Clean("/" + name))
	if n == nil {
		i.t.Fatalf("the image has no %s", name)
	}
	return n
}

// dir makes directories with those above them.
func (i *image) dir(names ...string) {
	for _, name := range names {
		at := i.Root
		if path.Clean("/"+name) == "/" {
			continue
		}
		for _, part := range strings.Split(strings.Trim(path.Clean("/"+name), "/"), "/") {
			if at.Entry(part) == nil {
				at.Set(part, i.entry(tree.TypeDir|0o755))
			}
			at = at.Entry(part)
		}
	}
}

func (i *image) entry(mode uint32) *tree.Node {
	return &tree.Node{Mode: mode, Mtime: tree.Time{Sec: built.Unix()}, Nlink: 1}
}

// set puts a file at a path, in place of the one that was there.
func (i *image) set(name string, n *tree.Node) *tree.Node {
	i.dir(path.Dir(name))
	dir := i.node(path.Dir(name))
	dir.Remove(path.Base(name))
	dir.Set(path.Base(name), n)
	return n
}

func (i *image) file(name, text string) *tree.Node {
	n := i.entry(tree.TypeRegular | 0o644)
	if strings.HasPrefix(name, "usr/bin/") {
		n.Mode |= 0o111
	}
	n.Inline, n.Size = []byte(text), uint64(len(text))
	return i.set(name, n)
}

func (i *image) link(name, target string) *tree.Node {
	n := i.entry(tree.TypeSymlink | 0o777)
	n.Target = target
	return i.set(name, n)
}

// remove takes a file away.
func (i *image) remove(name string) {
	i.t.Helper()
	if !i.node(path.Dir(name)).Remove(path.Base(name)) {
		i.t.Fatalf("the image has no %s", name)
	}
}

// initramfs puts an initramfs with files beside the kernel.
func (i *image) initramfs(files map[string]string) *tree.Node {
	i.t.Helper()
	return i.file("usr/lib/modules/6.12.1/initramfs.img", archive(i.t, files))
}

func archive(t *testing.T, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	w := initramfs.NewWriter(&b, time.Time{})
	w.Dir("usr", 0o755)
	for name, text := range files {
		w.File(name, 0o755, []byte(text))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
