package repo_test

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// TestReserve writes objects of each size until there is no room, several at
// once as layers do: the reserve is left, and the error names it.
func TestReserve(t *testing.T) {
	tests := map[string]struct {
		options string
		size    int
	}{
		"large objects": {"size=64m", 8 << 20},
		"small objects": {"size=8m", 5 << 10},
		"inodes":        {"size=64m,nr_inodes=2000", 100},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ns.Run(t, func(t *testing.T) { testReserve(t, tt.options, tt.size) })
		})
	}
}

func testReserve(t *testing.T, options string, size int) {
	dir := ns.Dir(t)
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v\n%s", err, out)
	}
	repo, err := repo.Init(filepath.Join(dir, "composefs"), repo.Options{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	var writers sync.WaitGroup
	for n := range uint64(4) {
		writers.Go(func() {
			err := fillWithObjects(repo, n<<32, size)
			if exceeded := (*limits.Error)(nil); !errors.As(err, &exceeded) || exceeded.Limit != limits.Reserve || !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("error %v; want the reserve's, which is like ENOSPC", err)
			}
		})
	}
	writers.Wait()
	root, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	usage, err := sys.UsageOf(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", usage)
	if usage.Free*100 < usage.Size*limits.Reserve.Value || usage.FreeInodes*100 < usage.Inodes*limits.Reserve.Value {
		t.Errorf("left is %+v; want %v of each", usage, limits.Reserve)
	}
	if usage.Free*2 > usage.Size && usage.FreeInodes*2 > usage.Inodes {
		t.Errorf("left is %+v; want the file system used", usage)
	}
}

// fillWithObjects writes objects, each another, until that fails.
func fillWithObjects(repo *repo.Repository, n uint64, size int) error {
	for content := make([]byte, size); ; n++ {
		binary.LittleEndian.PutUint64(content, n)
		if _, err := repo.PutObject(content); err != nil {
			return err
		}
	}
}
