package record

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// modules are what the guests need of the kernel that is not in its image.
var modules = []string{"virtio_blk", "loop", "vfat", "nls_ascii", "nls_cp437", "nls_iso8859-1", "erofs", "overlay", "btrfs"}

// addModules writes the modules to dir, with all that they need, and the order in
// which to load them.
func addModules(kernel, dir string) error {
	deps, err := readDeps(filepath.Join(kernel, "modules.dep"))
	if err != nil {
		return err
	}
	var order []string
	for _, name := range modules {
		file, ok := deps.find(name)
		if !ok {
			continue // it is in the kernel's image
		}
		order = deps.withNeeded(order, file)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var list bytes.Buffer
	for _, file := range order {
		name := strings.TrimSuffix(filepath.Base(file), ".xz")
		data, err := readModule(filepath.Join(kernel, file))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
		fmt.Fprintln(&list, name)
	}
	return os.WriteFile(filepath.Join(dir, "ORDER"), list.Bytes(), 0o644)
}

func readModule(file string) ([]byte, error) {
	if !strings.HasSuffix(file, ".xz") {
		return os.ReadFile(file)
	}
	out, err := exec.Command("xz", "-dc", file).Output()
	if err != nil {
		return nil, fmt.Errorf("xz -dc %s: %w", file, err)
	}
	return out, nil
}

// deps are the files that each module's file needs; see modules.dep(5).
type deps map[string][]string

func readDeps(name string) (deps, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	d := make(deps)
	for line := range strings.Lines(string(text)) {
		file, needs, _ := strings.Cut(strings.TrimSpace(line), ":")
		d[file] = strings.Fields(needs)
	}
	return d, nil
}

func (d deps) find(module string) (file string, ok bool) {
	for file := range d {
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		if strings.ReplaceAll(name, "-", "_") == strings.ReplaceAll(module, "-", "_") {
			return file, true
		}
	}
	return "", false
}

// withNeeded adds a module after all that it needs.
func (d deps) withNeeded(order []string, file string) []string {
	for _, needed := range d[file] {
		order = d.withNeeded(order, needed)
	}
	if !slices.Contains(order, file) {
		order = append(order, file)
	}
	return order
}

// addProgram copies a program of the host to dir, and the libraries that it needs
// to where it looks for them below root.
func addProgram(ctx context.Context, name, dir, root string) error {
	program, err := exec.LookPath(name)
	if err != nil {
		return err
	}
	out, err := run(ctx, "ldd", program)
	if err != nil {
		return err
	}
	copies := map[string]string{program: filepath.Join(dir, name)}
	for word := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(word, "/") {
			copies[word] = filepath.Join(root, word)
		}
	}
	for from, to := range copies {
		if _, err := run(ctx, "install", "-D", from, to); err != nil {
			return err
		}
	}
	return nil
}

// archiveTree returns a directory as cpio archive, in the format "newc" of the
// kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
func archiveTree(dir string) ([]byte, error) {
	var out bytes.Buffer
	inode := 0
	add := func(name string, mode uint32, data []byte) {
		inode++
		fmt.Fprintf(&out, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
			inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name)
		pad(&out)
		out.Write(data)
		pad(&out)
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.IsDir() {
			add(name, 0o040000|uint32(info.Mode().Perm()), nil)
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		add(name, 0o100000|uint32(info.Mode().Perm()), data)
		return nil
	})
	add("TRAILER!!!", 0, nil)
	return out.Bytes(), err
}

func pad(b *bytes.Buffer) {
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
}
