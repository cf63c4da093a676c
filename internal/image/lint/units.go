package lint

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/confd"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// unitDirs are where units are, the one whose files count before the others first.
var unitDirs = []string{"etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system"}

// startTargets are what a boot reaches by itself.
var startTargets = []string{"default.target", "multi-user.target", "graphical.target", "basic.target", "sysinit.target"}

// checkUnits finds services that write to /usr, of those that a boot starts, or a timer, a path
// or a socket.
func checkUnits(_ context.Context, t *target) error {
	todo := append(t.wantedUnits(), startTargets...)
	units := make(map[string][]unitOption)
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if _, seen := units[name]; seen {
			continue
		}
		options, err := t.unit(name)
		if err != nil {
			return err
		}
		units[name] = options
		todo = append(todo, startedBy(name, options)...)
	}
	told := make(map[unitOption]bool) // a service may have several names
	for _, name := range slices.Sorted(maps.Keys(units)) {
		if path.Ext(name) == ".service" && seesUsr(units[name]) {
			t.checkService(units[name], told)
		}
	}
	return nil
}

// wantedUnits returns the names in directories of wants or requirements, and of the units
// that links there lead to.
func (t *target) wantedUnits() (units []string) {
	for _, dir := range unitDirs {
		top := t.files.lookup(dir)
		if top == nil {
			continue
		}
		for _, e := range top.Entries() {
			if !e.Node.IsDir() || !strings.HasSuffix(e.Name, ".wants") && !strings.HasSuffix(e.Name, ".requires") {
				continue
			}
			for _, unit := range e.Node.Entries() {
				switch {
				case !unit.Node.IsSymlink():
					units = append(units, unit.Name)
				case !confd.IsMask(t.files, path.Join(dir, e.Name, unit.Name)):
					units = append(units, unit.Name, path.Base(unit.Node.Target))
				}
			}
		}
	}
	return units
}

// startedBy returns the units that one starts.
func startedBy(name string, options []unitOption) (units []string) {
	stem, kind := strings.TrimSuffix(name, path.Ext(name)), path.Ext(name)
	var activated []string
	switch {
	case len(options) == 0: // there is no such unit
	case kind == ".timer" || kind == ".path":
		activated = []string{stem + ".service"}
	case kind == ".socket":
		activated = []string{stem + ".service", stem + "@.service"}
	}
	for _, o := range options {
		switch o.key {
		case "Wants", "Requires", "BindsTo", "Upholds":
			units = append(units, strings.Fields(o.value)...)
		case "Unit", "Service": // of a timer or a path, or of a socket
			if activated != nil {
				activated = []string{o.value}
			}
		}
	}
	return append(units, activated...)
}

// seesUsr reports whether a service runs while /usr is read-only, and sees that of the image.
func seesUsr(options []unitOption) bool {
	for _, o := range options {
		switch o.key {
		case "ConditionPathIsReadWrite", "AssertPathIsReadWrite":
			if belowUsr(o.value) {
				return false
			}
		case "RootDirectory", "RootImage":
			if path.Clean(o.value) != "/" {
				return false
			}
		}
	}
	return true
}

func (t *target) checkService(options []unitOption, told map[unitOption]bool) {
	for _, o := range options {
		if what := writesUsr(o); what != "" && !told[o] {
			told[o] = true
			t.add(Finding{Path: "/" + o.file, Line: o.line, What: what})
		}
	}
}

// unit returns what the file of a unit and its drop-ins say together. An empty value drops
// those before.
func (t *target) unit(name string) (options []unitOption, err error) {
	names := []string{name}
	kind := path.Ext(name)
	if stem, instance, ok := strings.Cut(name, "@"); ok && !strings.HasPrefix(instance, ".") {
		names = append(names, stem+"@"+kind)
	}
	for _, file := range t.unitFiles(names) {
		text, found, err := t.files.text(file, limits.Text)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		for _, o := range unitOptions(text) {
			if o.value == "" {
				options = slices.DeleteFunc(options, func(before unitOption) bool { return before.key == o.key })
				continue
			}
			o.file = file
			options = append(options, o)
		}
	}
	return options, nil
}

// unitFiles returns the file of a unit that counts, and its drop-ins. A mask has none.
func (t *target) unitFiles(names []string) (found []string) {
	for _, name := range names {
		for _, dir := range unitDirs {
			p := path.Join(dir, name)
			real, n, err := tree.Resolve(t.Root, p, true)
			if confd.IsMask(t.files, p) {
				return nil
			}
			if err == nil && n != nil && n.IsRegular() {
				return append([]string{real}, t.dropIns(names)...)
			}
		}
	}
	return nil
}

// dropInsFor returns the names under which a unit has drop-ins, the one whose files count before
// the others first: its own, beginnings of it up to a dash, and its type.
func dropInsFor(names []string) []string {
	all := slices.Clone(names)
	for _, name := range names {
		stem := strings.TrimSuffix(name, path.Ext(name))
		if at := strings.IndexByte(stem, '@'); at >= 0 {
			stem = stem[:at]
		}
		rest := name[len(stem):]
		for dash := strings.LastIndexByte(stem, '-'); dash >= 0; dash = strings.LastIndexByte(stem[:dash], '-') {
			all = append(all, stem[:dash+1]+rest)
		}
	}
	return append(all, strings.TrimPrefix(path.Ext(names[0]), "."))
}

// dropIns returns the drop-ins of a unit in the order in which they count: by their names,
// of which the first directory with one has that which counts.
func (t *target) dropIns(names []string) (found []string) {
	byName := make(map[string]string)
	for _, name := range dropInsFor(names) {
		for _, dir := range unitDirs {
			dir = path.Join(dir, name+".d")
			d := t.files.lookup(dir)
			if d == nil {
				continue
			}
			for _, e := range d.Entries() {
				if byName[e.Name] == "" && strings.HasSuffix(e.Name, ".conf") {
					byName[e.Name] = path.Join(dir, e.Name)
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		if real, n, err := tree.Resolve(t.Root, byName[name], true); err == nil && n != nil && n.IsRegular() && !confd.IsMask(t.files, byName[name]) {
			found = append(found, real)
		}
	}
	return found
}

// A unitOption is an assignment in a unit file.
type unitOption struct {
	line       int // from 1
	key, value string
	file       string // "" before it is known
}

// unitOptions reads a unit file; see systemd.syntax(7). A line goes on after a backslash,
// and comments between are left out.
func unitOptions(text string) (options []unitOption) {
	number, began := 0, 0
	joined := ""
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" && joined == "" || line != "" && strings.ContainsAny(line[:1], "#;") {
			continue
		}
		if joined == "" {
			began = number
		}
		if rest, more := strings.CutSuffix(line, `\`); more {
			joined += rest + " "
			continue
		}
		joined += line
		if key, value, ok := strings.Cut(joined, "="); ok && joined[0] != '[' {
			options = append(options, unitOption{line: began, key: strings.TrimSpace(key), value: strings.TrimSpace(value)})
		}
		joined = ""
	}
	return options
}

// writesUsr says how a service writes to /usr by an option, "" if it does not.
func writesUsr(o unitOption) string {
	switch o.key {
	case "ReadWritePaths", "ReadWriteDirectories":
		for _, p := range strings.Fields(o.value) {
			if strings.HasPrefix(p, "-") {
				continue // does without
			}
			if p = strings.TrimLeft(strings.Trim(p, `"'`), "+"); belowUsr(p) {
				return fmt.Sprintf("%s=%s", o.key, p)
			}
		}
	case "PIDFile":
		if belowUsr(o.value) {
			return o.key + "=" + o.value
		}
	case "StandardOutput", "StandardError":
		if how, p, ok := strings.Cut(o.value, ":"); ok && how != "fd" && belowUsr(p) {
			return o.key + "=" + o.value
		}
	case "ExecCondition", "ExecStartPre", "ExecStart", "ExecStartPost", "ExecStop", "ExecStopPost", "ExecReload":
		return commandWrites(o.value)
	}
	return ""
}

// usrDirs are /usr, and links to directories in it.
var usrDirs = []string{"/usr", "/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin"}

func belowUsr(p string) bool {
	p = path.Clean(p)
	return slices.ContainsFunc(usrDirs, func(dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") })
}
