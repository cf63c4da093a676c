package lint

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/confd"
)

// commandWrites says how a command line writes to /usr, "" if it is not known to.
func commandWrites(line string) string {
	words, _, err := confd.Words(strings.TrimLeft(line, "@-:+!|"), 100, false)
	if err != nil {
		return ""
	}
	return wordsWrite(words)
}

// redirection is one of a shell, with where it leads to.
var redirection = regexp.MustCompile(`(?:(?:^|\s)[0-9]+|&)?>{1,2}[|&]?\s*([^\s;&|<>]*)`)

// scriptWrites looks at each command of a script, and at what its output goes to.
func scriptWrites(script string) string {
	for _, to := range redirection.FindAllStringSubmatch(script, -1) {
		if p := strings.Trim(to[1], `"'`); belowUsr(p) {
			return "it writes to " + p
		}
	}
	script = redirection.ReplaceAllString(script, " ")
	script = strings.NewReplacer("&", ";", "|", ";", "\n", ";").Replace(script)
	for command := range strings.SplitSeq(script, ";") {
		words := strings.Fields(command)
		for i, w := range words {
			words[i] = strings.Trim(w, `"'`)
		}
		if what := wordsWrite(words); what != "" {
			return what
		}
	}
	return ""
}

// wrappers are programs and words of a shell that run the command after them, with the number
// of arguments before that. Options with a value of their own are in wrapperValues.
var wrappers = map[string]int{
	"env": 0, "nice": 0, "ionice": 0, "nohup": 0, "setsid": 0, "sudo": 0, "systemd-inhibit": 0, "systemd-cat": 0, "chrt": 1, "timeout": 1, "flock": 1,
	"exec": 0, "command": 0, "if": 0, "then": 0, "else": 0, "elif": 0, "do": 0, "while": 0, "!": 0, "{": 0, "(": 0,
}

var wrapperValues = []string{"-n", "-c", "-u", "-w", "-k", "-s", "-p", "-t", "-C", "-S"}

// unwrap returns the command that a wrapper runs.
func unwrap(words []string) []string {
	for len(words) > 0 {
		skip, ok := wrappers[path.Base(words[0])]
		if !ok {
			return words
		}
		words = words[1:]
		for len(words) > 0 && (skip > 0 || strings.HasPrefix(words[0], "-") || strings.Contains(words[0], "=")) {
			switch {
			case slices.Contains(wrapperValues, words[0]):
				words = words[min(2, len(words)):]
				continue
			case !strings.HasPrefix(words[0], "-") && !strings.Contains(words[0], "="):
				skip--
			}
			words = words[1:]
		}
	}
	return nil
}

// wordsWrite says how a program with arguments writes to /usr, "" if it is not known to. A
// shell's script is looked at as well.
func wordsWrite(words []string) string {
	if words = unwrap(words); len(words) == 0 {
		return ""
	}
	name, args := path.Base(words[0]), words[1:]
	if slices.Contains([]string{"sh", "bash", "dash"}, name) {
		at := slices.IndexFunc(args, func(a string) bool {
			return strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--") && strings.Contains(a, "c")
		})
		if at < 0 || at+1 >= len(args) {
			return ""
		}
		return scriptWrites(args[at+1])
	}
	shown := strings.Join(append([]string{name}, args...), " ")
	if changesSystem(name, args) {
		return fmt.Sprintf("%q changes the system", shown)
	}
	for _, p := range written(name, args) {
		if belowUsr(p) {
			return fmt.Sprintf("%q writes to %s", shown, p)
		}
	}
	return ""
}

// systemTools are programs that change /usr as a whole, with the commands that make them do
// so, none if any does.
var systemTools = map[string][]string{
	"apt-get":           {"install", "upgrade", "dist-upgrade", "full-upgrade", "remove", "purge", "autoremove"},
	"apt":               {"install", "upgrade", "full-upgrade", "remove", "purge", "autoremove"},
	"apt.systemd.daily": {"install"}, "unattended-upgrade": {}, "unattended-upgrades": {}, "dnf-automatic": {},
	"dnf": {"install", "upgrade", "update", "remove", "distro-sync"}, "dnf5": {"install", "upgrade", "update", "remove"},
	"yum": {"install", "update", "upgrade"}, "zypper": {"install", "update", "up", "dup"},
	"depmod": {}, "dkms": {"autoinstall", "install", "build"}, "akmods": {},
	"pip": {"install"}, "pip3": {"install"}, "npm": {"install"}, "gem": {"install"},
	"glib-compile-schemas": {}, "update-initramfs": {}, "update-pciids": {}, "update-usbids": {},
}

// systemValues are options of systemTools whose value is the next argument.
var systemValues = []string{
	"-o", "-c", "-t", "-x", "--option", "--config", "--config-file", "--releasever", "--exclude", "--enablerepo", "--disablerepo", "--setopt",
}

// changesSystem reports whether a package manager, or a program that builds what all
// programs use, changes /usr.
func changesSystem(name string, args []string) bool {
	switch name {
	case "rpm":
		return !hasMode(args, "qVK", "--query", "--verify", "--checksig") &&
			hasMode(args, "iUFe", "--install", "--upgrade", "--freshen", "--erase", "--reinstall")
	case "dpkg":
		return hasMode(args, "irP", "--install", "--remove", "--purge", "--configure", "--unpack")
	case "pacman":
		return !hasMode(args, "QTFDsilgp") && (hasMode(args, "UR", "--upgrade", "--remove") ||
			hasMode(args, "S", "--sync") && (hasMode(args, "u", "--sysupgrade") || len(operands(args, nil)) > 0))
	}
	commands, ok := systemTools[name]
	if !ok || len(commands) == 0 {
		return ok
	}
	rest := operands(args, systemValues)
	return len(rest) > 0 && slices.Contains(commands, rest[0])
}

// hasMode reports whether an argument is one of the long options, or short ones with one of
// the letters.
func hasMode(args []string, letters string, long ...string) bool {
	return slices.ContainsFunc(args, func(a string) bool {
		if strings.HasPrefix(a, "--") {
			return slices.Contains(long, a)
		}
		return strings.HasPrefix(a, "-") && strings.ContainsAny(a, letters)
	})
}

// operands returns the arguments that are neither options nor their values.
func operands(args, valued []string) (rest []string) {
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--":
			return append(rest, args[i+1:]...)
		case slices.Contains(valued, args[i]):
			i++
		case !strings.HasPrefix(args[i], "-"):
			rest = append(rest, args[i])
		}
	}
	return rest
}

// A fileTool is a program that writes to paths that it is given.
type fileTool struct {
	last   bool     // to the last alone
	valued []string // options whose value is the next argument
	into   bool     // it has -t DIR
}

var fileTools = map[string]fileTool{
	"touch": {valued: []string{"-r", "-d", "-t", "--reference", "--date"}}, "mkdir": {valued: []string{"-m"}}, "rm": {}, "rmdir": {},
	"chmod": {}, "chown": {}, "chgrp": {}, "tee": {}, "truncate": {valued: []string{"-s", "-r"}}, "mkfifo": {valued: []string{"-m"}},
	"setfacl": {valued: []string{"-m", "-x", "-M", "-X"}}, "chcon": {valued: []string{"-t", "-u", "-r", "-l"}}, "restorecon": {valued: []string{"-e", "-f"}},
	"cp": {last: true, into: true}, "mv": {into: true}, "ln": {last: true, into: true},
	"install": {last: true, into: true, valued: []string{"-m", "-o", "-g"}},
	"rsync": {last: true, valued: []string{
		"--exclude", "--include", "--exclude-from", "--include-from", "--files-from", "-e", "--rsh", "-f", "--filter", "--link-dest", "--compare-dest", "--log-file",
	}},
	"sed": {valued: []string{"-e", "-f"}},
}

// fileOptions are options whose value is what a program writes to, or below which it does.
var fileOptions = map[string][]string{
	"dd": {"of"}, "tar": {"-C", "--directory"}, "bsdtar": {"-C", "--directory"}, "unzip": {"-d"},
	"curl": {"-o", "--output", "--output-dir"}, "wget": {"-O", "--output-document", "-P", "--directory-prefix"},
}

// written returns the paths that a program writes to.
func written(name string, args []string) []string {
	if options, ok := fileOptions[name]; ok && (!strings.HasSuffix(name, "tar") || extracts(args)) {
		return valuesOf(args, options...)
	}
	tool, ok := fileTools[name]
	if !ok || name == "sed" && !slices.ContainsFunc(args, func(a string) bool {
		return strings.HasPrefix(a, "-i") || strings.HasPrefix(a, "--in-place")
	}) {
		return nil
	}
	var into []string
	if tool.into {
		into = valuesOf(args, "-t", "--target-directory")
		tool.valued = append(slices.Clone(tool.valued), "-t", "--target-directory", "-S")
	}
	paths := operands(args, tool.valued)
	switch {
	case tool.last && len(into) > 0:
		return into
	case tool.last && len(paths) > 0:
		return paths[len(paths)-1:]
	}
	return append(paths, into...)
}

// extracts reports whether tar is to extract, by the first of its arguments without a dash, too.
func extracts(args []string) bool {
	old := len(args) > 0 && !strings.ContainsAny(args[0], "-/") && strings.Contains(args[0], "x")
	return old || hasMode(args, "x", "--extract", "--get")
}

// valuesOf returns the values of options, which are the next argument or after an equals sign.
func valuesOf(args []string, options ...string) (values []string) {
	for i, a := range args {
		option, value, joined := strings.Cut(a, "=")
		switch {
		case !slices.Contains(options, option):
		case joined:
			values = append(values, value)
		case i+1 < len(args):
			values = append(values, args[i+1])
		}
	}
	return values
}
