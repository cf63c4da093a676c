package prepareroot

import (
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
)

func TestAwaitVar(t *testing.T) {
	in := Input{Sysroot: t.TempDir(), Cmdline: kcmdline.Parse("rootwait=0")}
	if err := in.awaitVar(); err != nil {
		t.Errorf("awaitVar without a partition = %v", err)
	}
	in.Var = &deployment.VarPartition{PartUUID: "01234567-89ab-4cde-8f01-23456789abcd", FileSystem: "ext4", Dir: "default"}
	const want = "cannot find the partition of /var, which state/os/var-partition.json on the physical root names: " +
		"no partition has PARTUUID=01234567-89ab-4cde-8f01-23456789abcd"
	if err := in.awaitVar(); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("awaitVar = %v; want %s", err, want)
	}
	for cmdline, want := range map[string]time.Duration{"": varTime, "rootwait": varTime, "rootwait=7": 7 * time.Second, "rootwait=x": varTime} {
		if got := waitTime(kcmdline.Parse(cmdline)); got != want {
			t.Errorf("waitTime(%q) = %s; want %s", cmdline, got, want)
		}
	}
}
