package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/vmtest"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// reference is where the machine's registry has version 2.
const reference = "127.0.0.1:5000/os:v2"

func (d *demo) build() {
	d.head("Build two versions of an operating system")
	d.say("Version 1 is Debian 13 with a kernel and sysupdate-image, as an ordinary container image. Version 2 has one\n" +
		"more layer: a package, a changed file in /usr, a changed default in /etc, and a file less.")
	for _, name := range []string{"v1", "v2"} {
		began := time.Now()
		layout, err := disks.Image(d.ctx, name)
		if err != nil {
			d.err = err
			return
		}
		out, err := exec.CommandContext(d.ctx, "skopeo", "inspect", "--format",
			"{{len .Layers}} layers, {{.Digest}}", "oci:"+layout+":"+name).Output()
		if err != nil {
			d.err = fmt.Errorf("cannot inspect image %s: %w", name, err)
			return
		}
		fmt.Fprintf(d.out, "\n  %s: %s (%s)\n", name, strings.TrimSpace(string(out)), time.Since(began).Round(time.Second))
	}
}

func (d *demo) install() {
	d.head("Install version 1 on an empty disk")
	d.say("A machine that runs version 1 from a plain file system does that, as root would on any machine.")
	installer, err := disks.NewInstaller(d.ctx)
	if err != nil {
		d.err = err
		return
	}
	d.disk = filepath.Join(d.dir, "disk.qcow2")
	d.err = installer.Install(d.ctx, d.dir, d.disk, func(step disks.Step, result vmtest.Result) {
		d.say(step.Title)
		fmt.Fprintf(d.out, "\n  # %s\n", strings.ReplaceAll(strings.TrimSpace(step.Script), "\n", "\n    "))
		d.print(result)
		d.checks++
	})
}

func (d *demo) firstBoot() {
	d.head("Boot it: firmware, systemd-boot, kernel, version 1")
	registry, err := disks.Registry(d.ctx, "v1", "v2")
	if err != nil {
		d.err = err
		return
	}
	installer, err := disks.NewInstaller(d.ctx)
	if err != nil {
		d.err = err
		return
	}
	d.start(vmtest.Config{Dir: d.dir, KVM: installer.KVM(), Disks: []vmtest.Disk{
		{Path: d.disk, Format: "qcow2", Serial: "root"},
		{Path: registry, Serial: "registry", ReadOnly: true},
	}})
	d.show("systemd-analyze time", "kernel")
	d.show("sysupdate-image status")
	d.show("cat /etc/motd", "version 1")
	d.say("The image cannot be changed, not even by root; each file of it is verified by the kernel when it is read.")
	d.refused("touch /usr/bin/intruder", "Read-only file system")
	d.refused("touch /intruder", "Read-only file system")
	d.show("for at in / /etc /var /sysroot; do findmnt --noheadings --output TARGET,FSTYPE,SOURCE $at; done", "composefs")
	d.say("Settings and data can. Change a setting, and add data:")
	d.show("echo tower > /etc/hostname && cat /etc/hostname", "tower")
	d.show("echo 'precious data' > /var/lib/precious && cat /var/lib/precious", "precious data")
}

func (d *demo) update() {
	d.head("Update to version 2, from a registry over HTTP")
	d.show("systemctl start test-registry")
	d.show("sysupdate-image apply --plan " + reference)
	d.show("sysupdate-image apply " + reference)
	d.show("sysupdate-image status")
	d.say("Nothing of the running system has changed so far:")
	d.show("cat /etc/motd && ls /usr/share/test-machine", "version 1", "only-in-1")
	d.say("Shutting down carries the local changes of /etc over and makes version 2 the next one to boot.")
	d.reboot()
}

func (d *demo) secondBoot() {
	d.head("Version 2 runs")
	d.show("sysupdate-image status")
	d.show("grep ^IMAGE_ /etc/os-release", "IMAGE_VERSION=2")
	d.say("The new package is there; the file that version 2 dropped is not; its new default in /etc is:")
	d.show("hello", "Hello")
	d.refused("ls /usr/share/test-machine/only-in-1", "No such file")
	d.show("cat /etc/motd", "version 2")
	d.say("So are the local setting and the data:")
	d.show("cat /etc/hostname && hostname", "tower\ntower")
	d.show("cat /var/lib/precious", "precious data")
}

func (d *demo) rollBack() {
	d.head("Roll back")
	d.show("sysupdate-image rollback")
	d.reboot()
}

func (d *demo) thirdBoot() {
	d.head("Version 1 runs again")
	d.show("sysupdate-image status")
	d.show("cat /etc/motd && ls /usr/share/test-machine", "version 1", "only-in-1")
	d.show("cat /etc/hostname && cat /var/lib/precious", "tower", "precious data")
	if d.err == nil {
		d.err = d.machine.PowerOff(d.ctx)
	}
}
