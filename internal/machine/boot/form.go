package boot

import (
	"fmt"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
)

// Our entries are in the order of the serial numbers in their names. systemd-boot
// orders by sort-key, then machine-id, then version, the highest first, and then by
// name. bootc does the same without the name, and reads no entries at all if one has no
// version. So our version is the serial number too, and the title has the version of the
// image.

// Sort-keys. bootc's are "bootc-" with the id of os-release(5) and a number. What it
// wrote stays as it is: on a machine that it installed, ours come before by a key that
// comes before, as no such id begins with a dash.
const (
	bootcKeyPrefix = "bootc-"
	bootcSortKey   = bootcKeyPrefix + "-" + sortKey
)

// sortKeyAmong returns the sort-key with which a new entry comes first.
func sortKeyAmong(files []EntryFile) string {
	for _, f := range files {
		if f.IsDeployment() && !f.Staged && f.isBootcs() {
			return bootcSortKey
		}
	}
	return sortKey
}

// isBootcs reports whether bootc made the entry, or it has its place before bootc's.
func (f EntryFile) isBootcs() bool { return strings.HasPrefix(f.Entry.SortKey, bootcKeyPrefix) }

// ours reports whether the serial number in its name gives the entry its place.
func (f EntryFile) ours() bool {
	_, ok := serialOf(f.Name)
	key := f.Entry.SortKey == sortKey || f.Entry.SortKey == bootcSortKey
	return ok && key && f.Entry.MachineID == "" && (f.Entry.Version == "" || f.Entry.Version == versionOf(f.Name))
}

// versionOf returns the version of an entry of ours with a name.
func versionOf(n bootentry.Name) string {
	serial, _ := serialOf(n)
	return fmt.Sprintf("%06d", serial)
}

// ourForm returns an entry in the form that it has under a name of ours.
func ourForm(e bootentry.Entry, n bootentry.Name, key string) bootentry.Entry {
	e.SortKey, e.Version, e.MachineID = key, versionOf(n), ""
	return e
}

// addVersions gives a version to those of our entries that have none, which earlier
// versions of this program wrote, where bootc has to read them. Each stays at its
// place: the first comes first, and a version comes before none.
func (p *Partition) addVersions() error {
	files, err := p.Entries()
	if err != nil || !besideBootc(files) {
		return err
	}
	for _, f := range files {
		if !f.Bootable() || !f.IsDeployment() || !f.ours() || f.Entry.Version != "" {
			continue
		}
		e := ourForm(f.Entry, f.Name, f.Entry.SortKey)
		if err := p.writeEntry(f.File, e.Encode()); err != nil {
			return fmt.Errorf("give boot entry %s a version: %w", f.File, err)
		}
	}
	return nil
}
