package update

import (
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// What is staged but locked gets no /etc at shutdown, so its kernel is not started by kexec.
func TestNoKexecOfLocked(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		b := newSoftBench(t)
		m := b.openRunning(b.dir, running("quiet"))
		defer m.Close()
		if err := b.applyError(m, "same"); !notArmed(err) {
			t.Fatal(err)
		}
		record, err := m.staged()
		b.must(err)
		record.FinalizationLocked = true
		b.must(m.writeRecord(*record))
		err = m.Reboot(t.Context(), Result{Decision: Decision{ID: record.ID}, kexec: IfPossibleOrFail})
		if err == nil || err.Error() != "cannot load the new kernel: it is staged but locked: no reboot boots it" {
			t.Errorf("Reboot error = %v", err)
		}
	})
}
