package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm/wire"
)

// rebooted is the exit status of a User Mode Linux that wants to reboot. It executes
// its own argv[0] then, which is a script that exits with this.
const rebooted = 99

// launchUML starts a machine with User Mode Linux. A reboot ends the process, and the
// machine starts another one: what boots may be something else then.
func (m *Machine) launchUML(ctx context.Context, cfg Config, agent *os.File) error {
	again := filepath.Join(cfg.Dir, "reboot")
	if err := os.WriteFile(again, fmt.Appendf(nil, "#!/bin/sh\nexit %d\n", rebooted), 0o755); err != nil {
		return err
	}
	for i := range cfg.Disks {
		if err := os.RemoveAll(cowFile(cfg.Dir, i)); err != nil {
			return err
		}
	}
	console, drain, err := pipeTo(m.console.name)
	if err != nil {
		return err
	}
	finish, err := m.keepResults(cfg.Results)
	if err != nil {
		drain()
		return err
	}
	// Nothing is ever typed.
	typed, keyboard, err := os.Pipe()
	if err != nil {
		drain()
		return err
	}
	start := func(log *os.File) (*exec.Cmd, error) {
		args, err := umlArguments(ctx, cfg)
		if err != nil {
			return nil, err
		}
		cmd := exec.CommandContext(ctx, cfg.Kernel)
		cmd.Args = append([]string{again}, args...)
		cmd.Env = append(os.Environ(), "HOME="+cfg.Dir)
		cmd.Stdout, cmd.Stderr = log, log
		cmd.ExtraFiles = []*os.File{agent, console, typed} // descriptors 3, 4 and 5, as in umlArguments
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		return cmd, cmd.Start()
	}
	return m.launch(program{
		log: filepath.Join(cfg.Dir, "uml.log"), start: start, again: rebooting,
		release: func() {
			for _, f := range []*os.File{agent, typed, keyboard} {
				f.Close()
			}
			drain()
			finish()
		},
	})
}

// pipeTo returns a pipe whose content goes to the end of a file: User Mode Linux waits
// for its files by epoll(7), which takes no regular ones. The function that it returns
// closes the pipe once the file has everything.
func pipeTo(name string) (in *os.File, drain func(), err error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, nil, err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	finish := copyTo(file, out)
	return in, func() {
		in.Close()
		finish()
		out.Close()
	}, nil
}

// keepResults writes what comes from the port to a file, if there is to be one. The
// function that it returns waits until that has everything.
func (m *Machine) keepResults(name string) (finish func(), err error) {
	if name == "" {
		return func() {}, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	return copyTo(file, m.port), nil
}

// copyTo begins to copy to a file. The function that it returns waits for what is on
// its way and closes the file.
func copyTo(file, from *os.File) (finish func()) {
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(file, from)
		close(done)
	}()
	return func() {
		// A process that was killed may keep the other end a moment longer.
		_ = from.SetReadDeadline(time.Now().Add(time.Second))
		<-done
		file.Close()
	}
}

// rebooting reports whether a User Mode Linux that ended with err wants to reboot.
func rebooting(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.ExitCode() == rebooted
}

// umlArguments returns the command line of User Mode Linux for a machine.
func umlArguments(ctx context.Context, cfg Config) ([]string, error) {
	args := []string{
		"seccomp=auto", fmt.Sprintf("mem=%dM", cfg.memory()), "uml_dir=" + filepath.Join(cfg.Dir, "uml"),
		"con=null", "ssl=null", "ssl0=fd:5,fd:4", "ssl1=fd:3", wire.PortOption + "/dev/ttyS1",
	}
	for i, d := range cfg.Disks {
		if d.Format != "" && d.Format != "raw" || d.Log != "" {
			return nil, fmt.Errorf("disk %s: User Mode Linux has raw disks without a log only", d.Serial)
		}
		args = append(args, d.umlArguments(cfg.Dir, i)...)
	}
	if cfg.Cmdline != "" {
		if cfg.Initrd != "" {
			args = append(args, "initrd="+cfg.Initrd)
		}
		// It looks for console= at the beginning of an argument.
		return append(args, strings.Fields(cfg.Cmdline)...), nil
	}
	initrd, options, err := Entry(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("nothing boots: %w", err)
	}
	return append(append(args, "initrd="+initrd), options...), nil
}

// umlArguments returns the options for the disk with number i: what it is, and for
// udev its serial number, which such a disk does not have.
func (d Disk) umlArguments(dir string, i int) []string {
	flags, file := "", d.Path
	if d.ReadOnly {
		flags = "rc"
	}
	if d.Forget {
		file = cowFile(dir, i) + "," + d.Path
	}
	return []string{fmt.Sprintf("ubd%d%s=%s", i, flags, file), fmt.Sprintf("test_disk.ubd%c=%s", 'a'+i, d.Serial)}
}

func cowFile(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("disk%d.cow", i)) }
