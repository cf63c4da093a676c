package inspect

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/image/kargs"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
)

// A Container is what bootc tells of an image that is a directory, in its fields.
type Container struct {
	Kargs  []string         `json:"kargs"`
	Kernel *ContainerKernel `json:"kernel"` // nil if there is none
}

// A ContainerKernel is the kernel of such an image.
type ContainerKernel struct {
	Version string `json:"version"` // of a unified kernel image the name of the file, without .efi
	Unified bool   `json:"unified"`
}

// Directory describes the system in a directory. It reads hardly more than names.
func Directory(dir string) (Container, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Container{}, err
	}
	defer root.Close()
	c := Container{Kargs: []string{}}
	args, err := kargs.Load(root.FS(), runtime.GOARCH)
	if err != nil {
		return Container{}, fmt.Errorf("%s: %w", dir, err)
	}
	c.Kargs = append(c.Kargs, args...)
	c.Kernel, err = kernelIn(root.FS())
	if err != nil {
		err = fmt.Errorf("%s: %w", dir, err)
	}
	return c, err
}

// kernelIn returns the kernel of a system with a root: a unified kernel image comes first.
func kernelIn(root fs.FS) (*ContainerKernel, error) {
	unified, err := fs.Glob(root, "boot/EFI/Linux/*.efi")
	if err != nil {
		return nil, err
	}
	if len(unified) > 0 {
		return &ContainerKernel{strings.TrimSuffix(path.Base(unified[0]), ".efi"), true}, nil
	}
	kernels, err := fs.Glob(root, system.ModulesDir+"/*/vmlinuz")
	switch {
	case err != nil || len(kernels) == 0:
		return nil, err
	case len(kernels) > 1:
		return nil, errors.New("several kernels: " + strings.Join(kernels, ", "))
	}
	return &ContainerKernel{Version: path.Base(path.Dir(kernels[0]))}, nil
}
