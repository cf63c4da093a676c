package lint

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
	"github.com/sysupdate-image/sysupdate-image/internal/format/uki"
	"github.com/sysupdate-image/sysupdate-image/internal/image/initramfs"
	"github.com/sysupdate-image/sysupdate-image/internal/image/rootconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
)

// inInitramfs is what an initramfs has.
type inInitramfs struct {
	contents map[string][]byte
	sums     map[string]initramfs.Sum
}

// programs are those in an initramfs that mount the root, ours first.
func programs() []string {
	return slices.DeleteFunc(rootconfig.Names(), func(name string) bool {
		return name == rootconfig.File || name == rootconfig.BootcFile
	})
}

// program returns which of them the initramfs has, "" if none.
func (i inInitramfs) program() string {
	for _, name := range programs() {
		if _, ok := i.sums[name]; ok {
			return name
		}
	}
	return ""
}

// checkInitramfs finds an initramfs that is damaged, or of no use.
func checkInitramfs(ctx context.Context, t *target) error {
	if t.noKernel != nil {
		return nil // checkKernel tells why
	}
	found, err := t.lookInside(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	where := t.initramfsPath()
	opaque := (*initramfs.OpaqueError)(nil)
	switch {
	case errors.As(err, &opaque) && !opaque.Damaged:
		t.note(fmt.Sprintf("cannot look into %s, so it may have no program that mounts the root: %v", where, opaque))
	case err != nil:
		t.add(Finding{Path: where, What: err.Error(), Mend: "Build the initramfs again, and check the exit status of the tool that does it."})
	case found.program() == "":
		t.find(where, "it has no program that mounts the root")
	default:
		t.note(fmt.Sprintf("%s mounts the root with /%s", where, found.program()))
	}
	return nil
}

// initramfsPath returns the file with the initramfs.
func (t *target) initramfsPath() string {
	if t.kernel.UKI != nil {
		return "/" + t.kernel.UKI.Path
	}
	return "/" + path.Join(system.ModulesDir, t.kernel.Version, "initramfs.img")
}

// lookInside looks into the initramfs, once for all that is asked of it.
func (t *target) lookInside(ctx context.Context) (inInitramfs, error) {
	if t.initramfs == nil && t.initramfsErr == nil {
		found, err := t.readInitramfs(ctx)
		t.initramfs, t.initramfsErr = &found, err
	}
	return *t.initramfs, t.initramfsErr
}

func (t *target) readInitramfs(ctx context.Context) (inInitramfs, error) {
	n := t.kernel.Initrd
	if t.kernel.UKI != nil {
		n = t.kernel.UKI.Node
	}
	f, err := t.openAt(n)
	if err != nil {
		return inInitramfs{}, err
	}
	defer f.Close()
	var r io.Reader = f
	if t.kernel.UKI != nil {
		image, err := uki.Read(f)
		if err != nil {
			return inInitramfs{}, err
		}
		if image.Initrd() == nil {
			return inInitramfs{}, errors.New("it has no initramfs")
		}
		r = image.Initrd()
	}
	contents, sums, err := initramfs.FindSums(ctx, r, rootconfig.Names()...)
	return inInitramfs{contents, sums}, err
}

// checkStale finds programs and configuration in the initramfs that are not those of the
// image.
func checkStale(ctx context.Context, t *target) error {
	if t.noKernel != nil {
		return nil
	}
	found, err := t.lookInside(ctx)
	if err != nil || found.program() == "" {
		return ctx.Err() // checkInitramfs tells of it
	}
	for _, name := range rootconfig.Names() {
		_, n, err := tree.Resolve(t.Root, name, true)
		if err != nil {
			return err
		}
		inside, has := found.sums[name]
		if n == nil || !n.IsRegular() || !has && !found.reads(name) {
			continue
		}
		if !has {
			t.find(t.initramfsPath(), fmt.Sprintf("it does not have /%s, which the image has", name))
			continue
		}
		outside, err := t.sum(ctx, n)
		if err != nil {
			return err
		}
		if inside != outside {
			t.find(t.initramfsPath(), t.howStale(name, n))
		}
	}
	return nil
}

// reads reports whether the program in the initramfs reads a configuration file.
func (i inInitramfs) reads(name string) bool {
	_, ours := i.sums[rootconfig.Program]
	_, alone := i.sums[rootconfig.Standalone]
	return name == rootconfig.BootcFile || name == rootconfig.File && (ours || alone)
}

// howStale says how the file of the initramfs differs from the one of the image.
func (t *target) howStale(name string, n *tree.Node) string {
	made := t.kernel.Initrd
	if t.kernel.UKI != nil {
		made = t.kernel.UKI.Node
	}
	if made.Mtime.Compare(n.Mtime) < 0 {
		return fmt.Sprintf("/%s in it is older than the one in the image", name)
	}
	return fmt.Sprintf("/%s in it is another than the one in the image", name)
}

// sum returns the digest of a file's content.
func (t *target) sum(ctx context.Context, n *tree.Node) (initramfs.Sum, error) {
	f, err := t.Open(n)
	if err != nil {
		return initramfs.Sum{}, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, cancel.Reader(ctx, f))
	return initramfs.Sum(h.Sum(nil)), err
}
