package disks

import (
	"context"
	"os"
	"path/filepath"
)

// KVM reports whether the host's KVM can run a machine with the kernel of the image in an
// OCI layout.
func KVM(ctx context.Context, layout string) (bool, error) {
	// Without the device there is no need to look for the kernel.
	device, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return false, nil
	}
	device.Close()
	files, err := kernelOf(ctx, layout)
	if err != nil {
		return false, err
	}
	return kvm(ctx, filepath.Join(files, "vmlinuz"))
}
