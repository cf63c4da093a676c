package vm

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLoadEntry has a disk with two entries, one that is only staged, and one that no
// boot counting would try again.
func TestEntry(t *testing.T) {
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk")
	const esp = "@@1M"
	shell(t, dir, `
truncate -s 40M disk
printf 'label: gpt\nstart=2048, size=70000, type=`+typeESP+`\ntype=`+typeRoot+`\n' | sfdisk --quiet disk
mformat -i disk`+esp+` -T 70000 -h 2 -s 63 ::
mmd -i disk`+esp+` ::/loader ::/loader/entries ::/k
entry() {
  printf 'title T\nsort-key test\nversion %s\nlinux /k/vmlinuz\ninitrd /k/%s\noptions console=ttyS0 composefs=%s\n' \
    "$2" "$2" "$2" | mcopy -i disk`+esp+` - "::/loader/entries/$1"
}
entry a.conf 1
entry b+3.conf 2
entry c.conf.staged 3
entry d+0-3.conf 4
echo two | mcopy -i disk`+esp+` - ::/k/2`)
	initrd, options, err := Entry(t.Context(), Config{Dir: dir, Disks: []Disk{{Path: disk}}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"console=ttyS0", "composefs=2", "root=/dev/ubda2"}; !slices.Equal(options, want) || initrd != filepath.Join(dir, "initrd") {
		t.Errorf("Entry() = %s, %q; want %q", initrd, options, want)
	}
	if offset, err := RootOffset(t.Context(), disk); err != nil || offset <= 1<<20 {
		t.Errorf("RootOffset() = %d, %v", offset, err)
	}
	if out := shell(t, dir, "cat initrd"); out != "two\n" {
		t.Errorf("the initramfs is %q", out)
	}
}

func shell(t *testing.T, dir, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func TestUMLArguments(t *testing.T) {
	cfg := Config{Kind: UML, Dir: "/d", MemoryMiB: 512, Initrd: "/i", Cmdline: "console=ttyS0 root=/dev/ubda"}
	cfg.Disks = []Disk{
		{Path: "/r", Serial: "root", Forget: true},
		{Path: "/s", Serial: "registry", ReadOnly: true},
		{Path: "/o", Serial: "other"},
	}
	args, err := umlArguments(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"mem=512M", "ubd0=/d/disk0.cow,/r", "test_disk.ubda=root",
		"ubd1rc=/s", "test_disk.ubdb=registry", "ubd2=/o", "test_disk.ubdc=other",
		"initrd=/i", "console=ttyS0", "root=/dev/ubda",
	} {
		if !slices.Contains(args, want) {
			t.Errorf("arguments have no %q: %s", want, strings.Join(args, " "))
		}
	}
	cfg.Disks[0].Format = "qcow2"
	if _, err := umlArguments(t.Context(), cfg); err == nil {
		t.Error("a qcow2 disk was accepted")
	}
}

// TestMeasure has a process group with one program that runs and one that waits.
func TestMeasure(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sleep 60 & sh -c 'while :; do :; done'")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}()
	name := filepath.Join(t.TempDir(), "console")
	if err := os.WriteFile(name, []byte("line\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	m := &Machine{pid: cmd.Process.Pid, console: openConsole(name)}
	for range 200 {
		console, used, err := m.measure()
		if err != nil || console != 5 {
			t.Fatalf("measure() = %d, %v, %v; want 5 bytes", console, used, err)
		}
		if used > 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Error("a program that runs has used no processor time in 20 s")
}
