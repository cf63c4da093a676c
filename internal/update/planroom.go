package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/image/rootconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// A WritePlan is what would be written, in bytes. Records, boot entries, and what is copied
// of /etc and /var are not counted.
type WritePlan struct {
	Repository int64 `json:"repository"` // new objects
	Boot       int64 `json:"boot"`       // kernel and initramfs, or the unified kernel image
}

// A Room is what Apply needs of a file system, in bytes.
type Room struct {
	FileSystem string `json:"fileSystem"` // "root", "boot", or "esp" beside an extended boot loader partition
	Where      string `json:"where,omitempty"`
	Need       *int64 `json:"need"` // at most, at any moment; nil if only the layers tell
	Free       int64  `json:"free"`
}

// Short reports whether there is known to be less room than needed.
func (r Room) Short() bool { return r.Need != nil && *r.Need > r.Free }

// planRoom adds what is written, and what room that needs.
func (m *Machine) planRoom(ctx context.Context, p *Plan, img *oci.Image, v *preview) error {
	p.Room = []Room{}
	free, err := m.freeBytes()
	if err != nil {
		return err
	}
	root, kernel, write := need{}, boot.KernelPlan{}, WritePlan{}
	if v != nil && !p.idle() {
		if root, err = m.newObjects(img, v); err != nil {
			return err
		}
		write.Repository = root.bytes
		if kernel, err = m.planKernel(ctx, p, v); err != nil {
			return err
		}
		write.Boot = kernel.Write
		if err := m.copies(ctx, p, v, &root); err != nil {
			return err
		}
	}
	known := v != nil || p.idle()
	if known {
		p.Write = &write
	}
	add := func(name, where string, need, free int64) {
		r := Room{FileSystem: name, Where: where, Free: free}
		if known {
			r.Need = &need
		}
		p.Room = append(p.Room, r)
	}
	if m.Boot == nil || m.bootInRoot() {
		add("root", "", root.room+kernel.Need, free)
		return nil
	}
	add("root", "", root.room, free)
	bootFree, err := m.Boot.FreeBytes()
	if err != nil {
		return err
	}
	add("boot", m.Boot.String(), kernel.Need, bootFree)
	espFree, beside, err := m.Boot.ESP()
	if beside && err == nil {
		add("esp", "", 0, espFree) // kernels and entries are on the other one
	}
	return err
}

// A need is what files take.
type need struct{ bytes, room int64 }

const (
	blockSize   = 4 << 10
	recordsRoom = 256 << 10 // more than the records of a deployment, with their directories
)

// add adds a file: its content, with the hashes of fs-verity, its inode, and a block of a
// directory.
func (n *need) add(size int64) {
	n.bytes += size
	n.room += (size+size/32+blockSize-1)/blockSize*blockSize + 3*blockSize
}

// newObjects returns what building the image and recording it would put into the repository.
func (m *Machine) newObjects(img *oci.Image, v *preview) (n need, err error) {
	sizes := make(map[digest.Digest]int64)
	for d, size := range v.Measured {
		sizes[d] = size
	}
	image, err := v.id.Digest()
	if err != nil {
		return n, err
	}
	sizes[image] = v.size
	if err := recordSizes(img, m.Repository, v.id, v.Form, sizes); err != nil {
		return n, fmt.Errorf("cannot tell how large the record of the image is: %w", err)
	}
	n.room = recordsRoom
	for d, size := range sizes {
		if !m.Repository.HasObject(d) {
			n.add(size)
		} else {
			n.room += size // it is written, and dropped when it turns out to be there
		}
	}
	return n, nil
}

// planKernel returns what the deployment takes of the boot partition.
func (m *Machine) planKernel(ctx context.Context, p *Plan, v *preview) (plan boot.KernelPlan, err error) {
	entries, err := m.entries()
	if err != nil || m.Boot == nil {
		return plan, err
	}
	hasEntry := slices.ContainsFunc(entries, func(f boot.EntryFile) bool { return f.Target.ID == m.Booted })
	// See otherKernel.
	if p.Outcome == RollbackQueued || p.Outcome == AlreadyBooted && v.Kernel.UKI == nil && hasEntry {
		return plan, nil
	}
	if v.Kernel.UKI != nil {
		err = v.candidate().withUKI(func(uki io.ReadSeeker, extras []boot.File) (err error) {
			plan, err = m.Boot.PlanUKI(ctx, v.id, uki, extras)
			return err
		})
		return plan, err
	}
	c := v.candidate()
	current, before, err := m.entryBefore()
	if err != nil {
		return plan, err
	}
	if c.dtb, err = m.deviceTree(ctx, c, current, before); err != nil {
		return plan, err
	}
	known := ""
	if k := v.kernels(); !k.KernelChanged && !k.InitramfsChanged && c.dtb.node == nil && v.origin.BootType == deployment.BootBLS {
		known = v.origin.BootDigest
	}
	err = c.withKernel(func(linux, initrd io.ReadSeeker, further []boot.File) (err error) {
		plan, err = m.Boot.PlanKernel(ctx, linux, initrd, further, known)
		return err
	})
	return plan, err
}

// copies adds the room for what is copied to the state of the deployment: /etc, now or at
// shutdown, and the first /var.
func (m *Machine) copies(ctx context.Context, p *Plan, v *preview, n *need) error {
	if p.Outcome != Staged && p.Outcome != Published {
		return nil
	}
	var files need
	if deployment.EtcMode(v.Mounts.Etc) == deployment.EtcBind {
		files.addTree(v.Tree.Entry("etc"))
	}
	from, err := m.etcSide()
	if err != nil {
		return err
	}
	if from.ID != "" && from.ID != v.id && deployment.EtcMode(v.Mounts.Etc).Persistent() {
		dir := from.ID.EtcUpper()
		if from.Etc == deployment.EtcBind {
			dir = from.ID.EtcDir()
		}
		if err := files.addDir(ctx, m.Root.FS(), dir); err != nil {
			return err
		}
	}
	if _, err := m.Root.Lstat(deployment.SharedVar); errors.Is(err, fs.ErrNotExist) && v.Mounts.Var == rootconfig.Bind {
		files.addTree(v.Tree.Entry("var"))
	}
	n.room += files.room
	return nil
}

func (n *need) addTree(root *tree.Node) {
	root.Walk(func(_ string, node *tree.Node) { n.add(int64(node.Size)) })
}

// addDir adds what is in a directory, as far as it is there and can be read.
func (n *need) addDir(ctx context.Context, fsys fs.FS, dir string) error {
	return fs.WalkDir(fsys, dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return ctx.Err()
		}
		size := int64(0)
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			size = info.Size()
		}
		n.add(size)
		return nil
	})
}
