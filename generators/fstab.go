package generators

import (
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/format/unitfile"
)

const (
	fstabFile      = "etc/fstab"
	remountService = "systemd-remount-fs.service"
	growService    = "systemd-growfs-root.service"
	devNull        = "/dev/null"
)

// kernelMounts are what systemd mounts before it reads fstab(5). A line for one of
// them is applied by systemd-remount-fs.service(8) and by nothing else.
var kernelMounts = []string{
	"/proc", "/sys", "/dev", "/dev/shm", "/dev/pts", "/run", "/sys/kernel/security",
	"/sys/fs/cgroup", "/sys/fs/pstore", "/sys/fs/bpf", "/sys/firmware/efi/efivars",
}

// fstabUnits keeps lines of fstab(5) from failing at each boot that are about what
// prepare-root has mounted. An installer writes one for the root, and a machine
// that was taken over has some from before. No file system of theirs is at these
// places: nothing is to be checked, remounted or grown there, nor waited for.
func fstabUnits(in Input, _ deployment.ID) ([]unitfile.Unit, error) {
	lines, err := in.fstab() // nil if it cannot be read: systemd may all the same
	units := []unitfile.Unit{masked(growService), in.remount(lines)}
	for _, where := range []string{"/", "/etc", "/usr", "/var"} {
		if hasLine(lines, where) && !in.hasMountUnit(where) {
			units = append(units, in.instead(where)...)
		}
	}
	return units, err
}

func hasLine(fstab mountplan.Plan, where string) bool {
	return slices.ContainsFunc(fstab, func(m mountplan.Mount) bool { return path.Clean(m.Where) == where })
}

// masked returns the link that keeps a unit from being started.
func masked(name string) unitfile.Unit {
	return unitfile.Unit{Name: name, Target: devNull, Links: []string{name}}
}

// remount changes systemd-remount-fs.service. It takes the lines for / and /usr and
// for what the kernel has mounted, and fails as the root is an overlay, which takes
// no options. The others are still remounted.
func (in Input) remount(lines mountplan.Plan) unitfile.Unit {
	options := []unitfile.Option{unitfile.Set("Service", "ExecStart", "")}
	for _, where := range kernelMounts {
		if _, ok := mountplan.At(in.Mounts, where); ok && hasLine(lines, where) {
			options = append(options, unitfile.Set("Service", "ExecStart", "mount -o remount "+where))
		}
	}
	if len(options) == 1 {
		return masked(remountService)
	}
	return unitfile.Unit{Name: remountService + ".d/50-sysupdate-image.conf", Options: options}
}

// instead returns the unit that replaces the one that systemd-fstab-generator(8) makes of a
// line: that would wait for a device and, for /usr, mount another one over the image's. It
// returns none if the administrator's file system is mounted.
func (in Input) instead(where string) []unitfile.Unit {
	m, mounted := mountplan.Lowest(in.Mounts, where)
	_, image := deployment.FromMountSource(m.What)
	switch {
	case where == "/usr" && (!mounted || image || m.Type == "overlay"):
		return []unitfile.Unit{replaced(mountplan.Mounted{Where: where, What: where, Type: "none", Options: []string{"bind"}},
			unitfile.Set("Unit", "ConditionPathExists", "!/usr"))}
	case mounted && (image || in.madeByPrepareRoot(m)):
		m.Options = []string{"x-initrd.mount"} // as in stayMounted
		return []unitfile.Unit{replaced(m)}
	}
	return nil
}

// madeByPrepareRoot reports whether a mount at /etc or /var is one of prepare-root's.
func (in Input) madeByPrepareRoot(m mountplan.Mounted) bool {
	if partition, ok := varPartition(in.Mounts); ok && m.Where == "/var" && m.Device == partition.Device {
		return true
	}
	return m.Type == "overlay" || strings.HasSuffix(m.Root, "/"+deployment.SharedVar) ||
		m.Where == "/etc" && strings.Contains(m.Root, deployment.DeployDir+"/")
}

// replaced returns a mount unit that comes before one of the same name that was
// generated.
func replaced(m mountplan.Mounted, conditions ...unitfile.Option) unitfile.Unit {
	options := append([]unitfile.Option{
		unitfile.Set("Unit", "Description", "Mounted with the Root: "+m.Where+" (not by its line in /etc/fstab)"),
		unitfile.Set("Unit", "Documentation", "man:sysupdate-image-generator(8)"),
		unitfile.Set("Unit", "DefaultDependencies", "no"),
	}, conditions...)
	options = append(options,
		unitfile.Set("Mount", "What", unitfile.Literal(m.What)),
		unitfile.Set("Mount", "Where", m.Where),
		unitfile.Set("Mount", "Type", m.Type),
		unitfile.Set("Mount", "Options", strings.Join(m.Options, ",")),
	)
	return unitfile.Unit{Name: unitfile.PathEscape(m.Where) + ".mount", Options: options, Early: true}
}
