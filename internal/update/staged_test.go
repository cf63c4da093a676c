package update

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/etcmerge"
	"github.com/sysupdate-image/sysupdate-image/internal/nstest"
)

// runAsTwo makes m a machine that runs the image 2.
func (b *bench) runAsTwo(m *Machine) {
	m.RunAs(deployment.ID(b.idIn(m, "2")), os.DirFS("/nowhere"))
	m.etc = deployment.EtcOverlay
}

// stage stages an image on a machine that runs the image 2, and where no systemd
// is asked.
func (b *bench) stage(dir, tag string) {
	b.t.Helper()
	m := b.open(dir, nil)
	b.runAsTwo(m)
	if err := b.applyError(m, tag); !notArmed(err) {
		b.t.Fatalf("apply of %s: %v; want it staged, but not armed", tag, err)
	}
	b.must(m.Close())
}

// notArmed says whether err is that systemd could not be asked to start finalize.
func notArmed(err error) bool {
	return err != nil && strings.Contains(err.Error(), "deployment is staged, but")
}

// What is staged on a machine that does not run is nothing to the one that does.
func TestOthersRecord(t *testing.T) {
	nstest.Run(t, func(t *testing.T) { // stage writes to /run
		b := newBench(t)
		dir := b.copy()
		b.stage(dir, "3")
		b.must(os.Remove("/" + deployment.RunStaged))
		m := b.open(dir, nil)
		b.must(m.setEtcPolicy(etcmerge.New))
		record, err := m.staged()
		if err != nil || record == nil || record.EtcConflicts != string(etcmerge.New) {
			t.Errorf("the record is %+v, %v; want one with the policy", record, err)
		}
		if _, err := os.Lstat("/" + deployment.RunStaged); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the running machine has a staged record: %v", err)
		}
		b.must(m.Close())
	})
}
