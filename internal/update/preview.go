package update

import (
	"context"
	"errors"
	"runtime"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/kargs"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/image/packages"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/loader"
)

// A preview is an image whose layers are here as the system that would be built of it, beside
// the deployment that it follows.
type preview struct {
	*system.System               // in the form in which it boots
	id             deployment.ID // which building it gives it
	size           int64         // bytes of its composefs image
	options        string        // its kernel command line
	from           deployment.ID // which it follows, "" for the first
	old            *tree.Node    // a part of that one's image; nil if there is none, or it is damaged
	origin         deployment.Origin
}

// oldPart is the part of a deployment's image that a plan looks at.
func oldPart() erofs.Part {
	modules := system.ModulesDir + "/*/"
	return erofs.Paths(append(packages.Paths(), "etc", kargs.Dir,
		modules+"vmlinuz", modules+"initramfs.img", modules+"*.efi", modules+"*.efi.extra.d")...)
}

// preview finds out what building the image would make. It writes nothing.
func (m *Machine) preview(ctx context.Context, img *oci.Image, o Options) (*preview, error) {
	sys, err := system.Compose(ctx, img, m.Repository, false)
	if err != nil {
		return nil, err
	}
	if err := m.checkSealed(img, sys, o); err != nil {
		return nil, err
	}
	if o.Loader != "" {
		if _, err := loader.Find(o.Loader, sys.OpenPath, runtime.GOARCH); err != nil {
			return nil, err
		}
	}
	v := &preview{System: sys}
	if v.id, v.size, err = sys.Measure(ctx); err != nil {
		return nil, err
	}
	for _, w := range sys.Warnings {
		m.warn(errors.New(w))
	}
	if v.options, err = m.options(sys, o, img.Config.Architecture, deployment.Target{ID: v.id}); err != nil {
		return nil, err
	}
	if v.from, err = m.current(); err != nil || v.from == "" {
		return v, err
	}
	if v.origin, err = m.readOrigin(v.from); err != nil {
		return nil, err
	}
	if v.old, err = m.readPart(v.from, oldPart()); err != nil {
		m.warn(err)
	}
	return v, nil
}

// candidate returns what there is of the preview for functions that prepare a deployment.
func (v *preview) candidate() candidate {
	return candidate{System: v.System, id: v.id, options: v.options}
}

// kernels returns the kernel that the preview boots, and that of the deployment before it.
func (v *preview) kernels() (k KernelChange) {
	k = KernelChange{Old: v.origin.Kernel, New: v.Kernel.Version, KernelChanged: true, InitramfsChanged: true}
	if u := v.Kernel.UKI; u != nil {
		same := v.origin.BootType == deployment.BootUKI && v.origin.BootDigest == u.BootDigest
		k.KernelChanged, k.InitramfsChanged = !same, !same
		return k
	}
	if v.old == nil {
		return k
	}
	before, err := system.FindKernel(v.old)
	if err != nil || before.UKI != nil {
		return k // it was in /boot, which is no part of a composefs image
	}
	if k.Old == "" {
		k.Old = before.Version
	}
	k.KernelChanged = !sameFile(before.Linux, v.Kernel.Linux)
	k.InitramfsChanged = !sameFile(before.Initrd, v.Kernel.Initrd)
	return k
}

// sameFile reports whether two files have the same content, as far as their digests tell.
func sameFile(a, b *tree.Node) bool {
	if a.Digest.IsZero() || b.Digest.IsZero() {
		return a.Size == b.Size && string(a.Inline) == string(b.Inline) && a.Digest == b.Digest
	}
	return a.Digest == b.Digest
}
