package boot

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// TestHadEntry: the record tells an entry that somebody removed from those that were pruned
// or given up for room, for as long as the deployment stays.
func TestHadEntry(t *testing.T) {
	const a, b = "sysupdate-image-000001-a00000000000", "sysupdate-image-000002-b00000000000"
	remove := func(dir string) error { return os.Remove(filepath.Join(dir, entriesDir, a+".conf")) }
	for name, tt := range map[string]struct {
		record string
		do     func(p *Partition, dir string) error
		want   bool
	}{
		"there":    {a + " " + b, func(*Partition, string) error { return nil }, true},
		"removed":  {a + " " + b, func(_ *Partition, dir string) error { return remove(dir) }, true},
		"unknown":  {"none", func(_ *Partition, dir string) error { return remove(dir) }, true},
		"nobody's": {b, func(_ *Partition, dir string) error { return remove(dir) }, false},
		"removed, and it stays": {a + " " + b, func(p *Partition, dir string) error {
			if err := remove(dir); err != nil {
				return err
			}
			return prune(p, "", "a", "b")
		}, true},
		"removed, and it goes": {a + " " + b, func(p *Partition, dir string) error {
			if err := remove(dir); err != nil {
				return err
			}
			return prune(p, "", "b")
		}, false},
		"pruned":   {a + " " + b, func(p *Partition, _ string) error { return prune(p, "", "b") }, false},
		"no room":  {a + " " + b, func(p *Partition, _ string) error { return p.pruneFor(kernel{}, []deployment.ID{id("a")}) }, false},
		"not that": {a + " " + b, func(p *Partition, _ string) error { return p.pruneFor(kernel{}, []deployment.ID{id("b")}) }, true},
	} {
		dir := machineWith(t, a+".conf=a", b+".conf=b")
		p, _ := sharer(t, dir, tt.record, "ab")
		if err := tt.do(p, dir); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if had, err := p.HadEntry(id("a")); had != tt.want || err != nil {
			t.Errorf("%s: HadEntry = %v, %v; want %v", name, had, err, tt.want)
		}
	}
}
