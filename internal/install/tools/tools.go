// Package tools runs the programs of a system that make partitions and file systems. It
// hides where they are, and turns what they complain about into errors.
package tools

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// A Command is a program with its arguments.
type Command struct {
	Name  string
	Args  []string
	Input string   // for its standard input
	Env   []string // besides our own environment
	// Keep are files that the program has open too. A loop device cannot become one of
	// another file while the program that writes to it by its name is running.
	Keep []*os.File
}

// String returns the command as a shell takes it, as long as no argument has a blank.
func (c Command) String() string { return strings.Join(append([]string{c.Name}, c.Args...), " ") }

// packages say in which package distributions have a program.
var packages = map[string]string{
	"mkfs.vfat": "dosfstools", "mkfs.ext4": "e2fsprogs", "mkfs.btrfs": "btrfs-progs", "mkfs.xfs": "xfsprogs",
	"sfdisk": "fdisk or util-linux", "wipefs": "util-linux", "unshare": "util-linux", "mcopy": "mtools", "mmd": "mtools", "mdel": "mtools", "qemu-img": "qemu-utils or qemu-img",
	"grub-mkimage": "grub-common or grub2-tools",
}

// A MissingError says that a program is not installed.
type MissingError struct{ Name string }

func (e *MissingError) Error() string {
	if p := packages[e.Name]; p != "" {
		return fmt.Sprintf("%s is not installed (package %s)", e.Name, p)
	}
	return e.Name + " is not installed"
}

// Find returns the path of a program, also where $PATH has no directories of the
// administrator.
func Find(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", &MissingError{name}
}

// Have reports whether a program is installed.
func Have(name string) bool {
	_, err := Find(name)
	return err == nil
}

// Check says which of the programs are not installed.
func Check(names ...string) error {
	var errs []error
	for _, name := range names {
		if _, err := Find(name); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Output runs a command and returns what it prints. The error has what it complained about.
// The program does not outlive this one, even if that is killed.
func (c Command) Output(ctx context.Context) (string, error) {
	path, err := Find(c.Name)
	if err != nil {
		return "", err
	}
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, path, c.Args...)
	cmd.Env = append(append(os.Environ(), "LC_ALL=C"), c.Env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(c.Input), &out, &complaints
	cmd.ExtraFiles = c.Keep
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the signal comes when the thread ends that has started the program
	err = cmd.Run()
	runtime.UnlockOSThread()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		text := strings.TrimSpace(complaints.String())
		if text == "" {
			text = strings.TrimSpace(out.String())
		}
		return "", fmt.Errorf("%s: %w: %s", c.Name, err, strings.Join(strings.Fields(text), " "))
	}
	return out.String(), nil
}

// Run runs a command whose output nobody needs.
func (c Command) Run(ctx context.Context) error {
	_, err := c.Output(ctx)
	return err
}
