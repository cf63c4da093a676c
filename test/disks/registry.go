package disks

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Registry returns a disk with the storage of a registry that has the named
// images as tags of the repository "os". A machine whose disk has the serial
// "registry" serves it on 127.0.0.1:5000 after systemctl start test-registry.
func Registry(ctx context.Context, images ...string) (string, error) {
	var layouts []string
	for _, name := range images {
		layout, err := Image(ctx, name)
		if err != nil {
			return "", err
		}
		layouts = append(layouts, layout)
	}
	key := keyOf("1", strings.Join(layouts, " "))
	dir, err := cached(ctx, "registry", key, func(ctx context.Context, dir string) error {
		storage := filepath.Join(dir, "storage")
		defer os.RemoveAll(storage)
		if err := fill(ctx, storage, images, layouts); err != nil {
			return err
		}
		return makeExt4(ctx, filepath.Join(dir, "registry.ext4"), storage, registrySize)
	})
	return filepath.Join(dir, "registry.ext4"), err
}

// fill runs a registry on this machine's loopback interface, as long as it takes
// to copy the images into it.
func fill(ctx context.Context, storage string, images, layouts []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := os.Mkdir(storage, 0o755); err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	config := storage + ".yml"
	defer os.Remove(config)
	text := fmt.Sprintf("version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: %q}\n", storage, address)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return err
	}
	registry := exec.CommandContext(ctx, "docker-registry", "serve", config)
	registry.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := registry.Start(); err != nil {
		return fmt.Errorf("cannot start registry: %w", err)
	}
	defer func() { cancel(); _ = registry.Wait() }()
	if err := waitListening(ctx, address); err != nil {
		return err
	}
	for i, name := range images {
		err := run(ctx, "skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false",
			"oci:"+layouts[i]+":"+name, "docker://"+address+"/os:"+name)
		if err != nil {
			return err
		}
	}
	return nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func waitListening(ctx context.Context, address string) error {
	for range 100 {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("registry does not answer on %s", address)
}
