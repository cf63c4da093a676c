package update

import (
	"errors"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
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

// A device tree would be left out.
func TestNoKexecOfDeviceTree(t *testing.T) {
	for _, key := range []string{bootentry.DeviceTree, bootentry.Overlays} {
		e := bootentry.Entry{Linux: "/l", Initrds: []string{"/i"}, Other: []bootentry.KeyValue{{Key: key, Value: "/board.dtb"}}}
		if err := (&Machine{}).loadEntry(e); !errors.Is(err, errDeviceTree) {
			t.Errorf("with %s: %v; want %v", key, err, errDeviceTree)
		}
	}
}
