package boot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
)

// FuzzKernelFiles reads what the kernel, udev and the firmware say.
func FuzzKernelFiles(f *testing.F) {
	f.Add([]byte("E:ID_FS_TYPE=vfat\nE:ID_PART_ENTRY_TYPE=" + typeESP + "\n"))
	f.Add([]byte{6, 0, 0, 0, 0x70, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		if value := udevProperty(data, "ID_FS_TYPE"); strings.ContainsRune(value, '\n') {
			t.Errorf("property %q", value)
		}
		root := fstest.MapFS{bootcount.VariableFile("LoaderFeatures"): {Data: data}}
		if _, known, err := loaderFeatures(root); err == nil && known != (len(data) == 12) {
			t.Errorf("features of %d bytes: %v", len(data), known)
		}
		leadingNumber(string(data))
	})
}

// FuzzEntryFile reads a file in the directory of entries: of any name, with any content.
func FuzzEntryFile(f *testing.F) {
	f.Add("sysupdate-image-000001-aaaaaaaaaaaa+3.conf", []byte("linux /k\noptions composefs="+string(id("a"))))
	f.Add("x.conf.staged", []byte("uki ..\\..\\x\ndevicetree /"))
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		dir := t.TempDir()
		if filepath.Base(name) != name || name == "." || os.MkdirAll(filepath.Join(dir, entriesDir), 0o755) != nil ||
			os.WriteFile(filepath.Join(dir, entriesDir, name), content, 0o644) != nil {
			return
		}
		p := open(t, dir, nil)
		defer p.Close()
		files, err := p.Entries()
		if err != nil || len(files) != 1 {
			t.Fatalf("Entries = %v, %v; want one", files, err)
		}
		if files[0].Bootable() && len(files[0].Entry.Kernel()) > 0 {
			t.Errorf("entry %q is bootable, and nothing is there that it could boot", content)
		}
		if r, err := p.PlanPrune(nil, ""); err == nil && len(r.Kernels) > 0 {
			t.Errorf("kernels %q are to be pruned, and there are none", r.Kernels)
		}
	})
}
