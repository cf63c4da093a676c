package carry

import (
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
)

func TestMounted(t *testing.T) {
	for line, want := range map[string]deployment.EtcMode{
		"":                                       deployment.EtcNone,
		"2 1 0:1 / /etc rw - overlay overlay rw": deployment.EtcOverlay,
		"2 1 0:1 / /etc rw - overlay transient rw":             deployment.EtcTransient,
		"2 1 0:1 / /etc rw - tmpfs tmpfs rw":                   deployment.EtcTransient,
		"2 1 8:2 /state/deploy/x/etc /etc rw - ext4 /dev/x rw": deployment.EtcBind,
		// What is mounted later at the same place is not where changes are kept.
		"2 1 8:2 /state/deploy/x/etc /etc rw - ext4 /dev/x rw\n3 2 0:7 / /etc ro - overlay confext ro": deployment.EtcBind,
		"2 1 0:1 / /etc rw - overlay transient rw\n3 2 0:7 / /etc ro - overlay confext ro":             deployment.EtcTransient,
		"2 1 0:1 / /etc rw - overlay overlay rw\n3 2 0:7 / /etc rw - tmpfs tmpfs rw":                   deployment.EtcOverlay,
		"3 1 0:7 / /etc ro - overlay confext ro":                                                       deployment.EtcNone,
	} {
		mounts, err := mountplan.ParseMountinfo(line)
		if got := Mounted(mounts); got != want || err != nil {
			t.Errorf("Mounted(%q) = %q, %v; want %q", line, got, err, want)
		}
	}
}
