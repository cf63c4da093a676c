package vm

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm/wire"
)

// varsName is the file with the firmware's variables.
const varsName = "efivars.fd"

// typedName is the pipe with what is typed at the console, without the suffixes that QEMU adds.
const typedName = "typed"

const qemu = "qemu-system-x86_64"

// Debian's ovmf package.
const (
	firmwareCode = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	firmwareVars = "/usr/share/OVMF/OVMF_VARS_4M.fd"
)

// arguments returns QEMU's command line for a machine.
func arguments(cfg Config) ([]string, error) {
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none",
		"-machine", "q35", "-cpu", "max", "-smp", strconv.Itoa(cmp.Or(cfg.CPUs, 2)), "-m", strconv.Itoa(cfg.memory()),
		"-device", "virtio-rng-pci",
		"-serial", "chardev:console",
		"-device", "virtio-serial-pci",
		"-chardev", "socket,id=agent,fd=3",
		"-device", "virtserialport,chardev=agent,name=" + wire.PortName,
		"-chardev", "socket,id=monitor,fd=4", "-mon", "chardev=monitor,mode=control",
	}
	args = append(args, accelerator(cfg.KVM)...)
	for _, options := range []func(Config) ([]string, error){consoleArguments, restoreArguments, bootArguments} {
		more, err := options(cfg)
		if err != nil {
			return nil, err
		}
		args = append(args, more...)
	}
	if cfg.TPM != "" {
		args = append(args, "-chardev", "socket,id=tpm,path="+escape(cfg.TPM), "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0")
	}
	for i, d := range cfg.Disks {
		args = append(args, d.arguments(i)...)
	}
	return args, nil
}

// consoleArguments returns the options for what the console shows and reads.
func consoleArguments(cfg Config) ([]string, error) {
	log := escape(filepath.Join(cfg.Dir, consoleName))
	if !cfg.Keyboard {
		return []string{"-chardev", "file,id=console,append=on,path=" + log}, nil
	}
	name := filepath.Join(cfg.Dir, typedName)
	if err := errors.Join(syscall.Mkfifo(name+".in", 0o600), os.Symlink(os.DevNull, name+".out")); err != nil {
		return nil, err
	}
	return []string{"-chardev", "pipe,id=console,logappend=on,logfile=" + log + ",path=" + escape(name)}, nil
}

func bootArguments(cfg Config) ([]string, error) {
	if cfg.Kernel != "" {
		return []string{"-kernel", cfg.Kernel, "-initrd", cfg.Initrd, "-append", cfg.Cmdline}, nil
	}
	if cfg.BIOS {
		return nil, nil // QEMU's own
	}
	vars := filepath.Join(cfg.Dir, varsName)
	if _, err := os.Stat(vars); errors.Is(err, fs.ErrNotExist) {
		if err := copyFile(vars, firmwareVars); err != nil {
			return nil, fmt.Errorf("firmware variables: %w", err)
		}
	}
	return []string{
		"-drive", "if=pflash,unit=0,format=raw,readonly=on,file=" + firmwareCode,
		"-drive", "if=pflash,unit=1,format=raw,file=" + escape(vars),
	}, nil
}

// arguments returns the options for the disk with number i.
func (d Disk) arguments(i int) []string {
	id := fmt.Sprintf("disk%d", i)
	format := d.Format
	if format == "" {
		format = "raw"
	}
	device := fmt.Sprintf("virtio-blk-pci,drive=%s,serial=%s,bootindex=%d", id, d.Serial, i+1)
	if d.Log != "" {
		return []string{
			"-blockdev", fmt.Sprintf("driver=%s,node-name=%s-content,file.driver=file,file.filename=%s", format, id, escape(d.Path)),
			"-blockdev", fmt.Sprintf("driver=file,node-name=%s-log,filename=%s", id, escape(d.Log)),
			"-blockdev", fmt.Sprintf("driver=blklogwrites,node-name=%s,file=%s-content,log=%s-log,log-sector-size=512,log-super-update-interval=1", id, id, id),
			// What has no data in the log could not be replayed.
			"-device", device + ",discard=off,write-zeroes=off",
		}
	}
	drive := fmt.Sprintf("if=none,id=%s,format=%s,cache=writeback,discard=unmap,file=%s", id, format, escape(d.Path))
	if d.ReadOnly {
		drive += ",readonly=on"
	}
	if d.Forget {
		drive += ",snapshot=on"
	}
	if d.Late {
		device = fmt.Sprintf("pcie-root-port,id=%s,chassis=%d", slotOf(d.Serial), i+1)
	}
	return []string{"-drive", drive, "-device", device}
}

// slotOf returns the name of the slot for a disk that is added later.
func slotOf(serial string) string { return "slot-" + serial }

// escape doubles commas, which separate QEMU's options.
func escape(path string) string { return strings.ReplaceAll(path, ",", ",,") }

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
