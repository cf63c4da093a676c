package vm

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"time"
)

// accelerator returns QEMU's options for KVM or its own translation.
func accelerator(kvm bool) []string {
	if kvm {
		return []string{"-accel", "kvm"}
	}
	return []string{"-accel", "tcg,thread=multi"}
}

// TryKVM reports whether a Linux kernel runs under KVM here. There are machines that
// have /dev/kvm, let a virtual processor be made, and then cannot run it.
func TryKVM(ctx context.Context, kernel string) bool {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	f.Close()
	return reachesPanic(ctx, kernel, accelerator(true), 20*time.Second)
}

// reachesPanic reports whether a kernel gets as far as missing its root file system.
func reachesPanic(ctx context.Context, kernel string, accelerator []string, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	args := append(accelerator, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35", "-cpu", "max",
		"-m", "512", "-serial", "stdio", "-no-reboot", "-kernel", kernel, "-append", "console=ttyS0 panic=-1")
	out, err := exec.CommandContext(ctx, qemu, args...).Output()
	return err == nil && bytes.Contains(out, []byte("Kernel panic - not syncing: VFS"))
}
