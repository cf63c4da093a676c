package boot

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// A KernelPlan is what writing a kernel, or a unified kernel image, comes to.
type KernelPlan struct {
	Write      int64 // bytes of the files that are not there already
	Need, Free int64 // bytes, see Partition.Room
}

// PlanKernel returns what WriteKernelWith would write. If known is not "" it is the digest
// that WriteKernelWith would return; the files are then not read. That a kernel of their sizes
// which is there is not damaged is then taken for granted.
func (p *Partition) PlanKernel(ctx context.Context, linux, initrd io.ReadSeeker, further []File, known string) (KernelPlan, error) {
	return p.planParts(ctx, kernelParts(linux, initrd, further), known)
}

// PlanUKI returns what WriteUKI would write.
func (p *Partition) PlanUKI(ctx context.Context, id deployment.ID, uki io.ReadSeeker, extras []File) (KernelPlan, error) {
	return p.planParts(ctx, ukiParts(id, uki, extras), "")
}

func (p *Partition) planParts(ctx context.Context, parts []part, known string) (plan KernelPlan, err error) {
	k := kernel{parts: parts, digest: known}
	for i := range parts {
		if parts[i].size, err = parts[i].content.Seek(0, io.SeekEnd); err != nil {
			return plan, fmt.Errorf("cannot read kernel: %s: %w", parts[i].name, err)
		}
	}
	if k.whole, err = p.isThere(ctx, &k); err != nil {
		return plan, fmt.Errorf("cannot look for the kernel on %s: %w", p, err)
	}
	if !k.whole {
		for _, part := range parts {
			plan.Write += part.size
		}
	}
	plan.Need, plan.Free, err = p.Room(k.sizes()...)
	return plan, err
}

// isThere reports whether a kernel is on the partition. Where none of its sizes is, that is
// known without reading it.
func (p *Partition) isThere(ctx context.Context, k *kernel) (bool, error) {
	similar, err := p.similar(*k)
	if err != nil || len(similar) == 0 {
		return false, err
	}
	if k.digest != "" {
		for _, at := range similar {
			if base := path.Base(at); base == k.digest || base == bootcPrefix+k.digest {
				return true, nil
			}
		}
	}
	if *k, err = newKernel(ctx, k.parts); err != nil {
		return false, err
	}
	if k.at, err = p.placeFor(ctx, *k); err != nil {
		return false, err
	}
	return p.verifyKernel(ctx, *k)
}

// similar returns the directories with files of the kernel's sizes.
func (p *Partition) similar(k kernel) (dirs []string, err error) {
	for _, place := range kernelPlaces {
		names, err := p.readDir(place.dir)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if k.at = path.Join(place.dir, name); strings.HasPrefix(name, place.prefix) && p.hasSizes(k) {
				dirs = append(dirs, k.at)
			}
		}
	}
	return dirs, nil
}

// ESP returns how many bytes are free on the EFI system partition beside this one. beside is
// false if there is none: this is the EFI system partition, or a directory.
func (p *Partition) ESP() (free int64, beside bool, err error) {
	if p.settings == p.root || p.settingsErr != nil {
		return 0, false, nil
	}
	dir, err := p.settings.Open(".")
	if err != nil {
		return 0, true, fmt.Errorf("cannot tell the room on the EFI system partition: %w", err)
	}
	defer dir.Close()
	free, _, err = sys.Space(dir)
	return free, true, err
}

// ukiParts are the parts of a unified kernel image with what systemd-stub(7) reads beside it.
func ukiParts(id deployment.ID, uki io.ReadSeeker, extras []File) []part {
	name := bootentry.UKIName(id)
	parts := []part{{name: name, content: uki}}
	for _, f := range extras {
		parts = append(parts, part{name: bootentry.ExtrasOf(name) + "/" + f.Name, named: true, content: f.Content})
	}
	return parts
}
