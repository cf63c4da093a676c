package generators

import (
	"path"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/format/unitfile"
)

// mountUnits keeps /sysroot, the partition of /var there, and /var, as prepare-root has mounted them, from being
// unmounted before the very end of a shutdown. A soft reboot goes on with the same
// root, and there is nobody to mount them again. Another shutdown unmounts them
// with the root. With /etc systemd does the same by itself.
//
// Mounts by the administrator at these places are left alone, even from the same device:
// btrfs has subvolumes.
func mountUnits(in Input, _ deployment.ID) ([]unitfile.Unit, error) {
	sysroot, ok := mountplan.At(in.Mounts, deployment.SysrootDir)
	if !ok {
		return nil, nil
	}
	mounts := []mountplan.Mounted{sysroot}
	partition, own := varPartition(in.Mounts)
	if own {
		mounts = append(mounts, partition)
	}
	v, ok := mountplan.At(in.Mounts, "/var")
	if ok && (v.Type == "overlay" || v.What == "transient" || v.Device == sysroot.Device || own && v.Device == partition.Device) {
		mounts = append(mounts, v)
	}
	configured, err := in.configured()
	if err != nil {
		return nil, err
	}
	var units []unitfile.Unit
	for _, m := range mounts {
		if !configured(m.Where) {
			units = append(units, stayMounted(m))
		}
	}
	return units, nil
}

// varPartition returns the partition of /var as prepare-root shows it in /sysroot.
func varPartition(mounts []mountplan.Mounted) (mountplan.Mounted, bool) {
	return mountplan.At(mounts, path.Join(deployment.SysrootDir, deployment.VarParent))
}

// stayMounted returns the unit of a mount that is there. It is a whole unit, since
// systemd 257 skips some drop-ins of what it knows from the mount table alone.
func stayMounted(m mountplan.Mounted) unitfile.Unit {
	return unitfile.Unit{Name: unitfile.PathEscape(m.Where) + ".mount", Options: []unitfile.Option{
		unitfile.Set("Unit", "Description", "Mounted with the Root: "+m.Where),
		unitfile.Set("Unit", "Documentation", "man:sysupdate-image-generator(8)"),
		// No conflict with umount.target; and nothing to wait for, as it is there.
		unitfile.Set("Unit", "DefaultDependencies", "no"),
		unitfile.Set("Mount", "What", unitfile.Literal(m.What)),
		unitfile.Set("Mount", "Where", unitfile.Literal(m.Where)),
		unitfile.Set("Mount", "Type", m.Type),
		// It came from the initramfs, and stays for ever: see systemd.mount(5).
		unitfile.Set("Mount", "Options", "x-initrd.mount"),
	}}
}
