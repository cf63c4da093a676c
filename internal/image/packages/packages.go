// Package packages lists the packages of a system from the database of its package manager.
// It hides where that database is, and its format.
package packages

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// A Package is an installed package.
type Package struct {
	Name    string `json:"name"` // with ":architecture" where several can be installed
	Version string `json:"version"`
	Size    int64  `json:"size,omitempty"` // bytes installed, as its manager has it; 0 if that is not known
}

// A List is what a package manager has installed, sorted by name.
type List struct {
	Manager  string // "dpkg", "pacman" or "rpm"
	Packages []Package
	Unread   bool // the database is there, but in a form that is not read
}

// A database is where a package manager may keep its list.
type database struct {
	manager, path string
	read          func(fsys fs.FS, path string) ([]Package, error)
}

// databases are where lists are, and where systems put them whose /var is not
// part of the image.
var databases = []database{
	{"dpkg", "var/lib/dpkg/status", readStatus},
	{"dpkg", "usr/lib/sysimage/dpkg/status", readStatus},
	{"dpkg", "var/lib/dpkg/status.d", readStatusDir}, // distroless images
	{"pacman", "var/lib/pacman/local", readLocal},
	{"pacman", "usr/lib/sysimage/lib/pacman/local", readLocal},
	{"pacman", "usr/lib/sysimage/pacman/local", readLocal},
	{"rpm", "usr/lib/sysimage/rpm/rpmdb.sqlite", readRPM},
	{"rpm", "usr/share/rpm/rpmdb.sqlite", readRPM},
	{"rpm", "var/lib/rpm/rpmdb.sqlite", readRPM},
	{"rpm", "usr/lib/sysimage/rpm/Packages.db", nil}, // SUSE's
	{"rpm", "var/lib/rpm/Packages", nil},             // before rpm 4.16
}

// Of returns the lists of all package managers that a system has. There is no
// entry for one with an empty database.
func Of(fsys fs.FS) ([]List, error) {
	var lists []List
	seen := make(map[string]bool)
	for _, d := range databases {
		if seen[d.manager] {
			continue // by another name
		}
		list, err := d.list(fsys)
		if errors.Is(err, fs.ErrNotExist) || err == nil && len(list.Packages) == 0 && !list.Unread {
			continue
		}
		if err != nil {
			return lists, fmt.Errorf("cannot read the list of packages: %w", err)
		}
		seen[d.manager] = true
		lists = append(lists, list)
	}
	return lists, nil
}

func (d database) list(fsys fs.FS) (List, error) {
	list := List{Manager: d.manager, Unread: d.read == nil}
	_, err := fs.Stat(fsys, d.path)
	if err == nil && d.read != nil {
		list.Packages, err = d.read(fsys, d.path)
	}
	slices.SortFunc(list.Packages, func(a, b Package) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version))
	})
	return list, err
}

// readStatus reads the status file of dpkg: paragraphs as in deb822(5).
func readStatus(fsys fs.FS, name string) ([]Package, error) {
	data, err := bounded.ReadFile(fsys, name, limits.Packages)
	if err != nil {
		return nil, err
	}
	return parseStatus(data), nil
}

func parseStatus(data []byte) []Package {
	var all []Package
	for paragraph := range bytes.SplitSeq(data, []byte("\n\n")) {
		fields := make(map[string]string)
		lines := bufio.NewScanner(bytes.NewReader(paragraph))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			key, value, ok := strings.Cut(lines.Text(), ":")
			if ok && !strings.HasPrefix(key, " ") && !strings.HasPrefix(key, "\t") {
				fields[key] = strings.TrimSpace(value)
			}
		}
		// Distroless images say nothing of the status: what they have is installed.
		status, said := fields["Status"]
		if fields["Package"] == "" || said && !strings.HasSuffix(status, " installed") {
			continue
		}
		p := Package{Name: fields["Package"], Version: fields["Version"], Size: sizeOf(fields["Installed-Size"], 1<<10)}
		if fields["Multi-Arch"] == "same" {
			p.Name += ":" + fields["Architecture"]
		}
		all = append(all, p)
	}
	return all
}

// readStatusDir reads a directory with one paragraph a file.
func readStatusDir(fsys fs.FS, dir string) ([]Package, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, err
	}
	var all []Package
	for _, e := range entries {
		if !e.Type().IsRegular() || strings.HasSuffix(e.Name(), ".md5sums") {
			continue
		}
		some, err := readStatus(fsys, path.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// readLocal reads pacman's local database: a directory for each package, whose
// name is that of the package, its version and its release. The file desc says
// the same; names suffice, since neither of the last two has a dash.
func readLocal(fsys fs.FS, dir string) ([]Package, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, err
	}
	var all []Package
	for _, e := range entries {
		if !e.IsDir() {
			continue // ALPM_DB_VERSION
		}
		parts := strings.Split(e.Name(), "-")
		if n := len(parts); n >= 3 {
			all = append(all, Package{
				Name: strings.Join(parts[:n-2], "-"), Version: parts[n-2] + "-" + parts[n-1],
				Size: localSize(fsys, path.Join(dir, e.Name(), "desc")),
			})
		}
	}
	return all, nil
}

// localSize returns the size in a file desc: the line after %SIZE%.
func localSize(fsys fs.FS, name string) int64 {
	data, err := bounded.ReadFile(fsys, name, limits.Packages)
	if err != nil {
		return 0 // it may be of no more than the name
	}
	_, rest, _ := strings.Cut("\n"+string(data), "\n%SIZE%\n")
	line, _, _ := strings.Cut(rest, "\n")
	return sizeOf(line, 1)
}

// sizeOf returns a size in a database, in bytes; 0 for one that is none.
func sizeOf(text string, unit int64) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > 1<<50/unit {
		return 0
	}
	return n * unit
}

// A Change is a package that one list has otherwise than another: Old is "" if
// it was added, New if it was removed.
type Change struct {
	Name string `json:"name"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// A ManagerDiff is how the packages of one manager differ.
type ManagerDiff struct {
	Manager string   `json:"manager"`
	Changes []Change `json:"changes"`
}

// A Comparison is how the packages of two systems differ.
type Comparison struct {
	Diffs    []ManagerDiff // of the managers that differ
	Notes    []string      // what cannot be compared, and why
	Old, New []List        // of the managers that could be compared
}

// Compare returns how the packages of the system old become those of now, for each manager
// that either has. names are what messages call the two.
func Compare(old, now fs.FS, names [2]string) (c Comparison) {
	var lists [2][]List
	var errs [2]error
	lists[0], errs[0] = Of(old)
	lists[1], errs[1] = Of(now)
	for i, err := range errs {
		if err != nil {
			c.Notes = append(c.Notes, fmt.Sprintf("cannot compare packages: %s: %v", names[i], err))
			return c
		}
	}
	for _, manager := range []string{"dpkg", "pacman", "rpm"} {
		a, b := listOf(lists[0], manager), listOf(lists[1], manager)
		if a.Unread || b.Unread {
			c.Notes = append(c.Notes, fmt.Sprintf("cannot compare packages of %s: its database has an unsupported format", manager))
			continue
		}
		c.Old, c.New = append(c.Old, a), append(c.New, b)
		if changes := Diff(a.Packages, b.Packages); len(changes) > 0 {
			c.Diffs = append(c.Diffs, ManagerDiff{manager, changes})
		}
	}
	return c
}

// listOf returns the list of a manager, an empty one if there is none.
func listOf(lists []List, manager string) List {
	for _, l := range lists {
		if l.Manager == manager {
			return l
		}
	}
	return List{}
}

// Paths returns where the databases are that are read.
func Paths() (all []string) {
	for _, d := range databases {
		all = append(all, d.path)
	}
	return append(all, "usr/lib/sysimage/rpm", "usr/share/rpm", "var/lib/rpm") // also the log of SQLite
}

// Diff returns how the list old becomes the list now, by name. Both are sorted. Of a package
// that is there in several versions, such as a kernel, those that stay are no change.
func Diff(old, now []Package) []Change {
	var all []Change
	for len(old) > 0 || len(now) > 0 {
		name := firstName(old, now)
		var a, b []Package
		a, old = named(old, name)
		b, now = named(now, name)
		a, b = withoutVersions(a, b), withoutVersions(b, a)
		for i := range max(len(a), len(b)) {
			c := Change{Name: name}
			if i < len(a) {
				c.Old = a[i].Version
			}
			if i < len(b) {
				c.New = b[i].Version
			}
			all = append(all, c)
		}
	}
	return all
}

// firstName returns the first name in two lists, one of which is not empty.
func firstName(a, b []Package) string {
	if len(a) == 0 || len(b) > 0 && b[0].Name < a[0].Name {
		return b[0].Name
	}
	return a[0].Name
}

// named splits off the packages with a name, with which a list begins if it has any.
func named(list []Package, name string) (these, rest []Package) {
	n := 0
	for n < len(list) && list[n].Name == name {
		n++
	}
	return list[:n], list[n:]
}

// withoutVersions returns what of a is not in b, a copy.
func withoutVersions(a, b []Package) (left []Package) {
	have := make(map[string]int)
	for _, p := range b {
		have[p.Version]++
	}
	for _, p := range a {
		if have[p.Version]--; have[p.Version] < 0 {
			left = append(left, p)
		}
	}
	return left
}
