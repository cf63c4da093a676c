package grub

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// GRUB's own program takes both configurations.
func TestConfig(t *testing.T) {
	check, err := exec.LookPath("grub-script-check")
	if err != nil {
		t.Skip("there is no grub-script-check")
	}
	for name, text := range map[string][]byte{"grub.cfg": config, "stub.cfg": stub} {
		if !strings.HasPrefix(string(text), mark) {
			t.Errorf("%s does not begin with %q", name, mark)
		}
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(check, file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func open(files map[string]string) Open {
	return func(name string) (io.ReadCloser, error) {
		text, ok := files[name]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return io.NopCloser(strings.NewReader(text)), nil
	}
}

// A core image for a BIOS is made of the modules with all that they need; one that is missing
// is named.
func TestFindBIOS(t *testing.T) {
	files := map[string]string{
		BIOSDir + "/moddep.lst": "normal: terminal crypto\ncrypto: verifiers\n",
		BIOSDir + "/modinfo.sh": "grub_target_cpu=i386\ngrub_version=\"2.12\"\n",
	}
	for _, name := range append([]string{"crypto", "verifiers"}, modules...) {
		files[BIOSDir+"/"+name+".mod"] = name
	}
	for _, name := range []string{"boot.img", "diskboot.img", "kernel.img", "lzma_decompress.img"} {
		files[BIOSDir+"/"+name] = name
	}
	l, err := Find(open(files), "amd64")
	if err != nil || l.BIOS != "2.12" || l.EFI() || len(l.Files()) > 0 {
		t.Fatalf("Find = %+v, %v", l, err)
	}
	isNeeded := func(f File) bool { return f.Path == "verifiers.mod" && string(f.Content) == "verifiers" }
	if !slices.ContainsFunc(l.ModuleFiles(), isNeeded) || len(l.ModuleFiles()) != len(modules)+2+5 {
		t.Errorf("%d files; want %d", len(l.ModuleFiles()), len(modules)+7)
	}
	delete(files, BIOSDir+"/verifiers.mod")
	if _, err := Find(open(files), "amd64"); err == nil || !strings.Contains(err.Error(), "verifiers.mod is missing") {
		t.Errorf("without a module: %v", err)
	}
	if _, err := Find(open(nil), "amd64"); !errors.Is(err, ErrNone) {
		t.Errorf("without GRUB: %v; want %v", err, ErrNone)
	}
	if _, err := Find(open(map[string]string{"usr/lib/grub/x86_64-efi/monolithic/grubx64.efi": "MZ"}), "amd64"); err == nil {
		t.Error("what is no GRUB has no error")
	}
}
