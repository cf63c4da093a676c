package update

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// A new deployment's boot entry inherits what an administrator or a distribution has added
// to the entry of the one it follows: more initrds, such as microcode, a device tree, and
// keys that are unknown here. A warning names what cannot be carried over.

// entryBefore returns the boot entry of the deployment that a new one follows, the zero
// one if there is none.
func (m *Machine) entryBefore() (deployment.ID, bootentry.Entry, error) {
	current, err := m.current()
	if err != nil || current == "" {
		return "", bootentry.Entry{}, err
	}
	files, err := m.entries()
	if err != nil {
		return "", bootentry.Entry{}, err
	}
	i := slices.IndexFunc(files, func(f boot.EntryFile) bool { return f.Target.ID == current })
	if i < 0 {
		return current, bootentry.Entry{}, nil
	}
	return current, files[i].Entry, nil
}

// inherit gives a new entry what the one before it has besides what is written here.
func (m *Machine) inherit(e, before bootentry.Entry, tree string) (bootentry.Entry, error) {
	initrds, err := m.inheritInitrds(e, before)
	if err != nil {
		return e, err
	}
	e.Initrds = initrds
	e.Architecture = before.Architecture
	if before.MachineID != "" {
		m.dropped("machine-id", before.MachineID, noMachineID)
	}
	for _, kv := range before.Other {
		value, err := m.inheritLine(e, kv)
		if err != nil {
			return e, err
		}
		if value != "" {
			e.Other = append(e.Other, bootentry.KeyValue{Key: kv.Key, Value: value})
		}
	}
	if tree != "" {
		e.Other = append(e.Other, bootentry.KeyValue{Key: bootentry.DeviceTree, Value: tree})
	}
	return e, nil
}

// dropped warns that the new boot entry lacks a line of the one before.
func (m *Machine) dropped(key, value, why string) {
	m.warn(fmt.Errorf("'%s %s' is not carried over to the new boot entry: %s", key, value, why))
}

// Why a line is not carried over.
const (
	ukiHasOwn  = "a unified kernel image has its own"
	onlyForUKI = "it is for a unified kernel image"
	// A boot loader looks at it before the version, so it could hide which entry is newer.
	noMachineID = "boot entries of deployments have none, as it changes their order"
)

// missingOn is another reason.
func (m *Machine) missingOn(names ...string) string {
	return fmt.Sprintf("%s is missing on %s", strings.Join(names, ", "), m.Boot)
}

// inheritLine returns what a line with a key that is not known here says in the new
// entry, "" for nothing. The device tree is chosen elsewhere.
func (m *Machine) inheritLine(e bootentry.Entry, kv bootentry.KeyValue) (string, error) {
	isUKI := !e.IsKernel()
	switch kv.Key {
	case bootentry.DeviceTree:
		return "", nil
	case bootentry.UKIURL:
		m.dropped(kv.Key, kv.Value, "an entry boots one kernel")
		return "", nil
	case bootentry.Profile:
		if !isUKI {
			m.dropped(kv.Key, kv.Value, onlyForUKI)
			return "", nil
		}
	case bootentry.Overlays:
		if isUKI {
			m.dropped(kv.Key, kv.Value, ukiHasOwn)
			return "", nil
		}
		return m.inheritOverlays(kv)
	}
	return kv.Value, nil
}

// inheritOverlays returns those of a line's overlays that are there: the loader boots no
// entry that names a file which is missing.
func (m *Machine) inheritOverlays(kv bootentry.KeyValue) (string, error) {
	var kept, lost []string
	for _, overlay := range strings.Fields(kv.Value) {
		found, err := m.Boot.Has(overlay)
		if err != nil {
			return "", fmt.Errorf("cannot carry over %s: %w", kv.Key, err)
		}
		if found {
			kept = append(kept, overlay)
		} else {
			lost = append(lost, overlay)
		}
	}
	if len(lost) > 0 {
		m.dropped(kv.Key, strings.Join(lost, " "), m.missingOn(lost...))
	}
	return strings.Join(kept, " "), nil
}

// inheritInitrds returns the initrds of a new entry: its own in the place that the
// initramfs of the image before has among the others.
func (m *Machine) inheritInitrds(e, before bootentry.Entry) ([]string, error) {
	var first, last []string
	list, own := &first, ownInitrd(before)
	for _, initrd := range before.Initrds {
		switch {
		case own != "" && samePath(initrd, own):
			list = &last
			continue
		case !e.IsKernel():
			m.dropped("initrd", initrd, ukiHasOwn)
			continue
		case slices.ContainsFunc(e.Initrds, func(s string) bool { return samePath(s, initrd) }):
			continue
		}
		found, err := m.Boot.Has(initrd)
		if err != nil {
			return nil, fmt.Errorf("cannot carry over initrd: %w", err)
		}
		if !found {
			m.dropped("initrd", initrd, m.missingOn(initrd))
			continue
		}
		*list = append(*list, initrd)
	}
	return slices.Concat(first, e.Initrds, last), nil
}

// ownInitrd returns the initrd that is the initramfs of the image that the entry boots,
// "" if there is none: the one beside the kernel that has the name which both we and
// bootc give it, or else the last one beside the kernel, or else the last one. What comes
// before it is microcode, as a rule.
func ownInitrd(e bootentry.Entry) (own string) {
	if !e.IsKernel() {
		return ""
	}
	dir, isBeside := path.Dir(boot.Relative(e.Linux)), false
	for _, initrd := range e.Initrds {
		name := boot.Relative(initrd)
		beside := strings.EqualFold(path.Dir(name), dir)
		if beside && strings.EqualFold(path.Base(name), "initrd") {
			return initrd
		}
		if beside || !isBeside {
			own, isBeside = initrd, beside
		}
	}
	return own
}

// samePath reports whether two paths in boot entries are of one file, on FAT.
func samePath(a, b string) bool { return strings.EqualFold(boot.Relative(a), boot.Relative(b)) }

// A deviceTree is the one that a new entry names: a file of the image, or what the entry
// before names.
type deviceTree struct {
	name string     // below an image's directory of device trees, or a path on the boot partition
	node *tree.Node // nil for what is on the boot partition
}

// path returns what the entry says, for the directory of a kernel that was written with
// the device tree.
func (d deviceTree) path(dir string) string {
	if d.node == nil {
		return d.name
	}
	return "/" + path.Join(dir, deviceTrees, d.name)
}

// deviceTrees is where the device tree is beside a kernel.
const deviceTrees = "dtb"

// treeDirs are where images have device trees, for a version of the kernel: see
// kernel-install(8).
func treeDirs(kver string) []string {
	return []string{
		path.Join(system.ModulesDir, kver, "dtb"), path.Join(system.ModulesDir, kver, "dtbs"),
		"usr/lib/firmware/" + kver + "/device-tree", "usr/lib/linux-image-" + kver,
	}
}

// findTree returns a device tree of an image by its name below one of treeDirs, or by the
// longest part at the end of a path that is such a name.
func findTree(tree *tree.Node, kver, name string) (deviceTree, bool) {
	parts := strings.Split(boot.Relative(name), "/")
	for i := range parts {
		below := path.Join(parts[i:]...)
		for _, dir := range treeDirs(kver) {
			if n := tree.Lookup(dir + "/" + below); n != nil && n.IsRegular() {
				return deviceTree{below, n}, true
			}
		}
	}
	return deviceTree{}, false
}

// deviceTree returns the device tree for the candidate's entry: the image's, in the place
// of that of the image before, or the one that the image asks for if none was named, or
// what was put there by somebody else.
func (m *Machine) deviceTree(ctx context.Context, c candidate, current deployment.ID, before bootentry.Entry) (deviceTree, error) {
	name := before.DeviceTree()
	if name == "" {
		return m.wantedTree(c)
	}
	if c.Kernel.UKI != nil {
		m.dropped(bootentry.DeviceTree, name, ukiHasOwn)
		return deviceTree{}, nil
	}
	if d, ok := findTree(c.Tree, c.Kernel.Version, name); ok {
		ours, err := m.isImagesTree(ctx, current, name)
		if ctx.Err() != nil {
			return deviceTree{}, ctx.Err()
		}
		if err != nil {
			m.warn(fmt.Errorf("keeping device tree %s instead of the new image's: %w", name, err))
		} else if ours {
			return d, nil
		}
	}
	found, err := m.Boot.Has(name)
	if err != nil {
		return deviceTree{}, fmt.Errorf("cannot carry over %s: %w", bootentry.DeviceTree, err)
	}
	if !found {
		m.dropped(bootentry.DeviceTree, name, m.missingOn(name))
		return deviceTree{}, nil
	}
	if boot.IsInKernel(name) {
		m.warn(fmt.Errorf("the new image has no device tree %s: keeping that of the previous image", path.Base(boot.Relative(name))))
	}
	return deviceTree{name: name}, nil
}

// wantedTree returns the device tree that the image asks for, in the file of
// kernel-install(8).
func (m *Machine) wantedTree(c candidate) (deviceTree, error) {
	if c.Kernel.UKI != nil {
		return deviceTree{}, nil
	}
	for _, file := range []string{"etc/kernel/devicetree", "usr/lib/kernel/devicetree"} {
		n := c.Tree.Lookup(file)
		if n == nil || !n.IsRegular() {
			continue
		}
		text, err := c.Content(n)
		if err != nil {
			return deviceTree{}, fmt.Errorf("cannot read /%s in the image: %w", file, err)
		}
		line, _, _ := strings.Cut(string(text), "\n")
		name := strings.TrimSpace(line)
		if name == "" {
			continue
		}
		if d, ok := findTree(c.Tree, c.Kernel.Version, name); ok && d.name == path.Clean(name) {
			return d, nil
		}
		return deviceTree{}, fmt.Errorf("/%s asks for device tree %q, which is not in the image, in none of /%s",
			file, name, strings.Join(treeDirs(c.Kernel.Version), " /"))
	}
	return deviceTree{}, nil
}

// isImagesTree reports whether a device tree on the boot partition came from the image of a
// deployment: it was written with its kernel, or is the same.
func (m *Machine) isImagesTree(ctx context.Context, id deployment.ID, name string) (bool, error) {
	if boot.IsInKernel(name) {
		return true, nil
	}
	tree, err := m.readImage(id)
	if err != nil {
		return false, err
	}
	modules := tree.Lookup(system.ModulesDir)
	if modules == nil {
		return false, nil
	}
	s := system.Of(tree, m.Repository)
	for _, e := range modules.Entries() {
		d, ok := findTree(tree, e.Name, name)
		if !ok {
			continue
		}
		if same, err := m.sameAsFile(ctx, s, d.node, name); same || err != nil {
			return same, err
		}
	}
	return false, nil
}

// sameAsFile reports whether a file on the boot partition has the content of an image's.
func (m *Machine) sameAsFile(ctx context.Context, s *system.System, n *tree.Node, name string) (bool, error) {
	if found, err := m.Boot.Has(name); !found {
		return err == nil, err // there is nothing of anybody's to lose
	}
	there, err := m.Boot.Open(name)
	if err != nil {
		return false, err
	}
	defer there.Close()
	info, err := there.Stat()
	if err != nil || info.Size() != int64(n.Size) {
		return false, err
	}
	ours, err := s.Open(n)
	if err != nil {
		return false, err
	}
	defer ours.Close()
	a, errA := sum(cancel.Reader(ctx, there))
	b, errB := sum(cancel.Reader(ctx, ours))
	return a == b, errors.Join(errA, errB)
}

func sum(r io.Reader) (digest [sha256.Size]byte, err error) {
	h := sha256.New()
	_, err = io.Copy(h, r)
	return [sha256.Size]byte(h.Sum(nil)), err
}
