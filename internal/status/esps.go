package status

import (
	"context"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/esps"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// An ESP is a further EFI system partition, which boots the machine where the first is gone.
type ESP struct {
	PartUUID string     `json:"partuuid"`
	Device   string     `json:"device,omitempty"`
	State    esps.State `json:"state"`
	Why      string     `json:"why,omitempty"` // what is behind Missing and Unknown
}

// readESPs compares further EFI system partitions with the first, by the sizes of the kernels. Of
// those that are not equal, a problem tells too.
func (g *gatherer) readESPs() {
	if g.sys.Sysroot == nil {
		return
	}
	all, err := records.LoadESPs(g.sys.Sysroot)
	if g.problem("record of further EFI system partitions", err); err != nil {
		return
	}
	for _, c := range g.lookAt(all) {
		e := ESP{PartUUID: c.PartUUID, Device: c.Device, State: c.State}
		if c.Err != nil {
			e.Why = c.Err.Error()
		}
		g.status.ESPs = append(g.status.ESPs, e)
		g.problem("EFI system partition PARTUUID="+c.PartUUID, e.problem(c.Err))
	}
}

// lookAt compares partitions with the first. Where that cannot be read, nothing is known of them.
func (g *gatherer) lookAt(all deployment.ESPs) []esps.Copy {
	if g.sys.Boot == nil {
		var unknown []esps.Copy
		for _, partuuid := range all {
			unknown = append(unknown, esps.Copy{PartUUID: partuuid, State: esps.Unknown, Err: g.sys.BootErr})
		}
		return unknown
	}
	return esps.Host().Look(context.Background(), all, esps.First{Entries: g.sys.Boot, Proven: g.m.Proven()}, esps.Sizes)
}

// problem says why the partition may not boot the machine, nil if it does.
func (e ESP) problem(err error) error {
	switch e.State {
	case esps.Missing:
		return fmt.Errorf("missing: %v", err) // not fs.ErrNotExist, which is no problem elsewhere
	case esps.Behind:
		return fmt.Errorf("%s is not equal to the first", e.Device)
	case esps.Unknown:
		return err
	}
	return nil
}

// text says of a partition whether it is equal.
func (e ESP) text() string {
	name := "PARTUUID=" + e.PartUUID
	if e.Device != "" {
		name = e.Device + " (" + name + ")"
	}
	return name + " is " + string(e.State)
}
