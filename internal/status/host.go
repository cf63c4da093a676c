package status

import (
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/format/uki"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// An Overlay is an overlay over /usr, in bootc's words.
type Overlay struct {
	AccessMode  string `json:"accessMode"`  // readOnly or readWrite
	Persistence string `json:"persistence"` // transient: it is gone after a reboot
}

// readMounts fills in what the mount table of the running system tells.
func (g *gatherer) readMounts() {
	sysroot, _ := mountplan.At(g.m.Mounts, deployment.SysrootDir)
	g.status.ReadOnly = slices.Contains(sysroot.SuperOptions, "ro")
	switch machine.UsrLayerOf(g.m.Mounts) {
	case machine.UsrWritable:
		g.status.UsrOverlay = &Overlay{AccessMode: "readWrite", Persistence: "transient"}
		g.status.Notes = append(g.status.Notes, "/usr is writable until the next boot (usr-overlay)")
	case machine.UsrReadOnly:
		g.status.UsrOverlay = &Overlay{AccessMode: "readOnly", Persistence: "transient"}
		g.status.Notes = append(g.status.Notes, "a read-only overlay is on /usr until the next boot (usr-overlay)")
	}
}

// isOptional reports whether a boot entry's system boots without fs-verity. Where it has a
// unified kernel image, that one's command line tells.
func (g *gatherer) isOptional(f boot.EntryFile) bool {
	name := f.Entry.UnifiedImage()
	if name == "" || f.Err != nil || f.Entry.Options != "" {
		return f.Target.VerityOptional
	}
	file, err := g.sys.Boot.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	image, err := uki.Read(file)
	if err != nil {
		return false
	}
	targets, err := deployment.Candidates(kcmdline.Parse(image.Cmdline))
	i := slices.IndexFunc(targets, func(t deployment.Target) bool { return t.ID == f.Target.ID })
	return err == nil && i >= 0 && targets[i].VerityOptional
}
