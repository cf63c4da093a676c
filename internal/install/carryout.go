package install

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/partition"
	"github.com/sysupdate-image/sysupdate-image/internal/install/device"
	"github.com/sysupdate-image/sysupdate-image/internal/install/fat"
	"github.com/sysupdate-image/sysupdate-image/internal/install/layout"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/loader"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// A DiskResult says what was installed on a disk.
type DiskResult struct {
	update.Result
	Disk   string `json:"disk"`
	Verity Verity `json:"verity"`
	// RecoveryKey opens an encrypted root; "" if there is none, or if it is in a file.
	RecoveryKey string `json:"-"`
	loader      loader.Loader
}

// toDisk carries a plan out. The disk is labelled as unfinished until all is on it; it is to
// be wiped then if toDisk fails. Mounts are attached nowhere, and loop devices last only as
// long as they are open: nothing of either is left, even if this program is killed.
func (p DiskPlan) toDisk(ctx context.Context, d *device.Disk, r update.Reporter, warn func(error)) (DiskResult, error) {
	if d.NeedsLoop() && !p.options.Unmounted {
		if err := checkLoop(); err != nil {
			return DiskResult{}, err
		}
	}
	table, err := p.partition(ctx, d, r)
	if err != nil {
		return DiskResult{}, fmt.Errorf("cannot make partitions on %s: %w", p.Disk, err)
	}
	fill := p.fillMounted
	if p.options.Unmounted {
		fill = p.fillUnmounted
	}
	result, err := fill(ctx, d, table, r, warn)
	if err == nil {
		err = p.installBIOS(ctx, d, table, result.loader)
	}
	if err != nil {
		return DiskResult{}, err
	}
	if err := d.Sync(); err != nil {
		return DiskResult{}, err
	}
	if err := ctx.Err(); err != nil {
		return DiskResult{}, err
	}
	// From here on the disk counts as installed.
	return result, d.Amend(p.Layout.Complete())
}

// partition makes the partitions, and returns the table that is on the disk then.
func (p DiskPlan) partition(ctx context.Context, d *device.Disk, r update.Reporter) (partition.Table, error) {
	r.Step("Making partitions on " + p.Disk)
	if len(p.Lost) > 0 {
		if err := wipe(d.Path, d.Files()...).Run(ctx); err != nil {
			return partition.Table{}, err
		}
		d.Settle(ctx)
	}
	dir, err := os.MkdirTemp("", "sysupdate-image-")
	if err != nil {
		return partition.Table{}, err
	}
	defer os.RemoveAll(dir)
	if err := p.writeDefinitions(dir); err != nil {
		return partition.Table{}, err
	}
	if err := p.partitionCommand(d.Path, dir, d.Files()...).Run(ctx); err != nil {
		return partition.Table{}, err
	}
	d.Settle(ctx)
	if err := d.Lock(ctx); err != nil {
		return partition.Table{}, err
	}
	table, err := d.Table()
	if err != nil {
		return table, err
	}
	return table, p.compare(table)
}

// compare refuses a table that is not what was planned.
func (p DiskPlan) compare(table partition.Table) error {
	if got, want := len(table.Numbers()), len(p.Layout.Partitions); got != want {
		return fmt.Errorf("%s made %d partitions; want %d", p.tool, got, want)
	}
	for i, want := range p.Layout.Partitions {
		got, ok := table.Partition(i + 1)
		if !ok || got.Type != want.Type || got.UUID != want.UUID || got.Size < want.Size {
			return fmt.Errorf("%s made partition %d with type %s, UUID %s and %d bytes; want type %s, UUID %s and %d bytes",
				p.tool, i+1, got.Type, got.UUID, got.Size, want.Type, want.UUID, want.Size)
		}
	}
	return nil
}

// open opens the partitions in the order of the plan.
func (p DiskPlan) open(ctx context.Context, d *device.Disk, table partition.Table) ([]device.Part, error) {
	var parts []device.Part
	for _, n := range table.Numbers() {
		entry, _ := table.Partition(n)
		part, err := d.Part(ctx, n, entry, true)
		if err != nil {
			for _, opened := range parts {
				err = errors.Join(err, opened.Close())
			}
			return nil, err
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// fillMounted makes the file systems, mounts them, and installs on them.
func (p DiskPlan) fillMounted(ctx context.Context, d *device.Disk, table partition.Table, r update.Reporter, warn func(error)) (DiskResult, error) {
	parts, err := p.open(ctx, d, table)
	if err != nil {
		return DiskResult{}, err
	}
	result, err := p.fillOpen(ctx, parts, r, warn)
	for _, part := range parts {
		err = errors.Join(err, part.Close())
	}
	return result, err
}

// fill makes the file systems of open partitions, and installs on them.
func (p DiskPlan) fill(ctx context.Context, parts []device.Part, r update.Reporter, warn func(error)) (DiskResult, error) {
	r.Step("Making file systems")
	for i, part := range p.Layout.Partitions {
		if err := wipe(parts[i].Path, parts[i].Files()...).Run(ctx); err != nil { // of what was there before
			return DiskResult{}, err
		}
		if part.FileSystem == "" {
			continue
		}
		if err := mkfs(part, parts[i].Path, parts[i].Files()...).Run(ctx); err != nil {
			return DiskResult{}, fmt.Errorf("cannot make the %s file system of %s: %w", part.FileSystem, part.Role, err)
		}
	}
	root, err := p.mountNew(layout.Root, parts)
	if err != nil {
		return DiskResult{}, err
	}
	defer root.Close()
	mounted := trees{root: root}
	if _, _, ok := p.Layout.Of(layout.Var); ok {
		if mounted.ofVar, err = p.mountNew(layout.Var, parts); err != nil {
			return DiskResult{}, err
		}
		defer mounted.ofVar.Close()
	}
	return p.install(ctx, mounted, parts, r, warn)
}

// trees are the top directories of what is installed on.
type trees struct {
	root  *os.File
	ofVar *os.File // of the partition for /var; nil if there is none
}

func (p DiskPlan) mountNew(role layout.Role, parts []device.Part) (*os.File, error) {
	part, n, _ := p.Layout.Of(role)
	mount, err := sys.Detached(part.FileSystem, sys.NoAtime, sys.MountString("source", parts[n-1].Path))
	if err != nil {
		return nil, fmt.Errorf("cannot mount the new %s file system: %w", role, err)
	}
	return mount, nil
}

// install installs the image on mounted file systems.
func (p DiskPlan) install(ctx context.Context, to trees, parts []device.Part, r update.Reporter, warn func(error)) (DiskResult, error) {
	role := layout.ESP
	if _, _, ok := p.Layout.Of(layout.Boot); ok {
		role = layout.Boot
	}
	entries, err := p.openFAT(role, parts)
	if err != nil {
		return DiskResult{}, err
	}
	esp := entries
	if role != layout.ESP {
		if esp, err = p.openFAT(layout.ESP, parts); err != nil {
			return DiskResult{}, errors.Join(err, entries.Close())
		}
		defer esp.CloseAll()
	}
	place := machine.Place{Host: p.options.Host, Dir: ownPath(to.root)}
	m, err := update.OpenNewOn(place, entries.Partition, warn)
	if err != nil {
		return DiskResult{}, errors.Join(err, entries.Close())
	}
	endVar, err := p.putVar(m, to.ofVar)
	if err != nil {
		return DiskResult{}, errors.Join(err, m.Close(), entries.Close())
	}
	defer endVar()
	result := DiskResult{Disk: p.Disk}
	result.Result, result.loader, err = p.options.deploy(ctx, m, p.Rooted, esp.Partition, r, warn)
	if err == nil && result.ManifestDigest != p.About.Digest {
		err = fmt.Errorf("the reference now leads to another image, %s; the disk was planned for %s", result.ManifestDigest, p.About.Digest)
	}
	if err == nil && m.Repository != nil {
		result.Verity, err = p.Verity.of(m, result.ID)
	}
	if err == nil {
		err = entries.Copy(ctx)
	}
	if err == nil && esp != entries {
		err = esp.Copy(ctx)
	}
	return result, errors.Join(err, m.Close(), entries.Close())
}

// of returns what became of fs-verity on a machine, where v was planned. If it was not enabled, the
// machine is asked to do that.
func (v Verity) of(m *update.Machine, id deployment.ID) (Verity, error) {
	if !m.Repository.Insecure() {
		return VerityNow, nil
	}
	if v == VerityLater || v == VerityFiles {
		if can, err := m.AskToProtect(id); can || err != nil {
			return VerityFirst, err
		}
	}
	return v, nil
}

// putVar puts /var of a machine on its partition, if it has one. The caller calls end once the
// machine is closed.
func (p DiskPlan) putVar(m *update.Machine, ofVar *os.File) (end func() error, err error) {
	part, _, ok := p.Layout.Of(layout.Var)
	if !ok {
		return func() error { return nil }, nil
	}
	top, err := os.OpenRoot(ownPath(ofVar))
	if err != nil {
		return nil, err
	}
	v := deployment.VarPartition{PartUUID: part.UUID, FileSystem: part.FileSystem}.Fresh()
	if err := m.PutVarOn(v, top); err != nil {
		return nil, errors.Join(err, top.Close())
	}
	return top.Close, nil
}

// openFAT opens a boot partition of the plan.
func (p DiskPlan) openFAT(role layout.Role, parts []device.Part) (*fat.Partition, error) {
	planned, n, _ := p.Layout.Of(role)
	path := parts[n-1].Path
	write := fat.Write
	if p.options.Unmounted {
		write = fat.Stage
	}
	return write(path, fmt.Sprintf("%s (%s)", path, role), planned.Size, parts[n-1].Files()...)
}
