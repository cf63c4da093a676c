package update

import (
	"context"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/image/packages"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// Changes are what the new deployment has otherwise than the one that it follows.
type Changes struct {
	Packages        []packages.ManagerDiff `json:"packages"`
	Etc             EtcPlan                `json:"etc"`
	KernelArguments ArgumentChange         `json:"kernelArguments"`
	Kernel          KernelChange           `json:"kernel"`
	Notes           []string               `json:"notes,omitempty"` // what could not be compared, and why
}

// An EtcPlan is what becomes of /etc, but for the conflicts. Paths begin with /etc.
type EtcPlan struct {
	Image []deployment.EtcChange `json:"image"` // what the new image has otherwise than the one before
	Local []deployment.EtcChange `json:"local"` // local changes, which are kept
	// Shadowed are files that both have changed: the local version stays.
	Shadowed []string `json:"shadowed,omitempty"`
}

// An ArgumentChange is how a kernel command line changes, without composefs=.
type ArgumentChange struct {
	Added   []string `json:"added"`
	Removed []string `json:"removed"`
}

// A KernelChange is how the kernel changes.
type KernelChange struct {
	Old              string `json:"old,omitempty"` // its version
	New              string `json:"new,omitempty"`
	KernelChanged    bool   `json:"kernelChanged"`
	InitramfsChanged bool   `json:"initramfsChanged"`
}

// planChanges adds what changes, and the conflicts in /etc.
func (m *Machine) planChanges(ctx context.Context, p *Plan, v *preview) error {
	if p.idle() || p.Outcome == AlreadyBooted || p.Outcome == RollbackQueued {
		p.EtcChecked = true
		return nil
	}
	if v == nil {
		from, err := m.etcSide()
		p.EtcChecked = err == nil && !from.HasLocal()
		return err
	}
	p.EtcChecked = true
	c := &Changes{Packages: []packages.ManagerDiff{}, Kernel: v.kernels()}
	if err := m.planEtc(ctx, p, c, v); err != nil {
		return err
	}
	if err := m.planArguments(c, v); err != nil {
		return err
	}
	if v.old != nil {
		names := [2]string{"the current image", "the new one"}
		compared := packages.Compare(system.Of(v.old, m.Repository).FS(), v.FS(), names)
		c.Packages, c.Notes = append(c.Packages, compared.Diffs...), compared.Notes
	}
	p.Changes = c
	return nil
}

// planEtc adds what becomes of /etc.
func (m *Machine) planEtc(ctx context.Context, p *Plan, c *Changes, v *preview) error {
	c.Etc = EtcPlan{Image: []deployment.EtcChange{}, Local: []deployment.EtcChange{}}
	if v.id == m.Booted {
		return nil
	}
	if v.old != nil {
		changes, err := etcChanges(v.old.Entry("etc"), v.Tree.Entry("etc"))
		if err != nil {
			return err
		}
		c.Etc.Image = append(c.Etc.Image, changes...)
	}
	report, err := m.etcPreview(ctx, v.System)
	if err != nil {
		return fmt.Errorf("cannot check for conflicts in /etc: %w", err)
	}
	c.Etc.Local, c.Etc.Shadowed = append(c.Etc.Local, report.Changes...), report.Defaults
	p.EtcConflicts = report.Conflicts
	return nil
}

// etcChanges returns how the /etc of one image becomes that of another, apart from times.
func etcChanges(old, now *tree.Node) (all []deployment.EtcChange, err error) {
	found, err := diff.Trees(old, now, diff.Options{Ignore: diff.Mtime | diff.Links})
	for _, d := range found.Changes {
		change := deployment.EtcChange{Path: "/etc" + d.Path, Kind: d.Kind}
		if d.Path == "/" {
			change.Path = "/etc"
		}
		for _, what := range d.What {
			change.What = append(change.What, what.Aspect)
		}
		all = append(all, change)
	}
	return all, err
}

// planArguments adds how the kernel arguments change.
func (m *Machine) planArguments(c *Changes, v *preview) error {
	c.KernelArguments = ArgumentChange{Added: []string{}, Removed: []string{}}
	before, err := m.argumentsOf(v.from)
	if err != nil {
		return err
	}
	old, now := unnamedArgs(before), unnamedArgs(v.options)
	if u := v.Kernel.UKI; u != nil {
		now = unnamedArgs(u.Cmdline)
	}
	c.KernelArguments.Removed = append(c.KernelArguments.Removed, onlyIn(old, now)...)
	c.KernelArguments.Added = append(c.KernelArguments.Added, onlyIn(now, old)...)
	return nil
}

// argumentsOf returns the kernel arguments that a deployment boots with, "" for none.
func (m *Machine) argumentsOf(id deployment.ID) (string, error) {
	if id == "" || m.Boot == nil {
		return "", nil
	}
	files, err := m.Boot.Entries()
	if err != nil {
		return "", err
	}
	for _, f := range files {
		if f.Target.ID == id && f.Bootable() {
			cmdline, err := m.Boot.Cmdline(f.Entry)
			return boot.WithoutTrial(cmdline), err
		}
	}
	if id == m.Booted {
		return m.runningOptions()
	}
	return "", nil
}

// onlyIn returns the arguments of a that b does not have.
func onlyIn(a, b kcmdline.Cmdline) (only []string) {
	have := make(map[kcmdline.Arg]bool)
	for _, arg := range b {
		have[arg] = true
	}
	for _, arg := range a {
		if !have[arg] {
			only = append(only, arg.String())
		}
	}
	return only
}

// Title returns what people call the deployment.
func (n Named) Title() string {
	if n.Name == "" {
		return n.Version
	}
	return bootentry.Title(n.Name, n.Version)
}
