package lint

// Contents are the files of a container image whose contents the rules read, in the terms
// of path.Match.
var Contents = []string{
	"etc/passwd", "etc/group", "usr/lib/passwd", "usr/lib/group", "etc/fstab", "etc/kernel/devicetree", "usr/lib/kernel/devicetree",
	"usr/lib/sysusers.d/*", "usr/local/lib/sysusers.d/*", "run/sysusers.d/*", "etc/sysusers.d/*",
	"usr/lib/tmpfiles.d/*", "usr/local/lib/tmpfiles.d/*", "run/tmpfiles.d/*", "etc/tmpfiles.d/*",
	"usr/lib/sysupdate-image/*", "etc/sysupdate-image/*", "usr/lib/composefs/*",
	"usr/lib/bootc/initramfs-setup", "usr/bin/composefs-setup-root", "usr/sbin/composefs-setup-root",
	"usr/lib/bootc/install/*", "usr/local/lib/bootc/install/*", "etc/bootc/install/*", "run/bootc/install/*",
	"usr/lib/ostree/*", "etc/ostree/*", baseImage + "/usr/lib/ostree/*",
	"usr/lib/modules/*/initramfs.img", "usr/lib/modules/*/config", "usr/lib/modules/*/*.efi",
	"boot/EFI/Linux/*", "boot/config-*",
	"usr/lib/systemd/system/*", "usr/lib/systemd/system/*/*",
	"usr/local/lib/systemd/system/*", "usr/local/lib/systemd/system/*/*",
	"run/systemd/system/*", "etc/systemd/system/*", "etc/systemd/system/*/*",
}
