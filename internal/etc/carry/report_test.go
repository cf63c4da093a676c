package carry

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
)

var someID = deployment.ID(strings.Repeat("0a", 64))

func reportAt(time string) deployment.EtcReport {
	return deployment.EtcReport{To: deployment.EtcSide{ID: someID}, Time: time}
}

func tempRoot(t *testing.T) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func TestWriteReportSteps(t *testing.T) {
	root := tempRoot(t)
	trace := durabletest.Trace(durable.OS(root))
	if err := writeReport(trace, reportAt("now")); err != nil {
		t.Fatal(err)
	}
	const want = `mkdir state
sync .
mkdir state/deploy
sync state
mkdir state/deploy/ID
sync state/deploy
create state/deploy/ID/etc-report.json.tmp
write state/deploy/ID/etc-report.json.tmp
rename state/deploy/ID/etc-report.json.tmp state/deploy/ID/etc-report.json
`
	if got := strings.ReplaceAll(trace.String(), string(someID), "ID"); got != want {
		t.Errorf("steps:\n%swant:\n%s", got, want)
	}
}

func TestWriteReportStopped(t *testing.T) {
	for n := 0; ; n++ {
		root := tempRoot(t)
		if n%2 == 0 {
			if err := writeReport(durable.OS(root), reportAt("old")); err != nil {
				t.Fatal(err)
			}
		}
		stopped := writeReport(durabletest.CrashAfter(durable.OS(root), n), reportAt("new"))
		for _, again := range []bool{false, true} {
			if again {
				if err := writeReport(durable.OS(root), reportAt("new")); err != nil {
					t.Errorf("after %d steps: cannot try again: %v", n, err)
				}
			}
			data, err := root.ReadFile(someID.EtcReportFile())
			if errors.Is(err, fs.ErrNotExist) && n%2 == 1 && !again {
				continue
			}
			if r, err := deployment.ParseEtcReport(data); err != nil || r.Time != "new" && (again || r.Time != "old") {
				t.Errorf("after %d steps, again=%v: %+v, %v", n, again, r, err)
			}
		}
		if stopped == nil {
			return
		}
	}
}
