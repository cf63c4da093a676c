package trees

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/modules"
	"github.com/sysupdate-image/sysupdate-image/internal/image/initramfs/assemble"
)

// TestStandaloneInitramfs compares the modules in a standalone initramfs, and their index,
// with what the tools of the distribution make of the same kernel.
func TestStandaloneInitramfs(t *testing.T) {
	t.Parallel()
	root := unpacked(t, layout(t, "base"), "base")
	program := filepath.Join(root, "usr/lib/sysupdate-image/init")
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, []byte("program"), 0o755); err != nil {
		t.Fatal(err)
	}
	report, err := assemble.File(t.Context(), assemble.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d modules, %d bytes", report.Modules, report.Size)
	if report.Size > 12_000_000 {
		t.Errorf("the initramfs has %d bytes; want at most 12 MB", report.Size)
	}
	dir := filepath.Join("usr/lib/modules", report.Version)
	within := "/" + filepath.Join(dir, "initramfs.img")
	if list := run(t, "chroot", root, "lsinitrd", within); !strings.Contains(list, dir+"/kernel/fs/erofs/erofs.ko\n") {
		t.Errorf("lsinitrd:\n%s", list)
	}

	out := filepath.Join(root, "initramfs")
	run(t, "chroot", root, "sh", "-ec", "mkdir /initramfs; cd /initramfs; zstd -dcq <"+within+" | cpio --quiet -i -d --no-absolute-filenames")
	compareIndex(t, root, out, report.Version)
	compareOrder(t, root, filepath.Join(root, dir), report.Version, moduleNames(t, filepath.Join(out, dir)))
}

// compareIndex compares the index in the initramfs with the one that depmod(8) makes from
// the modules there: so none of them depends on a module that is not.
func compareIndex(t *testing.T, root, out, version string) {
	t.Helper()
	dir := filepath.Join(out, "usr/lib/modules", version)
	ours := make(map[string][]string)
	names := []string{"modules.dep", "modules.alias", "modules.softdep"}
	for _, name := range names {
		ours[name] = words(t, filepath.Join(dir, name))
	}
	for _, name := range []string{"modules.builtin.modinfo", "modules.order"} {
		whole, err := os.ReadFile(filepath.Join(root, "usr/lib/modules", version, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), whole, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("usr/lib", filepath.Join(out, "lib")); err != nil {
		t.Fatal(err)
	}
	run(t, "chroot", root, "depmod", "-b", "/initramfs", version)
	for _, name := range names {
		if theirs := words(t, filepath.Join(dir, name)); !slices.Equal(ours[name], theirs) {
			t.Errorf("%s has %d words in the initramfs; depmod writes %d:\n%q\n%q", name, len(ours[name]), len(theirs), ours[name], theirs)
		}
	}
}

// words returns the words of an index file, sorted: depmod(8) has the lines in another
// order, and a line for each soft dependency. '-' and '_' are the same.
func words(t *testing.T, name string) []string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for line := range strings.Lines(strings.ReplaceAll(string(data), "-", "_")) {
		if !strings.HasPrefix(line, "#") {
			words = append(words, strings.Fields(line)...)
		}
	}
	slices.Sort(words)
	if filepath.Base(name) == "modules.softdep" {
		words = slices.Compact(words)
	}
	return words
}

// compareOrder compares what is loaded for a module with what modprobe(8) loads. That has
// the same in the same order, but less of the soft dependencies: only the first line of a
// module counts for it.
func compareOrder(t *testing.T, root, dir, version string, names []string) {
	t.Helper()
	index, err := modules.Read(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		order, err := index.Order(name)
		if err != nil {
			t.Error(err)
		}
		var ours []string
		for _, m := range order {
			ours = append(ours, m.Path)
		}
		cmd := exec.CommandContext(t.Context(), "chroot", root, "modprobe", "-S", version, "-C", "/nowhere", "--show-depends", "--", name)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("modprobe %s: %v\n%s", name, err, &stderr)
		}
		rest := ours
		for line := range strings.Lines(string(out)) {
			_, path, ok := strings.Cut(strings.TrimSpace(line), "/"+version+"/")
			if !ok {
				continue // builtin
			}
			i := slices.Index(rest, path)
			if i < 0 {
				if slices.Contains(ours, path) && slices.Index(ours, path) < len(ours)-len(rest) {
					continue // modprobe names some twice
				}
				t.Errorf("%s: modprobe loads %s, which is not in %q, or later", name, path, ours)
				break
			}
			rest = rest[i+1:]
		}
	}
}

// moduleNames returns the names of the modules in a directory by its modules.dep.
func moduleNames(t *testing.T, dir string) (names []string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		file, _, _ := strings.Cut(line, ":")
		names = append(names, strings.TrimSuffix(filepath.Base(file), ".ko"))
	}
	if len(names) < 20 {
		t.Errorf("only %d modules: %q", len(names), names)
	}
	return names
}
