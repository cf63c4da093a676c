package update

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/image/rootconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// A soft reboot restarts user space and keeps the kernel. It can continue with a new
// deployment if that would have booted the same: see kept. Apply only asks for it. finalize
// prepares the root at shutdown, when /etc is carried over; a reboot boots the deployment too.

// A Wish says whether a machine is to boot the new deployment in another way than by its
// firmware.
type Wish string

// The wishes. Their words are bootc's.
const (
	NotWanted        Wish = ""
	IfPossible       Wish = "auto"     // and else by the firmware
	IfPossibleOrFail Wish = "required" // and else nothing is staged
)

// ParseWish returns the wish called s.
func ParseWish(s string) (Wish, error) {
	switch w := Wish(s); w {
	case IfPossible, IfPossibleOrFail:
		return w, nil
	}
	return "", fmt.Errorf("%q is not one of auto and required", s)
}

// A Possibility says whether the image can be booted in the way that was wished for.
type Possibility struct {
	Possible bool   `json:"possible"`
	Why      string `json:"why,omitempty"` // it is not possible, or not known
}

// A SoftRebootError reports that an image was not deployed since no soft reboot can
// continue with it.
type SoftRebootError struct{ Why string }

func (e *SoftRebootError) Error() string {
	return "no soft reboot can continue with this image: " + e.Why
}

// notYet is why it is not known whether a soft reboot can continue with an image.
const notYet = "this can only be checked after all layers are downloaded"

// checkSoftReboot finds out whether a soft reboot can continue with a system that is about to
// be staged, and has this kernel command line. That it cannot is an error if it must.
func (m *Machine) checkSoftReboot(ctx context.Context, s *system.System, options string, o Options) (*Possibility, error) {
	why, err := m.whyNoSoftReboot(ctx, s, options)
	if err != nil {
		return nil, fmt.Errorf("cannot tell whether a soft reboot is possible: %w", err)
	}
	if why != "" {
		return impossible(why, o)
	}
	return &Possibility{Possible: true}, nil
}

// impossible returns a Possibility that is none, for a reason, or an error if it must be one.
func impossible(why string, o Options) (*Possibility, error) {
	if o.SoftReboot == IfPossibleOrFail {
		return nil, &SoftRebootError{why}
	}
	return &Possibility{Why: why}, nil
}

// softRebootOf is checkSoftReboot for an image that is not being built. It returns the
// image's system, if that was looked at.
func (m *Machine) softRebootOf(
	ctx context.Context, img *oci.Image, o Options, s machine.State, d Decision,
) (*Possibility, *system.System, error) {
	if why := notStaged(s, d); why != "" {
		result, err := impossible(why, o)
		return result, nil, err
	}
	if len(missing(img, m.Repository)) > 0 {
		return &Possibility{Why: notYet}, nil, nil
	}
	sys, err := system.Compose(ctx, img, m.Repository, false)
	if err != nil {
		return nil, nil, err
	}
	if err := sys.Transform(ctx); err != nil {
		return nil, nil, err
	}
	options, err := m.options(sys, o, img.Config.Architecture, deployment.Target{ID: s.Booted})
	if err != nil {
		return nil, nil, err
	}
	result, err := m.checkSoftReboot(ctx, sys, options, o)
	return result, sys, err
}

// notStaged says why finalize will do nothing for an image that boots next, "" if it will.
func notStaged(s machine.State, d Decision) string {
	switch {
	case d.Outcome != AlreadyNext:
		return ""
	case s.Staged == nil:
		return "a rollback to it is queued, which needs a reboot"
	case s.Staged.FinalizationLocked:
		return "it is locked"
	}
	return ""
}

// softRebootStaged asks for a soft reboot into what is staged already, or says why that is
// not possible.
func (m *Machine) softRebootStaged(ctx context.Context, img *oci.Image, o Options, s machine.State) (*Possibility, error) {
	if err := img.ReadConfig(ctx); err != nil {
		return nil, err
	}
	result, sys, err := m.softRebootOf(ctx, img, o, s, Decision{Outcome: AlreadyNext})
	if err == nil && !result.Possible && o.SoftReboot == IfPossibleOrFail {
		err = &SoftRebootError{result.Why}
	}
	if err != nil || !result.Possible {
		return result, err
	}
	i := slices.IndexFunc(s.Files, func(f boot.EntryFile) bool { return serves(f, *s.Staged) })
	target := deployment.Target{ID: s.Staged.ID}
	if i >= 0 {
		target = s.Files[i].Target
	}
	if sys.SealedFor != nil {
		target = *sys.SealedFor
	}
	return result, m.requestSoftReboot(target, sys.Mounts)
}

// requestSoftReboot asks finalize to have a soft reboot continue with what is staged. How
// its root is mounted is up to its initramfs, which is that of the running system.
func (m *Machine) requestSoftReboot(t deployment.Target, mounts rootconfig.Config) error {
	err := records.StoreSoftReboot(durable.OS(m.Host), deployment.SoftReboot{Target: t, Config: mounts.String()})
	if err != nil {
		return fmt.Errorf("staged, but the soft reboot could not be prepared: %w", err)
	}
	return nil
}

// whyNoSoftReboot says what keeps a soft reboot from continuing with a system, "" for
// nothing.
func (m *Machine) whyNoSoftReboot(ctx context.Context, s *system.System, options string) (string, error) {
	if why, err := m.cannotSoftReboot(); why != "" || err != nil {
		return why, err
	}
	now, err := m.keptNow()
	if err != nil {
		return "", err
	}
	next, err := m.keptOf(ctx, s, options)
	if err != nil {
		return "", err
	}
	return now.whyNot(next), nil
}

// cannotSoftReboot says why the running system cannot soft-reboot into another root.
func (m *Machine) cannotSoftReboot() (string, error) {
	for _, need := range []struct{ file, why string }{
		{"usr/lib/systemd/system/soft-reboot.target", "the running system's systemd is older than 254"},
		{rootconfig.Program, "the running system lacks /" + rootconfig.Program},
	} {
		_, err := fs.Stat(m.Running, need.file)
		if found, err := bounded.Found(err); !found || err != nil {
			return need.why, err
		}
	}
	text, err := bounded.ReadFile(m.Running, "proc/cmdline", limits.Kernel)
	if err != nil {
		return "", err
	}
	cmdline := kcmdline.Parse(string(text))
	if why := m.inPlaceOfAnother(cmdline); why != "" {
		return why, nil
	}
	// An initramfs does what it says.
	if v, _ := cmdline.Last("systemd.volatile"); v != "" && v != "no" && v != "state" {
		return "systemd.volatile=" + v + " is on the kernel command line", nil
	}
	s, err := m.readState()
	if err == nil && s.Overdue != nil && strings.Contains(s.Overdue.Error, "soft reboot") {
		return s.Overdue.Error, nil
	}
	return "", err
}

// inPlaceOfAnother says that the initramfs has booted the running deployment in place of the
// one that the kernel command line names, whose kernel, initramfs and arguments it runs with;
// "" if it has not. A soft reboot may have continued with it as well.
func (m *Machine) inPlaceOfAnother(cmdline kcmdline.Cmdline) string {
	named, err := deployment.FromCmdline(cmdline)
	if err != nil || named.ID == m.Booted {
		return ""
	}
	a, err := records.LoadAttempts(m.Sysroot, named.ID)
	if err != nil || !a.Spent() || a.Fallback != m.Booted {
		return ""
	}
	return "the running system was booted in place of deployment " + named.ID.Short() + ", by its kernel and initramfs"
}
