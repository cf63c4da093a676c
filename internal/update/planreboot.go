package update

import (
	"context"

	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// A RebootPlan is what has to be restarted so that the image runs.
type RebootPlan struct {
	Needed RebootNeed `json:"needed"`
	Why    string     `json:"why,omitempty"` // a soft reboot does not do
}

// A RebootNeed is the least that has to be restarted.
type RebootNeed string

// The needs. A machine that is not running needs nothing.
const (
	RebootNothing RebootNeed = "nothing"
	RebootSoft    RebootNeed = "soft-reboot"
	RebootFull    RebootNeed = "reboot"
)

// planReboot adds what has to be restarted, and whether a soft reboot is possible where one
// was asked for.
func (m *Machine) planReboot(ctx context.Context, p *Plan, img *oci.Image, o Options, s machine.State, v *preview) error {
	if !p.Outcome.Boots() || m.Booted == "" {
		p.Reboot = &RebootPlan{Needed: RebootNothing}
		return nil
	}
	soft, err := m.planSoftReboot(ctx, p, img, o, s, v)
	if err != nil {
		return err
	}
	if o.SoftReboot != NotWanted {
		p.SoftReboot = soft
	}
	switch {
	case soft.Possible:
		p.Reboot = &RebootPlan{Needed: RebootSoft}
	case soft.Why != notYet:
		p.Reboot = &RebootPlan{Needed: RebootFull, Why: soft.Why}
	}
	return nil
}

// planSoftReboot tells whether a soft reboot can continue with the image.
func (m *Machine) planSoftReboot(
	ctx context.Context, p *Plan, img *oci.Image, o Options, s machine.State, v *preview,
) (*Possibility, error) {
	if v == nil {
		soft, _, err := m.softRebootOf(ctx, img, o, s, p.Decision)
		return soft, err
	}
	if o.SoftReboot != IfPossibleOrFail && m.differsBy(v) {
		return &Possibility{Why: otherKernelWhy}, nil // which saves reading both
	}
	return m.checkSoftReboot(ctx, v.System, v.options, o)
}

// differsBy reports whether the running system is known to have another kernel or initramfs.
func (m *Machine) differsBy(v *preview) bool {
	k := v.kernels()
	why, err := m.cannotSoftReboot()
	return err == nil && why == "" && v.old != nil && v.from == m.Booted && (k.KernelChanged || k.InitramfsChanged)
}
