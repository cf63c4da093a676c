package finalize

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// Finalize takes these steps, apart from those by which etc/carry writes /etc
// before them. The rename of the entry is the commit.
func TestFinalizeTrace(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		r := makeRig(t, deployment.EtcOverlay, "")
		trace := durabletest.Trace(nil)
		r.wrap = func(fsys durable.FS) durable.FS { return trace.Also("", fsys) }
		r.must(Finalize(r.Machine, reboot))
		const want = `create sysupdate-image/.new/BOOT-NEW
write sysupdate-image/.new/BOOT-NEW
sync sysupdate-image/.new/BOOT-NEW
rename sysupdate-image/.new/BOOT-NEW loader/entries/NEW
sync loader/entries/NEW
sync loader/entries
remove loader/entries/NEW.staged
sync loader/entries
create sysupdate-image/.new/BOOT-.reserve
write sysupdate-image/.new/BOOT-.reserve
sync sysupdate-image/.new/BOOT-.reserve
rename sysupdate-image/.new/BOOT-.reserve sysupdate-image/.reserve
sync sysupdate-image/.reserve
sync sysupdate-image
sync state/sysupdate-image
remove state/sysupdate-image/staged.json
sync state/sysupdate-image
`
		got := strings.ReplaceAll(trace.String(), r.entry, "NEW")
		if got = regexp.MustCompile("/[0-9a-f]{8}-").ReplaceAllString(got, "/BOOT-"); got != want {
			t.Errorf("steps:\n%s\nwant:\n%s", got, want)
		}
	})
}

// Finalize that is stopped after any step has published the deployment or not,
// and gets through the next time.
func TestFinalizeStopped(t *testing.T) {
	const published = 6 // steps, see TestFinalizeTrace
	ns.Run(t, func(t *testing.T) {
		for n := 0; ; n++ {
			r := makeRig(t, deployment.EtcOverlay, "")
			r.wrap = durabletest.Crash(n)
			err := Finalize(r.Machine, reboot)
			if err != nil && strings.Contains(err.Error(), "boots next, but cleaning up after the update failed: ") != (n >= published) {
				t.Errorf("after %d steps: %v; want that it is in effect: %v", n, err, n >= published)
			}
			p, bootErr := boot.OpenDir(r.disk + "/boot")
			r.must(bootErr)
			files, bootErr := p.Entries()
			r.must(bootErr)
			r.must(p.Close())
			if next, ok := boot.Next(files); ok && next.Target.ID != r.staged || err == nil && !ok {
				t.Errorf("after %d steps %+v is next (%v)", n, next, err)
			}
			if _, errRecord := os.Lstat(filepath.Join(r.disk, deployment.StagedRecord)); errRecord != nil {
				if _, ok := boot.Next(files); !ok {
					t.Errorf("after %d steps the record is gone, and nothing is published", n)
				}
			}
			r.wrap = nil
			r.must(Finalize(r.Machine, reboot))
			r.checkPublished()
			if err == nil {
				return
			}
		}
	})
}
