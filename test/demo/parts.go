package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// reference is where the machine's registry has version 2.
const reference = "127.0.0.1:5000/os:v2"

func (d *demo) build() {
	d.Head("Build two versions of an operating system")
	d.Say("Version 1 is Debian 13 with a kernel and sysupdate-image, as an ordinary container image. Version 2 has one\n" +
		"more layer: a package, a changed file in /usr, a changed default in /etc, and a file less.")
	for _, name := range []string{"v1", "v2"} {
		began := time.Now()
		layout, err := disks.Image(d.Ctx, name)
		if err != nil {
			d.Err = err
			return
		}
		out, err := exec.CommandContext(d.Ctx, "skopeo", "inspect", "--format",
			"{{len .Layers}} layers, {{.Digest}}", "oci:"+layout+":"+name).Output()
		if err != nil {
			d.Err = fmt.Errorf("cannot inspect image %s: %w", name, err)
			return
		}
		fmt.Fprintf(d.Out, "\n  %s: %s (%s)\n", name, strings.TrimSpace(string(out)), time.Since(began).Round(time.Second))
	}
}

func (d *demo) install() {
	d.Head("Install version 1 on an empty disk")
	d.Say("A machine that runs version 1 from a plain file system does that, as root would on any machine.")
	installer, err := disks.NewInstaller(d.Ctx, vm.PC)
	if err != nil {
		d.Err = err
		return
	}
	d.disk = filepath.Join(d.Dir, "disk.raw")
	d.Err = installer.Install(d.Ctx, d.Dir, d.disk, disks.InstallSteps, func(step disks.Step, result vm.Result) {
		d.Say(step.Title)
		fmt.Fprintf(d.Out, "\n  # %s\n", strings.ReplaceAll(strings.TrimSpace(step.Script), "\n", "\n    "))
		d.Print(result)
		d.Checks++
	})
}

func (d *demo) firstBoot() {
	d.Head("Boot it: firmware, systemd-boot, kernel, version 1")
	registry, err := disks.Registry(d.Ctx, "v1", "v2")
	if err != nil {
		d.Err = err
		return
	}
	installer, err := disks.NewInstaller(d.Ctx, vm.PC)
	if err != nil {
		d.Err = err
		return
	}
	d.Start(vm.Config{Dir: d.Dir, KVM: installer.KVM(), Disks: []vm.Disk{
		{Path: d.disk, Serial: "root"},
		{Path: registry, Serial: "registry", ReadOnly: true},
	}})
	d.Show("systemd-analyze time", "kernel")
	d.Show("sysupdate-image status")
	d.Show("cat /etc/motd", "version 1")
	d.Say("The image cannot be changed, not even by root; each file of it is verified by the kernel when it is read.")
	d.Refused("touch /usr/bin/intruder", "Read-only file system")
	d.Refused("touch /intruder", "Read-only file system")
	d.Show("for at in / /etc /var /sysroot; do findmnt --noheadings --output TARGET,FSTYPE,SOURCE $at; done", "composefs")
	d.Say("Settings and data can. Change a setting, and add data:")
	d.Show("echo tower > /etc/hostname && cat /etc/hostname", "tower")
	d.Show("echo 'precious data' > /var/lib/precious && cat /var/lib/precious", "precious data")
}

func (d *demo) update() {
	d.Head("Update to version 2, from a registry over HTTP")
	d.Show("systemctl start test-registry")
	d.Show("sysupdate-image apply --plan " + reference)
	d.Show("sysupdate-image apply " + reference)
	d.Show("sysupdate-image status")
	d.Say("Nothing of the running system has changed so far:")
	d.Show("cat /etc/motd && ls /usr/share/test-machine", "version 1", "only-in-1")
	d.Say("Shutting down carries the local changes of /etc over and makes version 2 the next one to boot.")
	d.Reboot()
}

func (d *demo) secondBoot() {
	d.Head("Version 2 runs")
	d.Show("sysupdate-image status")
	d.Show("grep ^IMAGE_ /etc/os-release", "IMAGE_VERSION=2")
	d.Say("The new package is there; the file that version 2 dropped is not; its new default in /etc is:")
	d.Show("hello", "Hello")
	d.Refused("ls /usr/share/test-machine/only-in-1", "No such file")
	d.Show("cat /etc/motd", "version 2")
	d.Say("So are the local setting and the data:")
	d.Show("cat /etc/hostname && hostname", "tower\ntower")
	d.Show("cat /var/lib/precious", "precious data")
}

func (d *demo) rollBack() {
	d.Head("Roll back")
	d.Show("sysupdate-image rollback")
	d.Reboot()
}

func (d *demo) thirdBoot() {
	d.Head("Version 1 runs again")
	d.Show("sysupdate-image status")
	d.Show("cat /etc/motd && ls /usr/share/test-machine", "version 1", "only-in-1")
	d.Show("cat /etc/hostname && cat /var/lib/precious", "tower", "precious data")
	if d.Err == nil {
		d.Err = d.Machine.PowerOff(d.Ctx)
	}
}
