// Package disks makes the disks of the test machines: the one that installs, the
// one that is installed, and the one with the registry's images. It hides what
// the host cannot do: whatever needs a vfat or an ext4 with fs-verity is done by
// a machine.
package disks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Repository returns the root of the checkout that the working directory is in.
func Repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("cannot find the checkout: no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}

// Image builds one of the images of test/images/build and returns the directory
// of its OCI layout, where its tag is its name. The directory's name changes
// whenever the image does.
func Image(ctx context.Context, name string) (string, error) {
	repository, err := Repository()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(repository, "test/images/build"), name)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("cannot build image %s: %w", name, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Unpack writes the root file system of an image to dir, which must not exist.
func Unpack(ctx context.Context, layout, tag, dir string) error {
	bundle := dir + ".bundle"
	defer os.RemoveAll(bundle)
	if err := run(ctx, "umoci", "unpack", "--image", layout+":"+tag, bundle); err != nil {
		return err
	}
	return os.Rename(filepath.Join(bundle, "rootfs"), dir)
}

// makeExt4 makes a file system of a size that mkfs.ext4(8) understands, with the
// content of dir.
func makeExt4(ctx context.Context, file, dir, size string) error {
	return run(ctx, "mkfs.ext4", "-q", "-E", "lazy_itable_init=1,lazy_journal_init=1", "-d", dir, file, size)
}

func run(ctx context.Context, name string, args ...string) error {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out.String())
	}
	return nil
}

// Loader returns a directory with boot loaders, and what goes with them: see
// test/images/loader.sh.
func Loader(ctx context.Context) (string, error) { return Image(ctx, "loader") }
