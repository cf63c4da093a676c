package standalone

import (
	"io/fs"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
)

// A boot that is not on trial goes on when its time is over, and one without a limit is never
// asked.
func TestWatch(t *testing.T) {
	for _, limit := range []time.Duration{0, time.Minute} {
		asked := 0
		synctest.Test(t, func(t *testing.T) {
			p := &program{hooks: Hooks{
				OpenRoot: func() (*os.Root, error) { return os.OpenRoot(t.TempDir()) },
				Deadline: func(kcmdline.Cmdline) time.Duration { return limit },
				OnTrial:  func(fs.FS, kcmdline.Cmdline) bool { asked++; return false },
			}}
			p.watch()
			time.Sleep(time.Hour)
			synctest.Wait()
		})
		if want := min(1, int(limit)); asked != want {
			t.Errorf("with a limit of %v it was asked %d times whether the boot is on trial; want %d", limit, asked, want)
		}
	}
}
