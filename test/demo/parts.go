package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// Where the machine's registry has the versions.
const (
	firstVersion = "127.0.0.1:5000/os:demo1"
	goodUpdate   = "127.0.0.1:5000/os:demo2"
	badUpdate    = "127.0.0.1:5000/os:demo3"
)

func (d *demo) build() {
	d.Head("Build an operating system, and two updates")
	d.Say("Each is an ordinary container image, built by buildah: Debian 13 with a kernel and the packages of\n" +
		"sysupdate-image, from images/debian. Version 2 has one more package, and a check whether it works. In\n" +
		"version 3 it does not.")
	// The two have nothing to do with each other, and each takes a processor.
	began := time.Now()
	if d.Err = d.all([]string{"plain"}, []string{"packages"}); d.Err != nil {
		return
	}
	if d.Err = d.all([]string{"demo1"}); d.Err != nil {
		return
	}
	d.layout, d.Err = disks.Image(d.Ctx, "demo1")
	for _, name := range []string{"demo1", "demo2", "demo3"} {
		if d.Err != nil {
			return
		}
		out, err := exec.CommandContext(d.Ctx, "skopeo", "inspect", "--format",
			"{{len .Layers}} layers, {{.Digest}}", "oci:"+d.layout+":"+name).Output()
		if d.Err = err; err == nil {
			fmt.Fprintf(d.Out, "\n  version %s: %s\n", strings.TrimPrefix(name, "demo"), strings.TrimSpace(string(out)))
		}
	}
	fmt.Fprintf(d.Out, "\n  (%s)\n", time.Since(began).Round(time.Second))
}

// all has groups of images built, all groups at once.
func (d *demo) all(groups ...[]string) error {
	results := make(chan error, len(groups))
	for _, names := range groups {
		go func() {
			for _, name := range names {
				if _, err := disks.Image(d.Ctx, name); err != nil {
					results <- err
					return
				}
			}
			results <- nil
		}()
	}
	var failed error
	for range groups {
		if err := <-results; err != nil {
			failed = err
		}
	}
	return failed
}

// program unpacks the package and returns the program that is in it.
func (d *demo) program(ctx context.Context) (string, error) {
	dir, err := disks.Image(ctx, "packages")
	if err != nil {
		return "", err
	}
	packages, err := filepath.Glob(filepath.Join(dir, "sysupdate-image_*.deb"))
	if err != nil || len(packages) != 1 {
		return "", fmt.Errorf("%s has %d packages of sysupdate-image, %w", dir, len(packages), err)
	}
	to := filepath.Join(d.Dir, "package")
	if out, err := exec.CommandContext(ctx, "dpkg-deb", "--extract", packages[0], to).CombinedOutput(); err != nil {
		return "", fmt.Errorf("dpkg-deb: %w: %s", err, out)
	}
	return filepath.Join(to, "usr/bin/sysupdate-image"), nil
}

func (d *demo) install() {
	d.Head("Install version 1 on a disk")
	d.Say("The disk is a file. install to-disk does the same to a real one.")
	program, err := d.program(d.Ctx)
	if err != nil {
		d.Err = err
		return
	}
	d.disk = filepath.Join(d.Dir, "disk.raw")
	fmt.Fprint(d.Out, "\n  # sysupdate-image install to-image disk.raw --size 4G --image oci:./os:demo1 --track "+firstVersion+"\n")
	began := time.Now()
	out, err := exec.CommandContext(d.Ctx, program, "install", "to-image", d.disk, "--size", "4G", "--image", "oci:"+d.layout+":demo1", "--track", firstVersion).CombinedOutput()
	result := vm.Result{Stdout: strings.NewReplacer(d.layout, "./os", d.disk, "disk.raw").Replace(string(out)), Took: time.Since(began)}
	d.Print(result)
	if err != nil {
		d.Err = fmt.Errorf("cannot install: %w", err)
		return
	}
	d.Checks++
}

func (d *demo) firstBoot() {
	d.Head("Boot it: firmware, systemd-boot, kernel, version 1")
	registry, err := disks.Registry(d.Ctx, "demo1", "demo2", "demo3")
	if err != nil {
		d.Err = err
		return
	}
	kvm, err := disks.KVM(d.Ctx, d.layout)
	if err != nil {
		d.Err = err
		return
	}
	d.Start(vm.Config{Dir: d.Dir, KVM: kvm, Disks: []vm.Disk{
		{Path: d.disk, Serial: "root"},
		{Path: registry, Serial: "registry", ReadOnly: true},
	}})
	d.Show("sysupdate-image status", "booted")
	d.Show("cat /etc/motd", "version 1")
	d.Say("The image cannot be changed, not even by root.")
	d.Refused("touch /usr/bin/intruder", "Read-only file system")
	d.Show("for at in / /etc /var /sysroot; do findmnt --noheadings --output TARGET,FSTYPE,SOURCE $at; done", "composefs")
	d.Say("Settings and data can. Change a setting, and add data:")
	d.Show("echo tower > /etc/hostname && cat /etc/hostname", "tower")
	d.Show("echo 'precious data' > /var/lib/precious && cat /var/lib/precious", "precious data")
}

func (d *demo) update() {
	d.Head("Update to version 2, from a registry over HTTP")
	d.Show("systemctl start test-registry")
	d.Show("sysupdate-image apply --plan " + goodUpdate)
	d.Show("sysupdate-image apply " + goodUpdate)
	d.Say("Nothing of the running system has changed so far:")
	d.Show("cat /etc/motd", "version 1")
	d.Say("Shutting down carries the local changes of /etc over and makes version 2 the next one to boot.")
	d.Reboot()
}

func (d *demo) secondBoot() {
	d.Head("Version 2 runs")
	d.Say("The new package and the new default in /etc are there, and so are the local setting and the data:")
	d.Show("hello", "Hello")
	d.Show("cat /etc/motd /etc/hostname /var/lib/precious", "version 2", "tower\nprecious data")
	d.screen("before")
}

func (d *demo) badUpdate() {
	d.Head("Update to version 3, which is bad")
	d.Show("systemctl start test-registry")
	d.Show("sysupdate-image apply " + badUpdate)
	d.screen("a bad update is staged")
	d.Say("Nobody touches the machine from here on. Version 3 boots three times, and each time a check fails.")
	d.Reboots("grep --quiet 'version 2' /etc/motd")
}

func (d *demo) undone() {
	d.Head("Version 2 is back, by itself")
	d.screen("after it has undone itself")
	d.Show("cat /etc/motd /etc/hostname /var/lib/precious", "version 2", "tower\nprecious data")
	d.Say("That image is not tried again:")
	d.Show("systemctl start test-registry")
	d.Refused("sysupdate-image apply "+badUpdate, "failed to boot here")
	if d.Err == nil {
		d.Err = d.Machine.PowerOff(d.Ctx)
	}
}

// screen shows what status says now, for the picture.
func (d *demo) screen(title string) {
	text := d.Output("sysupdate-image status")
	d.screens = append(d.screens, screen{title, text})
}

// picture writes the picture, and compares the screens with those that the README shows.
func (d *demo) picture() {
	d.Head("A picture to share")
	repository, err := disks.Repository()
	if err != nil {
		d.Err = err
		return
	}
	file := filepath.Join(repository, "demo.svg")
	if d.Err = os.WriteFile(file, svg(d.screens), 0o644); d.Err != nil {
		return
	}
	fmt.Fprintf(d.Out, "\n%s\n  The same as a picture: %s\n", text(d.screens), file)
	d.Err = d.compare(repository)
}
