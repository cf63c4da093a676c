package boot

import (
	"errors"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// An XBOOTLDR partition with ext4, a real one: what is written survives that it
// is unmounted, and one that fills up is left as it was.
func TestRealPartition(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		image := filepath.Join(t.TempDir(), "xbootldr")
		run(t, "truncate", "-s", "4M", image)
		run(t, "mkfs.ext4", "-q", "-m", "0", image)
		loop := strings.TrimSpace(run(t, "losetup", "--find", "--show", image))
		defer run(t, "losetup", "--detach", loop)
		m := fakeMachine(t, strings.Split(xbootldr, ";")...)
		m.mount = func(_, fstype string) (*os.File, error) { return mountPrivately(loop, fstype) }
		with := func(do func(p *Partition)) {
			t.Helper()
			p, err := m.findBoot("/sysroot")
			if err != nil {
				t.Fatal(err)
			}
			do(p)
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
		var name string
		with(func(p *Partition) {
			if p.String() != "/dev/vda3" {
				t.Errorf("the partition is %s", p)
			}
			kernel, _, err := writeKernel(p, "kernel", "initrd")
			if err != nil {
				t.Fatal(err)
			}
			if name, err = p.StageEntry(NewEntry("OS", "1", p.KernelDir(kernel), "composefs="+string(id("a")))); err != nil {
				t.Fatal(err)
			}
		})
		var before []string
		with(func(p *Partition) {
			if err := p.Publish(name); err != nil {
				t.Fatal(err)
			}
			before = names(t, p)
		})
		large := strings.Repeat("x", 8<<20)
		with(func(p *Partition) {
			var full *NoRoomError
			if _, _, err := writeKernel(p, large, "initrd"); !errors.As(err, &full) {
				t.Errorf("WriteKernel: %v; want a NoRoomError", err)
			}
			p.space = func() (free, block int64, err error) { return 1 << 30, 4096, nil }
			for _, parts := range [][2]string{{large, "initrd"}, {"kernel 2", large}} {
				if _, _, err := writeKernel(p, parts[0], parts[1]); !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("WriteKernel: %v; want ENOSPC", err)
				}
				if got := names(t, p); !slices.Equal(got, before) {
					t.Errorf("left behind: %q; want %q", got, before)
				}
			}
			// Full to the last block: an entry has no place either.
			fill, err := p.root.Create("filler")
			if err != nil {
				t.Fatal(err)
			}
			for block := make([]byte, 1024); err == nil; {
				_, err = fill.Write(block)
			}
			fill.Close()
			long := NewEntry("OS", "2", path.Dir(files(t, p)[0].Entry.Kernel()[0]),
				"composefs="+string(id("b"))+" "+strings.Repeat("x", 8192))
			if _, err := p.StageEntry(long); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("StageEntry: %v; want ENOSPC", err)
			}
			if err := p.root.Remove("filler"); err != nil {
				t.Fatal(err)
			}
			if got := names(t, p); !slices.Equal(got, before) {
				t.Errorf("left behind: %q; want %q", got, before)
			}
			if _, err := p.StageEntry(long); err != nil {
				t.Errorf("StageEntry with room: %v", err)
			}
		})
		with(func(p *Partition) {
			all := files(t, p)
			if len(all) != 2 || !all[0].Good() || !all[1].Staged {
				t.Errorf("entries are %+v; want a good one and a staged one", all)
			}
		})
	})
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func files(t *testing.T, p *Partition) []EntryFile {
	t.Helper()
	files, err := p.Entries()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// names returns the names of all files on the partition.
func names(t *testing.T, p *Partition) []string {
	t.Helper()
	return slices.DeleteFunc(tree(t, p.root.Name()), func(name string) bool { return strings.HasPrefix(name, "lost+found") })
}

// A mount that is attached nowhere can be changed like any directory, and is
// gone afterwards.
func TestDetachedPartition(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		m := fakeMachine(t)
		m.mount = func(string, string) (*os.File, error) {
			return sys.Detached("tmpfs", sys.NoSuid|sys.NoDev|sys.NoExec)
		}
		p, err := m.find("/sysroot", typeESP)
		if err != nil {
			t.Fatal(err)
		}
		kernel, _, err := writeKernel(p, "kernel", "initrd")
		if err != nil {
			t.Fatal(err)
		}
		name, err := p.StageEntry(NewEntry("OS", "1", p.KernelDir(kernel), "composefs="+string(id("a"))))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Publish(name); err != nil {
			t.Fatal(err)
		}
		files, err := p.Entries()
		if err != nil || len(files) != 1 || !files[0].Good() {
			t.Errorf("Entries = %v, %v; want one good entry", files, err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A tmpfs without room is a partition without room.
func TestFullPartition(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		m := fakeMachine(t)
		m.mount = func(string, string) (*os.File, error) {
			return sys.Detached("tmpfs", 0, sys.MountString("size", "1M"))
		}
		p, err := m.find("/sysroot", typeESP)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		large := strings.Repeat("x", 2<<20)
		_, _, err = writeKernel(p, large, "initrd")
		var noRoom *NoRoomError
		if !errors.As(err, &noRoom) {
			t.Errorf("WriteKernel: %v; want a NoRoomError", err)
		}
		p.space = func() (free, block int64, err error) { return 1 << 30, 4096, nil } // somebody else writes too
		if _, _, err := writeKernel(p, large, "initrd"); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("WriteKernel: %v; want ENOSPC", err)
		}
		if left := tree(t, p.root.Name()); len(left) != 0 {
			t.Errorf("left behind: %q", left)
		}
	})
}
