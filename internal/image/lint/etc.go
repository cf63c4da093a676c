package lint

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// checkInjected finds files that builders mount, and leave behind empty.
func checkInjected(_ context.Context, t *target) error {
	if t.Running {
		return nil // the builder's files are there
	}
	for _, name := range []string{"etc/hostname", "etc/resolv.conf"} {
		if n := t.Root.Lookup(name); n != nil && n.IsRegular() && n.Size == 0 {
			t.find("/"+name, "an empty file, as container builders leave it behind")
		}
	}
	return nil
}

// A changing file is one in /etc that programs write without being asked to.
type changing struct {
	pattern string // in the terms of path.Match
	by      string
}

// changingFiles are known by name. The identity of a machine is in secretFiles.
var changingFiles = []changing{
	{"etc/resolv.conf", "network managers"},
	{"etc/adjtime", "hwclock and timedated"},
	{"etc/mtab", "mount"},
	{"etc/.updated", "systemd-update-done"},
	{"etc/udev/hwdb.bin", "systemd-hwdb"},
	{"etc/blkid.tab", "blkid"},
	{"etc/fake-hwclock.data", "fake-hwclock"},
	{"etc/lvm/archive/*", "LVM"},
	{"etc/lvm/backup/*", "LVM"},
	{"etc/lvm/cache/.cache", "LVM"},
	{"etc/passwd-", "tools for accounts"},
	{"etc/group-", "tools for accounts"},
	{"etc/shadow-", "tools for accounts"},
	{"etc/gshadow-", "tools for accounts"},
	{"etc/subuid-", "tools for accounts"},
	{"etc/subgid-", "tools for accounts"},
	{"etc/cups/subscriptions.conf*", "CUPS"},
	{"etc/cups/printers.conf*", "CUPS"},
	{"etc/dhcpcd.duid", "dhcpcd"},
	{"etc/aliases.db", "mail servers"},
	{"etc/prelink.cache", "prelink"},
	{"etc/ntp.drift", "ntpd"},
}

// checkChanging finds files in /etc that change by themselves. A link leads to where they
// may.
func checkChanging(_ context.Context, t *target) error {
	t.below("etc", func(name string, n *tree.Node) {
		if !n.IsRegular() || n.Size == 0 {
			return
		}
		for _, c := range changingFiles {
			if ok, err := path.Match(c.pattern, name); err == nil && ok {
				if t.Running && name == "etc/resolv.conf" {
					return // the builder's
				}
				t.find("/"+name, "written by "+c.by)
				return
			}
		}
	})
	return nil
}

// below calls visit for all below a directory of the image, with paths without a slash at
// the beginning.
func (t *target) below(dir string, visit func(name string, n *tree.Node)) {
	top := t.Root.Lookup(dir)
	if top == nil || !top.IsDir() {
		return
	}
	top.Walk(func(p string, n *tree.Node) {
		if p != "/" {
			visit(dir+p, n)
		}
	})
}

// preparedMounts are what the initramfs mounts, so a line of fstab for one of them has no
// effect, or not the one that it seems to have.
var preparedMounts = map[string]bool{"/": true, "/usr": true, "/etc": true}

// checkFstab finds lines for what the image is mounted at.
func checkFstab(_ context.Context, t *target) error {
	text, _, err := t.files.text("etc/fstab", limits.Text)
	if err != nil {
		return err
	}
	number := 0
	for line := range strings.Lines(text) {
		number++
		fields := strings.Fields(line)
		if len(fields) < 2 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if place := path.Clean(fields[1]); preparedMounts[place] {
			t.add(Finding{Path: "/etc/fstab", Line: number, What: fmt.Sprintf("a line for %s, from %s", place, fields[0])})
		}
	}
	return nil
}
