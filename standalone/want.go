package standalone

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
)

// A want is what the kernel command line says about the root file system.
type want struct {
	by       key
	value    string   // of the key, as on the command line
	fstype   string   // "" if it is to be recognised
	flags    []string // rootflags=
	writable bool
	wait     time.Duration // for the device; 0 is for ever
}

// A key is what a root is found by.
type key string

const (
	byType      key = "" // of its partition, on the disk that was booted from
	byName      key = "/dev/"
	byUUID      key = "UUID="
	byLabel     key = "LABEL="
	byPartUUID  key = "PARTUUID="
	byPartLabel key = "PARTLABEL="
)

// String returns how the root is found, as part of a sentence.
func (w want) String() string {
	if w.by == byType {
		return "a root partition by its type"
	}
	return string(w.by) + w.value
}

// defaultWait is how long to wait for the root, as systemd waits for a device.
const defaultWait = 90 * time.Second

// links are the folders of /dev/disk whose names identify what is there. No udev makes
// them here.
var links = map[string]key{
	"/dev/disk/by-uuid/":      byUUID,
	"/dev/disk/by-label/":     byLabel,
	"/dev/disk/by-partuuid/":  byPartUUID,
	"/dev/disk/by-partlabel/": byPartLabel,
}

// elsewhere are beginnings of root= for what only a larger initramfs can set up.
var elsewhere = []struct{ prefix, what string }{
	{"/dev/mapper/", "a device-mapper volume (LVM, LUKS)"},
	{"/dev/dm-", "a device-mapper volume (LVM, LUKS)"},
	{"/dev/md", "a Linux RAID"},
	{"/dev/bcache", "bcache"},
	{"/dev/nbd", "a network block device"}, {"nbd:", "a network block device"},
	{"/dev/nfs", "a network file system"}, {"nfs", "a network file system"}, {"cifs:", "a network file system"},
	{"/dev/disk/by-", "a link made by udev"},
	{"dhcp", "the network"}, {"iscsi:", "the network"}, {"fcoe:", "the network"}, {"http", "the network"},
	{"zfs:", "ZFS"}, {"ZFS=", "ZFS"},
	{"live:", "a live image"}, {"tmpfs", "a root in memory"}, {"overlay", "an overlay"},
	{"mtd:", "flash memory"}, {"ubi", "flash memory"},
}

// seeDracut is the advice on what this initramfs cannot do.
const seeDracut = "which a standalone initramfs does not support: use one built by dracut, mkinitcpio or initramfs-tools"

// wanted reads root= and its companions; see kernel-command-line(7).
func wanted(cmdline kcmdline.Cmdline) (want, error) {
	w := want{wait: defaultWait}
	root, _ := cmdline.Last("root")
	var err error
	if w.by, w.value, err = rootKey(root); err != nil {
		return want{}, err
	}
	w.fstype, _ = cmdline.Last("rootfstype")
	if w.fstype == "auto" {
		w.fstype = ""
	}
	for _, flags := range cmdline.All("rootflags") {
		w.flags = append(w.flags, splitFlags(flags)...)
	}
	for _, arg := range cmdline.Select("ro", "rw") {
		w.writable = arg.Key == "rw"
	}
	w.wait, err = waiting(cmdline)
	return w, err
}

func rootKey(root string) (key, string, error) {
	if root == "" || root == "gpt-auto" || root == "/dev/gpt-auto-root" {
		return byType, "", nil
	}
	for prefix, by := range links {
		if name, ok := strings.CutPrefix(root, prefix); ok && name != "" {
			return by, decodeLink(name), nil
		}
	}
	for _, other := range elsewhere {
		if strings.HasPrefix(root, other.prefix) {
			return "", "", fmt.Errorf("root=%s needs %s, %s", root, other.what, seeDracut)
		}
	}
	for _, by := range []key{byName, byUUID, byLabel, byPartUUID, byPartLabel} {
		if value, ok := strings.CutPrefix(root, string(by)); ok && value != "" {
			return by, value, nil
		}
	}
	return "", "", fmt.Errorf("invalid root=%s on the kernel command line: want /dev/NAME, UUID=, LABEL=, PARTUUID= or PARTLABEL=", root)
}

// decodeLink undoes the \xNN that udev writes for characters that it does not want in a
// name.
func decodeLink(name string) string {
	var b strings.Builder
	for len(name) > 0 {
		if strings.HasPrefix(name, `\x`) && len(name) >= 4 {
			if c, err := strconv.ParseUint(name[2:4], 16, 8); err == nil {
				b.WriteByte(byte(c))
				name = name[4:]
				continue
			}
		}
		b.WriteByte(name[0])
		name = name[1:]
	}
	return b.String()
}

// splitFlags splits options at commas that are not between double quotes, as in
// context="a,b".
func splitFlags(flags string) (list []string) {
	quoted := false
	for _, flag := range strings.FieldsFunc(flags, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ',' && !quoted
	}) {
		list = append(list, strings.ReplaceAll(flag, `"`, ""))
	}
	return list
}

// waiting returns how long to wait for the device, which rootwait and rootdelay= decide. A
// root is mounted as soon as it is there, so rootdelay= is not spent in vain.
func waiting(cmdline kcmdline.Cmdline) (time.Duration, error) {
	wait := defaultWait
	for _, arg := range cmdline.Select("rootwait", "rootdelay") {
		if !arg.HasValue {
			if kcmdline.SameKey(arg.Key, "rootwait") {
				return 0, nil
			}
			continue
		}
		seconds, err := strconv.ParseUint(arg.Value, 10, 31)
		if err != nil {
			return 0, errors.New("invalid " + arg.String() + " on the kernel command line: want seconds")
		}
		limit := time.Duration(seconds) * time.Second
		if kcmdline.SameKey(arg.Key, "rootdelay") {
			limit = max(limit, wait)
		}
		wait = max(limit, time.Second)
	}
	return wait, nil
}
