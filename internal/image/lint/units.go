package lint

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/confd"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// unitDirs are where units are, the one whose files count before the others first.
var unitDirs = []string{"etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system"}

// checkUnits finds services that a boot starts, or a timer, and that write to /usr.
func checkUnits(_ context.Context, t *target) error {
	for _, name := range t.enabledServices() {
		if err := t.checkUnit(name); err != nil {
			return err
		}
	}
	return nil
}

// enabledServices returns the names of services that something pulls in, sorted: those in
// a directory of wants or requirements, and those of enabled timers and paths.
func (t *target) enabledServices() (services []string) {
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
				services = append(services, serviceOf(unit.Name))
			}
		}
	}
	services = slices.DeleteFunc(services, func(name string) bool { return name == "" })
	slices.Sort(services)
	return slices.Compact(services)
}

// serviceOf returns the service that a unit starts, "" if none.
func serviceOf(unit string) string {
	stem := strings.TrimSuffix(unit, path.Ext(unit))
	switch path.Ext(unit) {
	case ".service":
		return unit
	case ".timer", ".path":
		return stem + ".service"
	}
	return ""
}

// checkUnit looks at the file of a service and its drop-ins.
func (t *target) checkUnit(name string) error {
	names := []string{name}
	if stem, instance, ok := strings.Cut(name, "@"); ok && !strings.HasPrefix(instance, ".") {
		names = append(names, stem+"@.service")
	}
	for _, file := range t.unitFiles(names) {
		text, found, err := t.files.text(file, limits.Text)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		for _, o := range unitOptions(text) {
			if what := writesUsr(o); what != "" {
				t.add(Finding{Path: "/" + file, Line: o.line, What: what})
			}
		}
	}
	return nil
}

// unitFiles returns the file of a unit that counts, and its drop-ins. A mask has none.
func (t *target) unitFiles(names []string) (found []string) {
	for _, name := range names {
		for _, dir := range unitDirs {
			p := path.Join(dir, name)
			real, n, err := tree.Resolve(t.Root, p, true)
			if target, linkErr := t.files.ReadLink(p); linkErr == nil && target == "/dev/null" {
				return nil
			}
			if err == nil && n != nil && n.IsRegular() {
				return append([]string{real}, t.dropIns(names)...)
			}
		}
	}
	return nil
}

// dropIns returns the drop-ins of a unit.
func (t *target) dropIns(names []string) (found []string) {
	for _, name := range names {
		for _, dir := range unitDirs {
			d := t.files.lookup(path.Join(dir, name+".d"))
			if d == nil {
				continue
			}
			for _, e := range d.Entries() {
				if strings.HasSuffix(e.Name, ".conf") && e.Node.Type() == tree.TypeRegular {
					found = append(found, path.Join(dir, name+".d", e.Name))
				}
			}
		}
	}
	return found
}

// A unitOption is an assignment in a unit file.
type unitOption struct {
	line       int // from 1
	key, value string
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
			options = append(options, unitOption{began, strings.TrimSpace(key), strings.TrimSpace(value)})
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
	case "ExecStartPre", "ExecStart", "ExecStartPost", "ExecStop", "ExecStopPost", "ExecReload":
		return commandWrites(o.value)
	}
	return ""
}

func belowUsr(p string) bool {
	p = path.Clean(p)
	return p == "/usr" || strings.HasPrefix(p, "/usr/")
}

// commandWrites says how a command line writes to /usr, "" if it is not known to. A shell's
// script is looked at as well.
func commandWrites(line string) string {
	words, _, err := confd.Words(strings.TrimLeft(line, "@-:+!|"), 100, false)
	if err != nil || len(words) == 0 {
		return ""
	}
	name := path.Base(words[0])
	if slices.Contains([]string{"sh", "bash", "dash"}, name) && len(words) > 2 && strings.HasPrefix(words[1], "-") {
		return scriptWrites(words[2])
	}
	return wordsWrite(name, words[1:])
}

// scriptWrites looks at each command of a script, and at what its output goes to.
func scriptWrites(script string) string {
	script = strings.NewReplacer("&&", ";", "||", ";", "|", ";", "\n", ";", ">>", ">").Replace(script)
	for command := range strings.SplitSeq(script, ";") {
		command, to, redirected := strings.Cut(command, ">")
		if to = strings.TrimSpace(to); redirected && belowUsr(to) {
			return "it writes to " + to
		}
		fields := strings.Fields(command)
		if len(fields) == 0 {
			continue
		}
		if what := wordsWrite(path.Base(fields[0]), fields[1:]); what != "" {
			return what
		}
	}
	return ""
}

// fileTools are programs that write to the paths they are given, and whether to the last alone.
var fileTools = map[string]bool{
	"touch": false, "mkdir": false, "rm": false, "rmdir": false, "chmod": false, "chown": false, "chgrp": false,
	"tee": false, "truncate": false, "mkfifo": false, "setfacl": false, "chcon": false, "restorecon": false,
	"cp": true, "mv": true, "ln": true, "install": true, "rsync": true,
}

// systemTools are programs that change /usr as a whole, with the first argument that makes
// them do so, "" if any does.
var systemTools = map[string][]string{
	"apt-get": {"install", "upgrade", "dist-upgrade", "full-upgrade", "remove", "purge", "autoremove"}, "apt": {"install", "upgrade", "full-upgrade", "remove", "purge", "autoremove"},
	"apt.systemd.daily": {"install"}, "dpkg": {"-i", "--install", "-r", "--remove", "--configure"}, "unattended-upgrade": {""}, "unattended-upgrades": {""},
	"dnf": {"install", "upgrade", "update", "remove", "distro-sync"}, "dnf5": {"install", "upgrade", "update", "remove"}, "yum": {"install", "update", "upgrade"}, "dnf-automatic": {""},
	"rpm": {"-i", "-U", "-F", "-e", "--install", "--upgrade"}, "pacman": {"-S", "-Syu", "-Su", "-U", "-R"}, "zypper": {"install", "update", "up", "dup"},
	"depmod": {""}, "dkms": {"autoinstall", "install", "build"}, "akmods": {""}, "pip": {"install"}, "pip3": {"install"}, "npm": {"install"}, "gem": {"install"},
	"glib-compile-schemas": {""}, "update-initramfs": {""}, "update-pciids": {""}, "update-usbids": {""},
}

// wordsWrite says how a program with arguments writes to /usr, "" if it is not known to.
func wordsWrite(name string, args []string) string {
	shown := strings.Join(append([]string{name}, args...), " ")
	if first, ok := systemTools[name]; ok {
		for _, arg := range args {
			if slices.Contains(first, arg) {
				return fmt.Sprintf("%q changes the system", shown)
			}
		}
		if slices.Contains(first, "") {
			return fmt.Sprintf("%q changes the system", shown)
		}
	}
	last, ok := fileTools[name]
	if !ok && name == "sed" {
		ok = slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "-i") || strings.HasPrefix(a, "--in-place") })
	}
	if !ok {
		return ""
	}
	if last {
		args = args[max(0, len(args)-1):]
	}
	for _, arg := range args {
		if belowUsr(arg) {
			return fmt.Sprintf("%q writes to %s", shown, arg)
		}
	}
	return ""
}
