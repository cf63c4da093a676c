package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// digestTree returns the digest of all that is in a directory, and of each node
// in it by its path: type, permissions, owner, time, extended attributes,
// content, and links. A directory that is not there has the digest "".
func digestTree(dir string) (all string, nodes map[string]string, err error) {
	nodes = make(map[string]string)
	links := make(map[uint64]string)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, dir)
		nodes[name], err = digestNode(path, name, links)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) && len(nodes) == 0 {
		return "", nil, nil
	}
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		fmt.Fprintf(h, "%q %s\n", name, nodes[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nodes, err
}

func digestNode(path, name string, links map[uint64]string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	stat := info.Sys().(*syscall.Stat_t)
	h := sha256.New()
	fmt.Fprintf(h, "%o %d:%d %d\n", stat.Mode, stat.Uid, stat.Gid, stat.Rdev)
	if err := digestAttrs(h.Write, path); err != nil {
		return "", err
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q", target)
	case info.Mode().IsRegular():
		data, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%d.%d\n", stat.Mtim.Sec, stat.Mtim.Nsec)
		h.Write(data)
		if first, ok := links[stat.Ino]; ok {
			fmt.Fprintf(h, "\nlink %q", first)
		} else {
			links[stat.Ino] = name
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// digestAttrs leaves out what overlayfs writes for itself when it is used, and
// nothing depends on.
func digestAttrs(write func([]byte) (int, error), path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := sys.Listxattr(dir, filepath.Base(path))
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if name == "trusted.overlay.impure" || name == "trusted.overlay.origin" || name == "trusted.overlay.uuid" {
			continue
		}
		value, err := sys.Getxattr(dir, filepath.Base(path), name)
		if err != nil {
			return err
		}
		if _, err := write(fmt.Appendf(nil, "%q=%q\n", name, value)); err != nil {
			return err
		}
	}
	return nil
}
