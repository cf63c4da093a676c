package main

import "fmt"

// runs checks which version the machine has booted.
func (m *machine) runs(version string) {
	m.Show("cat /etc/motd && grep ^IMAGE_VERSION= /etc/os-release", "IMAGE_VERSION="+version+"\n")
}

// kept checks that what was changed on the machine is still so.
func (m *machine) kept() {
	m.Show("cat /etc/hostname /var/lib/precious", "tower", "precious data")
}

// strict checks that the kernel verifies what it reads, and will when it boots what
// the boot partition has.
func (m *machine) strict() {
	m.Show("grep -o 'composefs=[^ ]*' /proc/cmdline && ! grep -q 'composefs=?' /proc/cmdline")
	m.Show("findmnt --noheadings --output SOURCE,OPTIONS /", "verity=require")
	m.Show(onESP+`tail -n +1 loader/entries/*; ! grep -q 'composefs=?' loader/entries/*`, "composefs=")
}

// onESP begins a script that looks at the boot partition.
const onESP = "mount /dev/disk/by-partlabel/esp /mnt && trap 'cd / && umount /mnt' EXIT && cd /mnt && "

// blessed checks that the boot counts as good: the entry that was booted has lost
// its counter.
func (m *machine) blessed() {
	m.Show("systemctl is-active boot-complete.target", "active")
	m.Show(onESP + "ls loader/entries && ! ls loader/entries | grep -q +")
}

// kernels checks how many kernels are on the boot partition.
func (m *machine) kernels(count int) {
	m.Show(onESP+"find . -name vmlinuz -o -name linux && find . -name vmlinuz -o -name linux | wc -l", fmt.Sprintf("\n%d\n", count))
}
