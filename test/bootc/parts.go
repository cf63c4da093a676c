package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// repository is what the machine's registry calls the images, with their names as tags.
const repository = "127.0.0.1:5000/os:"

// installSteps are what somebody types who installs an image with bootc.
var installSteps = []disks.Step{
	{Title: "Make two partitions and their file systems.", Script: `
sfdisk --quiet /dev/disk/by-id/virtio-target <<EOF
label: gpt
size=300M, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=esp
type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=root
EOF
udevadm settle
mkfs.vfat -F 32 -n ESP /dev/disk/by-id/virtio-target-part1 >/dev/null
mkfs.ext4 -q -O verity -L root /dev/disk/by-id/virtio-target-part2
udevadm settle
mount --mkdir /dev/disk/by-id/virtio-target-part2 /mnt/root`},
	{Title: "Have bootc install the image.", Script: `
bootc --version
bootc install to-filesystem --composefs-backend --bootloader systemd --source-imgref oci:/image:bootc1 \
  --target-imgref ` + repository + `bootc1 /mnt/root`},
	{Title: "What is on the disk now:", Script: `
mount --mkdir /dev/disk/by-id/virtio-target-part1 /mnt/esp
cd /mnt && find esp -type f && tail -n +1 esp/loader/entries/* && ls root root/state/deploy/* && cat root/state/deploy/*/*.origin
cat root/composefs/meta.json
cd / && umount /mnt/esp /mnt/root`},
}

func (m *machine) build() {
	m.Head("Build four versions of an operating system")
	m.Say("Version 1 is Debian sid with bootc and sysupdate-image. Its initramfs has bootc's module and nothing of ours.\n" +
		"Versions 2 and 3 have the same kernel and initramfs; version 4 has another initramfs.")
	for _, name := range []string{"bootc1", "bootc2", "bootc3", "bootc4"} {
		if _, err := disks.Image(m.Ctx, name); err != nil {
			m.Err = err
			return
		}
	}
}

func (m *machine) install() {
	m.Head("Have bootc install version 1 on an empty disk")
	installer, err := disks.InstallerOf(m.Ctx, vm.PC, "bootc1")
	if err != nil {
		m.Err = err
		return
	}
	m.disk = filepath.Join(m.Dir, "disk.raw")
	m.Err = installer.Install(m.Ctx, m.Dir, m.disk, installSteps, func(step disks.Step, result vm.Result) {
		m.Say(step.Title)
		fmt.Fprintf(m.Out, "\n  # %s\n", strings.ReplaceAll(strings.TrimSpace(step.Script), "\n", "\n    "))
		m.Print(result)
		m.Checks++
	})
}

func (m *machine) firstBoot() {
	m.Head("Boot it")
	registry, err := disks.Registry(m.Ctx, "bootc1", "bootc2", "bootc3", "bootc4")
	if err != nil {
		m.Err = err
		return
	}
	installer, err := disks.InstallerOf(m.Ctx, vm.PC, "bootc1")
	if err != nil {
		m.Err = err
		return
	}
	m.Start(vm.Config{Dir: m.Dir, KVM: installer.KVM(), MemoryMiB: 2048, Disks: []vm.Disk{
		{Path: m.disk, Serial: "root"},
		{Path: registry, Serial: "registry", ReadOnly: true},
	}})
	m.Show("bootc --version && uname -r && systemctl --version | head -n 1 && dpkg-query --show libostree-1-1")
	m.runs("1")
	m.strict()
	m.Show("bootc status", "os:bootc1")
	m.Show("sysupdate-image status", "os:bootc1")
	m.agree()
	m.Show("echo tower > /etc/hostname && echo 'precious data' > /var/lib/precious")
}

func (m *machine) ourUpdate() {
	m.Head("Update it to version 2, by us")
	m.Show("systemctl start test-registry && sysupdate-image apply " + repository + "bootc2")
	m.Show("sysupdate-image status", "os:bootc2")
	m.Show("bootc status", "os:bootc1")
	m.Reboot()
}

func (m *machine) secondBoot() {
	m.Head("Version 2 runs: it was mounted by bootc's initramfs, and blessed")
	m.runs("2")
	m.kept()
	m.strict()
	m.blessed()
	m.kernels(1)
	m.Show("sysupdate-image status", "os:bootc1", "os:bootc2")
	m.Show("bootc status", "os:bootc1", "os:bootc2")
	m.Show("bootc status --format=json | tr , '\\n' | grep -e image -e version -e verity -e Queued",
		`"rollbackQueued":false`, `"version":"1"`, `"version":"2"`)
	m.agree()
}

func (m *machine) bootcRollback() {
	m.Head("Roll back to version 1, by bootc")
	m.Show("bootc rollback", "Next boot: rollback deployment")
	m.Show("sysupdate-image status", "os:bootc1", "os:bootc2")
	m.Reboot()
	m.runs("1")
	m.strict()
	m.Show("bootc status", "os:bootc1", "os:bootc2")
	m.Show("sysupdate-image status", "os:bootc1", "os:bootc2")
}

func (m *machine) bootcSwitch() {
	m.Head("Go on to version 3, by bootc")
	m.Show("systemctl start test-registry && bootc switch " + repository + "bootc3")
	m.Show("bootc status", "os:bootc3")
	m.Show("sysupdate-image status", "os:bootc3")
	m.Reboot()
	m.runs("3")
	m.kept()
	m.strict()
	m.kernels(1)
	m.Show("sysupdate-image status", "os:bootc1", "os:bootc3")
	m.agree()
}

func (m *machine) ourRollback() {
	m.Head("Roll back to version 1, by us")
	m.Show("sysupdate-image rollback")
	m.Show("bootc status", "os:bootc1", "os:bootc3")
	m.Reboot()
	m.runs("1")
	m.strict()
}

func (m *machine) ourNextUpdate() {
	m.Head("Update it to version 4, by us: it has another initramfs")
	m.Show("systemctl start test-registry && sysupdate-image apply " + repository + "bootc4")
	m.Reboot()
	m.runs("4")
	m.kept()
	m.strict()
	m.blessed()
	m.kernels(2)
	m.Show("sysupdate-image status", "os:bootc4")
}

func (m *machine) bootcAgain() {
	m.Head("Go on to version 2 once more, by bootc, from a kernel that we wrote")
	m.Show("bootc status", "os:bootc4")
	m.Say("bootc rolls back where there are two boot entries, and panics where there are three. The third is that of a\n" +
		"deployment that version 4 has superseded, which goes with the next update, or at once:")
	m.Show("sysupdate-image prune")
	m.Show("bootc rollback", "Next boot: rollback deployment")
	m.Show("bootc rollback", "Next boot: current deployment")
	m.Show("systemctl start test-registry && bootc upgrade", "No changes")
	m.Show("bootc switch " + repository + "bootc2")
	m.Reboot()
	m.runs("2")
	m.kept()
	m.strict()
	m.Show("bootc status", "os:bootc2", "os:bootc4")
	m.Show("sysupdate-image status", "os:bootc2", "os:bootc4")
	m.agree()
}

func (m *machine) end() {
	m.Head("Nothing is damaged")
	m.Show("sysupdate-image repo fsck")
	m.Show("sysupdate-image prune && sysupdate-image repo gc && sysupdate-image repo fsck && bootc status", "os:bootc4")
	if m.Err == nil {
		began := time.Now()
		m.Err = m.Machine.PowerOff(m.Ctx)
		fmt.Fprintf(m.Out, "\n  (off after %s)\n", time.Since(began).Round(time.Second))
	}
}
