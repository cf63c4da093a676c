package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// mountSystem mounts what every Linux system has.
func mountSystem() error {
	for _, m := range []struct{ fstype, dir, options string }{
		{"devtmpfs", "/dev", ""},
		{"proc", "/proc", ""},
		{"sysfs", "/sys", ""},
		{"tmpfs", "/run", "mode=755"},
		{"tmpfs", "/tmp", ""},
	} {
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.fstype, m.dir, m.fstype, 0, m.options); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	// What a program is given by systemd.
	for _, dir := range []string{"/run/tools", "/run/images"} {
		if err := bind(strings.TrimPrefix(dir, "/run"), dir); err != nil {
			return err
		}
	}
	return nil
}

func bind(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s to %s: %w", from, to, err)
	}
	return nil
}

// loadModules loads /modules/ORDER, which names the files beside it in the order
// in which they depend on each other. User Mode Linux needs none.
func loadModules() error {
	if _, uml := option(umlPort); uml {
		return nil
	}
	list, err := os.ReadFile("/modules/ORDER")
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(string(list)) {
		f, err := os.Open(filepath.Join("/modules", name))
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		f.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load module %s: %w", name, err)
		}
	}
	return nil
}

// umlPort is the option with the serial line of User Mode Linux for results.
const umlPort = "test-agent"

// option returns the value of NAME=VALUE on the kernel command line.
func option(name string) (value string, ok bool) {
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return "", false
	}
	for word := range strings.FieldsSeq(string(text)) {
		if value, ok := strings.CutPrefix(word, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// findDisk returns the device of the disk with a serial number. Those of User Mode
// Linux are on the kernel command line.
func findDisk(serial string) (string, error) {
	for _, name := range []string{"ubda", "ubdb", "ubdc"} {
		if value, ok := option("test_disk." + name); ok && value == serial {
			return "/dev/" + name, nil
		}
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		files, err := filepath.Glob("/sys/class/block/vd*/serial")
		if err != nil {
			return "", err
		}
		for _, file := range files {
			if text, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(text)) == serial {
				return "/dev/" + filepath.Base(filepath.Dir(file)), nil
			}
		}
		if time.Now().After(end) {
			return "", fmt.Errorf("there is no disk with the serial number %s", serial)
		}
	}
}

// findPort returns the port for results.
func findPort() (string, error) {
	if name, ok := option(umlPort); ok {
		return name, nil
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		files, err := filepath.Glob("/sys/class/virtio-ports/*/name")
		if err != nil {
			return "", err
		}
		if len(files) > 0 {
			return "/dev/" + filepath.Base(filepath.Dir(files[0])), nil
		}
		if time.Now().After(end) {
			return "", errors.New("there is no virtio-serial port")
		}
	}
}

// udev writes what udev would tell about the partitions of a disk.
func udev(disk string, types []string) error {
	if err := os.MkdirAll("/run/udev/data", 0o755); err != nil {
		return err
	}
	for i, kind := range types {
		name := fmt.Sprintf("%s%d", filepath.Base(disk), i+1)
		number, err := os.ReadFile("/sys/class/block/" + name + "/dev")
		if err != nil {
			return err
		}
		text := "E:ID_PART_ENTRY_TYPE=" + kind + "\n"
		if err := os.WriteFile("/run/udev/data/b"+strings.TrimSpace(string(number)), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// inside runs a program with root as its root directory, in a mount namespace of
// its own; see enter.
func inside(root string, args ...string) error {
	return execute(append([]string{"/init", "enter", root}, args...)...)
}

// execute runs a program and shows what it says.
func execute(args ...string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = []string{"PATH=/run/tools", "HOME=/root", "TMPDIR=/tmp"}
	done := make(chan struct{})
	go endIfStuck(strings.Join(args, " "), done)
	out, err := cmd.CombinedOutput()
	close(done)
	fmt.Printf("guest: %s\n%s", strings.Join(args, " "), out)
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// enter makes root the root directory, as switch_root(8) does, and becomes
// another program.
func enter(root string, args []string) error {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		os.Chdir(root),
		unix.Mount(".", "/", "", unix.MS_MOVE, ""),
		unix.Chroot("."),
		os.Chdir("/"),
	); err != nil {
		return err
	}
	return syscall.Exec(args[0], args, os.Environ())
}

// unmountAll unmounts everything at and below dir.
func unmountAll(dir string) error {
	for {
		err := unix.Unmount(dir, 0)
		switch {
		case err == nil:
		case errors.Is(err, unix.EINVAL), errors.Is(err, fs.ErrNotExist):
			return nil
		case errors.Is(err, unix.EBUSY):
			if err := unmountBelow(dir); err != nil {
				return err
			}
		default:
			return fmt.Errorf("unmount %s: %w", dir, err)
		}
	}
}

func unmountBelow(dir string) error {
	data, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if fields := strings.Fields(lines[i]); strings.HasPrefix(fields[1], dir+"/") {
			if err := unix.Unmount(fields[1], 0); err != nil {
				return fmt.Errorf("unmount %s: %w", fields[1], err)
			}
		}
	}
	return nil
}
