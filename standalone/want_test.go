package standalone

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

func TestWanted(t *testing.T) {
	tests := []struct {
		cmdline string
		want    want
	}{
		{"", want{wait: defaultWait}},
		{"root=gpt-auto rw", want{wait: defaultWait, writable: true}},
		{"root=/dev/gpt-auto-root rw ro", want{wait: defaultWait}},
		{"root=/dev/vda2", want{by: byName, value: "vda2", wait: defaultWait}},
		{"root=/dev/cciss/c0d0p2", want{by: byName, value: "cciss/c0d0p2", wait: defaultWait}},
		{"root=UUID=A-1 rootfstype=xfs", want{by: byUUID, value: "A-1", fstype: "xfs", wait: defaultWait}},
		{`root="LABEL=my root" rootfstype=auto`, want{by: byLabel, value: "my root", wait: defaultWait}},
		{"root=PARTUUID=1234abcd-02", want{by: byPartUUID, value: "1234abcd-02", wait: defaultWait}},
		{"root=PARTLABEL=root", want{by: byPartLabel, value: "root", wait: defaultWait}},
		{`root=/dev/disk/by-label/my\x20root`, want{by: byLabel, value: "my root", wait: defaultWait}},
		{"root=/dev/disk/by-uuid/1", want{by: byUUID, value: "1", wait: defaultWait}},
		{`rootflags=subvol=a,noatime rootflags="context=""a,b"""`, want{flags: []string{"subvol=a", "noatime", "context=a", "b"}, wait: defaultWait}},
		{"root=/dev/a root=/dev/b -- root=/dev/c", want{by: byName, value: "b", wait: defaultWait}},
		{"rootwait", want{}},
		{"rootwait=5", want{wait: 5 * time.Second}},
		{"rootdelay=5", want{wait: defaultWait}},
		{"rootdelay=300", want{wait: 300 * time.Second}},
		{"rootwait=0", want{wait: time.Second}},
	}
	for _, tt := range tests {
		got, err := wanted(kcmdline.Parse(tt.cmdline))
		if err != nil || got.by != tt.want.by || got.value != tt.want.value || got.fstype != tt.want.fstype ||
			!slices.Equal(got.flags, tt.want.flags) || got.writable != tt.want.writable || got.wait != tt.want.wait {
			t.Errorf("wanted(%q) = %+v, %v; want %+v", tt.cmdline, got, err, tt.want)
		}
	}
}

func TestWantedRefuses(t *testing.T) {
	for cmdline, text := range map[string]string{
		"root=/dev/mapper/vg-root":       "root=/dev/mapper/vg-root needs a device-mapper volume (LVM, LUKS), which a standalone initramfs does not support: use one built by dracut, mkinitcpio or initramfs-tools",
		"root=/dev/md0":                  "needs a Linux RAID",
		"root=/dev/nfs nfsroot=1.2.3.4:": "needs a network file system",
		"root=nfs4:10.0.0.1:/srv":        "needs a network file system",
		"root=ZFS=tank/root":             "needs ZFS",
		"root=/dev/disk/by-path/x":       "needs a link made by udev",
		"root=8:1":                       "invalid root=8:1 on the kernel command line: want /dev/NAME, UUID=, LABEL=, PARTUUID= or PARTLABEL=",
		"root=UUID=":                     "invalid root=UUID=",
		"rootwait=soon":                  "invalid rootwait=soon on the kernel command line: want seconds",
		"rootdelay=-1":                   "invalid rootdelay=-1",
	} {
		if got, err := wanted(kcmdline.Parse(cmdline)); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("wanted(%q) = %+v, %v; want an error with %q", cmdline, got, err, text)
		}
	}
}

func TestRefuse(t *testing.T) {
	for cmdline, want := range map[string]string{
		"quiet emergency single 1": "",
		"rd.break=0":               "",
		"rd.break":                 "rd.break needs a shell, but a standalone initramfs has none",
		"rd.break=pre-mount":       "rd.break=pre-mount needs a shell",
		"rd.emergency":             "rd.emergency needs a shell",
		"rd.systemd.unit=x.target": "rd.systemd.unit=x.target needs systemd",
		"-- rd.break":              "",
		"systemd.volatile=state":   "",
		"systemd.volatile=no":      "",
		"systemd.volatile":         "systemd.volatile= needs systemd",
		"systemd.volatile=overlay": "systemd.volatile=overlay needs systemd in the initramfs",
		"systemd.volatile=yes":     "systemd.volatile=yes needs systemd",
	} {
		err := refuse(kcmdline.Parse(cmdline))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("refuse(%q) = %v; want %q", cmdline, err, want)
		}
	}
}

func TestMountOf(t *testing.T) {
	root := choice{device: device{name: "vda2"}}
	root.content.Type = "ext4"
	tests := []struct {
		w        want
		readOnly bool
		want     rootMount
	}{
		{want{}, false, rootMount{"/dev/vda2", "ext4", sys.ReadOnly, []string{"ro"}}},
		{want{writable: true}, false, rootMount{"/dev/vda2", "ext4", 0, nil}},
		{want{writable: true}, true, rootMount{"/dev/vda2", "ext4", sys.ReadOnly, []string{"ro"}}},
		{want{fstype: "ext3", writable: true, flags: []string{"noatime", "data=journal", "x-systemd.y", "defaults"}}, false,
			rootMount{"/dev/vda2", "ext3", sys.NoAtime, []string{"data=journal"}}},
		{want{flags: []string{"rw", "subvol=@"}}, false, rootMount{"/dev/vda2", "ext4", 0, []string{"subvol=@"}}},
		{want{writable: true, flags: []string{"nosuid", "nodev", "ro"}}, false, rootMount{"/dev/vda2", "ext4", sys.NoSuid | sys.NoDev | sys.ReadOnly, []string{"ro"}}},
	}
	for _, tt := range tests {
		root.readOnly = tt.readOnly
		got := tt.w.mountOf(root)
		if got.source != tt.want.source || got.fstype != tt.want.fstype || got.attr != tt.want.attr || !slices.Equal(got.options, tt.want.options) {
			t.Errorf("%+v of a partition that is read-only %v: %+v; want %+v", tt.w, tt.readOnly, got, tt.want)
		}
	}
}

func TestParameters(t *testing.T) {
	const cmdline = `nvme_core.io_timeout=5 nvme-core.verbose ext4.x=1 nvme_core.text="a b" nvme_core. quiet`
	if got, want := parameters(kcmdline.Parse(cmdline), "nvme_core"), `io_timeout=5 verbose text="a b"`; got != want {
		t.Errorf("parameters of nvme_core in %q = %q; want %q", cmdline, got, want)
	}
	if got := parameters(kcmdline.Parse(cmdline), "virtio_blk"); got != "" {
		t.Errorf("parameters of virtio_blk = %q; want none", got)
	}
}
