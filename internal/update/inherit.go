package update

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// What an administrator or a distribution has put into the boot entry of the deployment
// that a new one follows is for the new one's entry too: further initrds, such as
// microcode, a device tree, and keys that are not known here. What cannot be carried over
// is named in a warning.

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
func (m *Machine) inherit(e, before bootentry.Entry, tree string) bootentry.Entry {
	if e.Linux != "" {
		e.Initrds = m.inheritInitrds(e.Initrds, before)
	} else if further := furtherInitrds(before); len(further) > 0 {
		m.warn(fmt.Sprintf("the boot entry has initrd %s no more: a unified kernel image has its own", strings.Join(further, " ")))
	}
	for _, kv := range before.Other {
		switch kv.Key {
		case bootentry.DeviceTree:
			continue // see below
		case bootentry.Overlays:
			if e.Linux == "" {
				m.warn(fmt.Sprintf("the boot entry has %s %s no more: a unified kernel image has its own", kv.Key, kv.Value))
				continue
			}
		}
		e.Other = append(e.Other, kv)
	}
	if tree != "" {
		e.Other = append(e.Other, bootentry.KeyValue{Key: bootentry.DeviceTree, Value: tree})
	}
	return e
}

// inheritInitrds returns the initrds of a new entry: its own in the place of the one
// before it among the others.
func (m *Machine) inheritInitrds(own []string, before bootentry.Entry) []string {
	var first, last []string
	list := &first
	for _, initrd := range before.Initrds {
		if isOwnInitrd(before, initrd) {
			list = &last
			continue
		}
		if !m.boot.Has(initrd) {
			m.warn(fmt.Sprintf("the boot entry has initrd %s no more: it is missing on %s", initrd, m.boot))
			continue
		}
		*list = append(*list, initrd)
	}
	return slices.Concat(first, own, last)
}

// isOwnInitrd says whether an initrd is the initramfs of the image that the entry boots:
// it is beside the kernel, under the name that both we and bootc give it.
func isOwnInitrd(e bootentry.Entry, initrd string) bool {
	return initrd == path.Join(path.Dir(e.Linux), "initrd") || len(e.Initrds) == 1
}

func furtherInitrds(e bootentry.Entry) (further []string) {
	for _, initrd := range e.Initrds {
		if !isOwnInitrd(e, initrd) {
			further = append(further, initrd)
		}
	}
	return further
}

// A deviceTree is the one that a new entry names: a file of the image, or what the entry
// before names.
type deviceTree struct {
	name string     // below an image's directory of device trees, or a path on the boot partition
	node *tree.Node // nil for what is on the boot partition
}

// path returns what the entry says, for a kernel that was written with the device tree.
func (d deviceTree) path(kernel string) string {
	if d.node == nil {
		return d.name
	}
	return boot.InKernel(kernel, deviceTrees+"/"+d.name)
}

// deviceTrees is where the device tree is beside a kernel.
const deviceTrees = "dtb"

// treeDirs are where images have device trees, for a version of the kernel: see
// kernel-install(8).
func treeDirs(kver string) []string {
	return []string{
		path.Join(modulesDir, kver, "dtb"), path.Join(modulesDir, kver, "dtbs"),
		"usr/lib/firmware/" + kver + "/device-tree", "usr/lib/linux-image-" + kver,
	}
}

// findTree returns a device tree of an image by its name below one of treeDirs, or by the
// longest part at the end of a path that is such a name.
func findTree(tree *tree.Node, kver, name string) (deviceTree, bool) {
	parts := strings.Split(strings.Trim(path.Clean("/"+name), "/"), "/")
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
func (m *Machine) deviceTree(c candidate, current deployment.ID, before bootentry.Entry) (deviceTree, error) {
	i := slices.IndexFunc(before.Other, func(kv bootentry.KeyValue) bool { return kv.Key == bootentry.DeviceTree })
	if i < 0 {
		return m.wantedTree(c)
	}
	name := before.Other[i].Value
	if c.Kernel.UKI != nil {
		m.warn(fmt.Sprintf("the boot entry has %s %s no more: a unified kernel image has its own", bootentry.DeviceTree, name))
		return deviceTree{}, nil
	}
	if d, ok := findTree(c.Tree, c.Kernel.Version, name); ok {
		ours, err := m.isImagesTree(current, name)
		if err != nil {
			m.warn(fmt.Sprintf("device tree %s stays, whatever the image has: %v", name, err))
		} else if ours {
			return d, nil
		}
	}
	if !m.boot.Has(name) {
		m.warn(fmt.Sprintf("the boot entry has %s %s no more: it is missing on %s", bootentry.DeviceTree, name, m.boot))
		return deviceTree{}, nil
	}
	if boot.IsInKernel(name) {
		m.warn(fmt.Sprintf("the image has no device tree %s: that of the image before stays in use", path.Base(name)))
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
		text, err := c.content(n)
		if err != nil {
			return deviceTree{}, fmt.Errorf("cannot read /%s in the image: %w", file, err)
		}
		name := strings.TrimSpace(string(text))
		if d, ok := findTree(c.Tree, c.Kernel.Version, name); ok && d.name == path.Clean(name) {
			return d, nil
		}
		return deviceTree{}, fmt.Errorf("/%s asks for device tree %q, which is not in the image, in none of /%s",
			file, name, strings.Join(treeDirs(c.Kernel.Version), " /"))
	}
	return deviceTree{}, nil
}

// isImagesTree says whether a device tree on the boot partition came from the image of a
// deployment: it was written with its kernel, or is the same.
func (m *Machine) isImagesTree(id deployment.ID, name string) (bool, error) {
	if boot.IsInKernel(name) {
		return true, nil
	}
	tree, err := m.readImage(id)
	if err != nil {
		return false, err
	}
	modules := tree.Lookup(modulesDir)
	if modules == nil {
		return false, nil
	}
	s := System{Tree: tree, repo: m.repo}
	for _, e := range modules.Entries() {
		d, ok := findTree(tree, e.Name, name)
		if !ok {
			continue
		}
		if same, err := m.sameAsFile(&s, d.node, name); same || err != nil {
			return same, err
		}
	}
	return false, nil
}

// sameAsFile says whether a file on the boot partition has the content of an image's.
func (m *Machine) sameAsFile(s *System, n *tree.Node, name string) (bool, error) {
	if !m.boot.Has(name) {
		return true, nil // there is nothing of anybody's to lose
	}
	there, err := m.boot.Open(name)
	if err != nil {
		return false, err
	}
	defer there.Close()
	info, err := there.Stat()
	if err != nil || info.Size() != int64(n.Size) {
		return false, err
	}
	ours, err := s.open(n)
	if err != nil {
		return false, err
	}
	defer ours.Close()
	a, errA := sum(there)
	b, errB := sum(ours)
	return a == b, errors.Join(errA, errB)
}

func sum(r io.Reader) (digest [sha256.Size]byte, err error) {
	h := sha256.New()
	_, err = io.Copy(h, r)
	return [sha256.Size]byte(h.Sum(nil)), err
}
