package assemble

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// Options say what File makes an initramfs from.
type Options struct {
	KernelDir string    // with the modules of a kernel; "" for the only one in Root
	Root      string    // directory with the root of the system
	Machine   string    // root of a running system whose devices decide on the modules; "" for the generic set
	Out       string    // file to write; "" for initramfs.img in KernelDir
	Modified  time.Time // of all files in the initramfs
}

// A Report is what was written.
type Report struct {
	Name        string
	Version     string // of the kernel
	Modules     int
	Compression Compression
	Size        int64 // in bytes
}

// modulesParent is where a system has the modules of its kernels.
const modulesParent = "usr/lib/modules"

// File writes an initramfs to a file, which has its name when it is complete and synced. If
// File returns an error, a file of that name stays as it was.
func File(ctx context.Context, opts Options) (Report, error) {
	if opts.KernelDir == "" {
		dir, err := onlyKernel(opts.Root)
		if err != nil {
			return Report{}, err
		}
		opts.KernelDir = dir
	}
	version, err := filepath.Abs(opts.KernelDir)
	if err != nil {
		return Report{}, err
	}
	version = filepath.Base(version)
	kernel, err := os.OpenRoot(opts.KernelDir)
	if err != nil {
		return Report{}, err
	}
	defer kernel.Close()
	root, err := os.OpenRoot(opts.Root)
	if err != nil {
		return Report{}, err
	}
	defer root.Close()
	src := Source{Version: version, Modules: kernel.FS(), Root: root.FS(), Modified: opts.Modified}
	if opts.Machine != "" {
		src.Machine = os.DirFS(opts.Machine)
	}
	plan, err := NewPlan(src)
	if err != nil {
		return Report{}, err
	}
	name := opts.Out
	if name == "" {
		name = filepath.Join(opts.KernelDir, "initramfs.img")
	}
	size, err := plan.writeFile(ctx, name)
	return Report{name, version, len(plan.Modules), plan.Compression, size}, err
}

// writeFile writes the initramfs to a file and returns its size.
func (p *Plan) writeFile(ctx context.Context, name string) (int64, error) {
	dir, err := os.OpenRoot(filepath.Dir(name))
	if err != nil {
		return 0, fmt.Errorf("cannot write %s: %w", name, err)
	}
	defer dir.Close()
	var out counter
	err = durable.Write(durable.OS(dir), filepath.Base(name), 0o644, func(w io.Writer) error {
		out.w = w
		return p.Write(ctx, &out)
	})
	return out.n, err
}

// A counter counts the bytes that are written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(data []byte) (int, error) {
	n, err := c.w.Write(data)
	c.n += int64(n)
	return n, err
}

// ErrKernels reports that a system does not have one kernel but several.
var ErrKernels = errors.New("several kernels")

// onlyKernel returns the directory with the modules of the only kernel of a system.
func onlyKernel(root string) (string, error) {
	parent := filepath.Join(root, modulesParent)
	entries, err := os.ReadDir(parent)
	if err != nil {
		return "", err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	switch len(names) {
	case 0:
		return "", fmt.Errorf("no kernel has modules in %s", parent)
	case 1:
		return filepath.Join(parent, names[0]), nil
	}
	return "", fmt.Errorf("%w have modules in %s: %s", ErrKernels, parent, strings.Join(names, ", "))
}
