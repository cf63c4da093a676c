package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// A guest is a machine that does one job and ends.
type guest struct {
	dir            string // for its console and its results
	kernel, initrd string
	memoryMiB      int
	disk, job, log string // files
	record         bool   // write to disk, and what is written to log
	uml            string // is the kernel of one that only looks
}

// arguments returns QEMU's command line of one that records. One processor, so that what the guest
// does next is decided by its own priorities.
func (g guest) arguments() []string {
	return []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35", "-cpu", "max", "-smp", "1",
		"-accel", "tcg", "-m", fmt.Sprint(g.memoryMiB), "-no-reboot",
		// no_timer_check: where the host is busy, no tick may come while the kernel waits for one, and it panics.
		"-kernel", g.kernel, "-initrd", g.initrd, "-append", "console=ttyS0 quiet panic=-1 no_timer_check mitigations=off nokaslr random.trust_cpu=on",
		"-serial", "file:" + filepath.Join(g.dir, "console"),
		"-device", "virtio-rng-pci", "-device", "virtio-serial-pci",
		"-chardev", "file,id=results,path=" + filepath.Join(g.dir, "results"),
		"-device", "virtserialport,chardev=results,name=results",
		"-blockdev", "driver=raw,node-name=job,read-only=on,file.driver=file,file.filename=" + g.job,
		"-device", "virtio-blk-pci,drive=job,serial=job",
		"-blockdev", "driver=file,node-name=disk-file,filename=" + g.disk,
		"-blockdev", "driver=file,node-name=log-file,filename=" + g.log,
		"-blockdev", "driver=blklogwrites,node-name=disk,file=disk-file,log=log-file,log-sector-size=512,log-super-update-interval=1",
		// What has no data in the log would not be replayed.
		"-device", "virtio-blk-pci,drive=disk,serial=disk,discard=off,write-zeroes=off",
	}
}

// errNoEnd is returned for a guest that went down before it had done its job.
var errNoEnd = errors.New("the guest did not come to an end")

// run runs the machine until it powers itself off and returns its results.
func (g guest) run(ctx context.Context) ([]byte, error) {
	runs, log := g.runQEMU, "console"
	if !g.record {
		runs, log = g.runUML, "console.log"
	}
	err := runs(ctx)
	console, _ := os.ReadFile(filepath.Join(g.dir, log))
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, tail(console))
	}
	results, err := os.ReadFile(filepath.Join(g.dir, "results"))
	if err == nil && !bytes.Contains(results, []byte(`"Done":true`)) {
		err = errNoEnd
	}
	if err != nil {
		return nil, fmt.Errorf("%w; its console ends with:\n%s", err, tail(console))
	}
	return results, nil
}

// runQEMU records: there, what the disk is told to make durable can be seen.
func (g guest) runQEMU(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", g.arguments()...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("qemu: %w\n%s", err, out)
	}
	return nil
}

// runUML looks at what is left, which takes the same file systems and no hardware.
func (g guest) runUML(ctx context.Context) error {
	results := filepath.Join(g.dir, "results")
	if err := os.RemoveAll(results); err != nil {
		return err
	}
	m, err := vm.Start(ctx, vm.Config{
		Kind: vm.UML, Dir: g.dir, Kernel: g.uml, Initrd: g.initrd, Results: results, MemoryMiB: g.memoryMiB,
		Cmdline: "console=ttyS0 quiet panic=-1",
		Disks: []vm.Disk{
			{Path: g.disk, Serial: "disk", ReadOnly: true},
			{Path: g.log, Serial: "log", ReadOnly: true},
			{Path: g.job, Serial: "job", ReadOnly: true},
		},
	})
	if err != nil {
		return err
	}
	defer m.Kill()
	return m.WaitOff(ctx)
}

// tail returns the last lines of a console.
func tail(console []byte) string {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(string(console), "\r", ""), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-100):], "\n")
}

func run(ctx context.Context, name string, args ...string) ([]byte, error) {
	return runEnv(ctx, nil, name, args...)
}

func runEnv(ctx context.Context, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	return output(cmd)
}

func runInput(ctx context.Context, input, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(input)
	return output(cmd)
}

func output(cmd *exec.Cmd) ([]byte, error) {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return out, nil
}
