package install

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/cryptroot"
	"github.com/sysupdate-image/sysupdate-image/internal/image/installconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/grub"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/loader"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// look reads of an image what decides how it is installed, and refuses one that cannot boot, or
// that nobody has signed if it wants that.
func look(ctx context.Context, o Options, r update.Reporter) (Image, error) {
	read := lookAt
	if o.IgnoreConfig {
		read = glanceAt
	}
	img, err := read(ctx, o, r)
	if err == nil {
		err = img.check()
	}
	return img, err
}

// lookAt reads all layers of an image; those in the repositories to reuse are not fetched.
func lookAt(ctx context.Context, o Options, r update.Reporter) (Image, error) {
	ref, err := oci.ParseReference(o.Image)
	if err != nil {
		return Image{}, err
	}
	r.Step("Looking at " + ref.String())
	opts := source.Options{Source: o.Source}
	if o.BlockSetup != Direct {
		opts.Contents = cryptroot.Contents
	}
	if store := firstStore(o.Reuse); store != nil {
		defer store.Close()
		opts.Repository = store
	}
	img, err := source.Open(ctx, o.Image, opts)
	if err != nil {
		return Image{}, err
	}
	defer img.Close()
	if img.OCI == nil {
		return Image{}, fmt.Errorf("%s is not a container image", o.Image)
	}
	found := imageOf(img.OCI)
	found.root, found.Bytes = img.Root, sizeOf(img.Root)
	found.efi = img.Root.Lookup("efi") != nil
	arch := cmp.Or(o.Source.Architecture, runtime.GOARCH)
	kernel, unbootable := system.CheckTree(img.Root)
	found.kernel = int64(kernel.Size())
	if found.config, err = installconfig.Load(tree.FollowingFS(img.Root, img.Open), arch); err != nil {
		return found, err
	}
	has := func(path string) bool { return img.Root.Lookup(path) != nil }
	if found.loader, err = loaderOf(o.Loader, found.config, has, arch); err != nil {
		return found, err
	}
	if err := loader.Lacks(found.loader, has, arch); err != nil {
		unbootable = cmp.Or(unbootable, fmt.Errorf("cannot install boot loader: %w", err))
	}
	found.bios = grub.HasBIOS(has, arch) && kernel.UKI == nil
	if err := noStart(found, has, arch); err != nil {
		unbootable = cmp.Or(unbootable, err)
	}
	if found.blocks(o) == TPM2LUKS && unbootable == nil {
		if found.opens = cryptroot.Check(ctx, img.Root, kernel, img.Open); ctx.Err() != nil {
			return found, context.Cause(ctx)
		}
	}
	found.onlyBIOS = found.bios && !grub.HasEFI(has, arch)
	found.unbootable = unbootable
	return found, nil
}

// glanceAt is lookAt for an image whose configuration does not count: no layer of it is read.
func glanceAt(ctx context.Context, o Options, r update.Reporter) (Image, error) {
	ref, err := oci.ParseReference(o.Image)
	if err != nil {
		return Image{}, err
	}
	r.Step("Looking at " + ref.String())
	img, err := oci.Open(ctx, ref, o.Source)
	if err != nil {
		return Image{}, err
	}
	found := imageOf(img)
	found.efi = true // as far as is known
	found.loader = cmp.Or(o.Loader, Loaders[0])
	found.bios = cmp.Or(o.Source.Architecture, runtime.GOARCH) == "amd64"
	for _, l := range img.Layers {
		found.Bytes += max(l.Size, 0) // contents take at least as much
	}
	return found, img.Close()
}

func imageOf(img *oci.Image) Image {
	return Image{Reference: img.Reference.String(), Digest: img.ManifestDigest, Signature: img.Signature}
}

// firstStore opens the first repository that can be read, nil if none can.
func firstStore(dirs []string) *repo.Repository {
	for _, dir := range dirs {
		if r, err := repo.Open(dir); err == nil {
			return r
		}
	}
	return nil
}

// sizeOf returns how many bytes the different contents of a tree have, in whole blocks.
func sizeOf(root *tree.Node) (bytes int64) {
	const block = 4096
	seen := make(map[digest.Digest]bool)
	root.Walk(func(_ string, n *tree.Node) {
		if n.Digest.IsZero() || seen[n.Digest] {
			return
		}
		seen[n.Digest] = true
		bytes += int64(n.Size+block-1) / block * block
	})
	return bytes
}

// A Verity says what becomes of fs-verity.
type Verity string

// What becomes of fs-verity.
const (
	VerityNow   Verity = "enabled"     // while installing
	VerityNever Verity = "unsupported" // by the file system
	VerityLater Verity = "later"       // this kernel has none, that of the new machine may
	VerityFiles Verity = "unmounted"   // only on file systems that are mounted
	VerityFirst Verity = "first boot"  // as VerityLater or VerityFiles, and the image can do it at its first boot
)

// verity says what becomes of fs-verity.
func (o DiskOptions) verity() Verity {
	switch {
	case o.FileSystem == "xfs":
		return VerityNever
	case o.Unmounted:
		return VerityFiles
	}
	// All file systems get it with the same option of the kernel; only ext4 shows it.
	if _, err := fs.Stat(o.Host.Files, "sys/fs/ext4/features"); err == nil {
		if _, err := fs.Stat(o.Host.Files, "sys/fs/ext4/features/verity"); err != nil {
			return VerityLater
		}
	}
	return VerityNow
}

// ownPath is the path of an open file for this program.
func ownPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// Configuration returns how an image wants to be installed: that of o, or the running system if
// o has none.
func Configuration(ctx context.Context, o Options, r update.Reporter) (installconfig.Config, error) {
	if o.Image == "" {
		return installconfig.Load(o.Host.Files, runtime.GOARCH)
	}
	img, err := lookAt(ctx, o, r)
	return img.config, err
}
