package lint

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/image/kargs"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/inits"
)

// What must be at the top of an image.

func checkVarRun(_ context.Context, t *target) error {
	if n := t.Root.Lookup("var/run"); n != nil && !n.IsSymlink() {
		t.find("/var/run", "not a symbolic link")
	}
	return nil
}

func checkUsrEtc(_ context.Context, t *target) error {
	if t.Root.Entry("etc") != nil && t.Root.Lookup("usr/etc") != nil {
		t.find("/usr/etc", "there is both /etc and /usr/etc")
	}
	return nil
}

// apiDirs are where the kernel's own file systems are mounted, and /var; see
// https://systemd.io/API_FILE_SYSTEMS.
var apiDirs = []string{"dev", "proc", "run", "sys", "tmp", "var"}

func checkAPIDirs(_ context.Context, t *target) error {
	t.wantDirectories(apiDirs...)
	return nil
}

func checkDirectories(_ context.Context, t *target) error {
	t.wantDirectories("usr", "etc", "boot")
	return nil
}

// wantDirectories finds what is missing at the top, or is something else.
func (t *target) wantDirectories(names ...string) {
	for _, name := range names {
		switch n := t.Root.Entry(name); {
		case n == nil:
			t.add(Finding{Path: "/" + name, What: "no such directory", Mend: "RUN mkdir -p /" + name})
		case !n.IsDir():
			t.find("/"+name, "not a directory")
		}
	}
}

// baseImage is where bootc keeps a copy of what a base image has, to be checked as well.
const baseImage = "usr/share/doc/bootc/baseimage/base"

// roots are where the top of an image is to be looked for.
func (t *target) roots() []string {
	if n := t.files.lookup(baseImage); n != nil && n.IsDir() {
		return []string{"", baseImage}
	}
	return []string{""}
}

func checkBaseRoot(_ context.Context, t *target) error {
	for _, root := range t.roots() {
		dir := t.files.lookup(root)
		switch n := dir.Entry("sysroot"); {
		case n == nil:
			t.add(Finding{Path: "/" + path.Join(root, "sysroot"), What: "no such directory", Mend: "RUN mkdir /sysroot"})
		case !n.IsDir():
			t.find("/"+path.Join(root, "sysroot"), "not a directory")
		}
		if !t.forOstree() {
			continue
		}
		link := Finding{
			Path: "/" + path.Join(root, "ostree"), Mend: "RUN ln -sfn sysroot/ostree /ostree",
			Why: "bootc and ostree look for their repository there.",
		}
		switch n := dir.Entry("ostree"); {
		case n == nil:
			link.What = "no link to sysroot/ostree"
		case !n.IsSymlink():
			link.What = "not a symbolic link"
		case n.Target != ostreeTarget:
			link.What = fmt.Sprintf("a link to %s; want %s", n.Target, ostreeTarget)
		default:
			continue
		}
		t.add(link)
	}
	return nil
}

const ostreeTarget = "sysroot/ostree"

// ostreeFiles tell that an image is to be booted by ostree or bootc, too.
var ostreeFiles = []string{"usr/bin/bootc", "usr/bin/ostree", prepareRootConf, "usr/lib/ostree/ostree-prepare-root"}

// forOstree reports whether the image has to have what only ostree and bootc need.
func (t *target) forOstree() bool {
	for _, name := range ostreeFiles {
		if t.files.lookup(name) != nil {
			return true
		}
	}
	return t.Bootc
}

const prepareRootConf = "usr/lib/ostree/prepare-root.conf"

func checkComposefs(_ context.Context, t *target) error {
	if !t.forOstree() {
		return nil
	}
	for _, root := range t.roots() {
		name := path.Join(root, prepareRootConf)
		if root == "" && t.files.lookup("etc/ostree/prepare-root.conf") != nil {
			name = "etc/ostree/prepare-root.conf" // counts before the other
		}
		text, found, err := t.files.text(name, limits.Text)
		if err != nil {
			return err
		}
		switch {
		case !found:
			t.find("/"+name, "no such file")
		case !composefsEnabled(text):
			t.find("/"+name, "composefs is not enabled")
		}
	}
	return nil
}

// composefsEnabled reports whether a prepare-root.conf of ostree says so: a boolean or
// "maybe", "signed" or "verity" for enabled in the section composefs.
func composefsEnabled(text string) (enabled bool) {
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		key, value, _ := strings.Cut(line, "=")
		switch {
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
		case section == "composefs" && strings.TrimSpace(key) == "enabled":
			switch strings.TrimSpace(value) {
			case "1", "yes", "true", "maybe", "signed", "verity":
				enabled = true
			default:
				enabled = false
			}
		}
	}
	return enabled
}

// checkInit finds an image without a program to start.
func checkInit(_ context.Context, t *target) error {
	args, err := kargs.Load(t.files, t.Arch)
	if err != nil {
		return nil // see checkKargs
	}
	names := inits.Candidates(kcmdline.Parse(strings.Join(args, " ")))
	for _, name := range names {
		const execute = 0o111
		if n := t.files.lookup(name); n != nil && n.IsRegular() && n.Mode&execute != 0 {
			return nil
		}
	}
	t.find(names[0], "no program to start: want "+strings.Join(names, " or "))
	return nil
}

func checkBoot(_ context.Context, t *target) error {
	boot := t.Root.Entry("boot")
	if boot == nil {
		return nil // see checkDirectories
	}
	for _, e := range boot.Entries() {
		if e.Name != "EFI" { // has the unified kernel image of a sealed image
			t.find("/boot/"+e.Name, "will be hidden by the boot partition")
		}
	}
	return nil
}

// injected are files that container builders leave behind, with their directories.
var injected = []string{"run/systemd/resolve/stub-resolv.conf"}

func checkRunTmp(_ context.Context, t *target) error {
	for _, dir := range []string{"run", "tmp"} {
		n := t.Root.Entry(dir)
		if n == nil || !n.IsDir() {
			continue
		}
		for _, e := range n.Entries() {
			if p := path.Join(dir, e.Name); !onlyInjected(p, e.Node) {
				t.find("/"+p, describe(e.Node)+" that will be hidden when a tmpfs is mounted on /"+dir)
			}
		}
	}
	return nil
}

// onlyInjected reports whether nothing is at or below a path but what a builder leaves.
func onlyInjected(p string, n *tree.Node) bool {
	for _, file := range injected {
		if file == p && !n.IsDir() {
			return true
		}
		if !strings.HasPrefix(file, p+"/") || !n.IsDir() {
			continue
		}
		all := true
		for _, e := range n.Entries() {
			all = all && onlyInjected(path.Join(p, e.Name), e.Node)
		}
		return all
	}
	return false
}

// describe returns what a file is, with its article.
func describe(n *tree.Node) string {
	switch n.Type() {
	case tree.TypeDir:
		return "a directory"
	case tree.TypeSymlink:
		return "a symbolic link"
	case tree.TypeRegular:
		return "a file"
	}
	return "a special file"
}
