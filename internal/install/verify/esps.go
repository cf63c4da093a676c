package verify

import (
	"context"
	"errors"

	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/esps"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// furtherESPs compares further EFI system partitions, if there are any, with the first, byte for
// byte. What is wrong with one does not keep the disk from booting.
func (r *Report) furtherESPs(ctx context.Context, system *machine.System, state machine.State) {
	const what = "further EFI system partition"
	all, err := records.IfAny(records.LoadESPs(system.Sysroot))
	if err != nil {
		r.warn(what, err)
	}
	if all == nil || system.Boot == nil {
		return
	}
	first := esps.First{Entries: system.Boot, Proven: state.Proven()}
	for _, c := range esps.Host().Look(ctx, *all, first, esps.Contents) {
		switch {
		case c.Err != nil:
			r.warn(what, c.Err)
		case c.State == esps.Equal:
			r.add(what, c.Device, nil)
		default:
			r.warn(what, errors.New(c.Device+" is not equal to the first"))
		}
	}
}
