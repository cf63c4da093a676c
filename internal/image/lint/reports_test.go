package lint

import (
	"slices"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// reports are situations from public reports about images, rebuilt with our own files.
var reports = []struct {
	url, what string
	make      func(i *image)
	want      []string
}{
	{
		"https://github.com/bootcrew/mono/issues/22", "no name is resolved, since /etc/resolv.conf is empty",
		func(i *image) { i.file("etc/resolv.conf", "").Mode = tree.TypeRegular | 0o700 },
		[]string{"buildah-injected /etc/resolv.conf"},
	},
	{
		"https://github.com/bootc-dev/bootc/issues/2174", "Linux 7.0.1 does not boot",
		func(i *image) {
			i.set("usr/lib/modules/7.0.1", i.node("usr/lib/modules/6.12.1"))
			i.remove("usr/lib/modules/6.12.1")
		},
		[]string{"kernel-verity /usr/lib/modules/7.0.1/vmlinuz"},
	},
	{
		"https://github.com/tuna-os/tunaOS/pull/816", "the initramfs has ostree's program alone, although bootc's is in the image",
		func(i *image) {
			i.file("usr/lib/bootc/initramfs-setup", "ELF")
			i.initramfs(map[string]string{"usr/lib/ostree/ostree-prepare-root": "ELF"})
		},
		[]string{"initramfs /usr/lib/modules/6.12.1/initramfs.img"},
	},
	{
		"https://github.com/ublue-os/bluefin/issues/4671", "modules cannot be built, since a directory of another kernel's is left",
		func(i *image) { i.dir("usr/lib/modules/7.0.8-200.fc44.x86_64") },
		[]string{"modules /usr/lib/modules/7.0.8-200.fc44.x86_64"},
	},
	{
		"https://github.com/ostreedev/ostree/issues/3193", "systemd-remount-fs fails",
		func(i *image) { i.file("etc/fstab", "UUID=0a / btrfs subvol=root,compress=zstd:1 0 0\n") },
		[]string{"fstab-root /etc/fstab:1"},
	},
	{
		"https://github.com/p2pool-starter-stack/pithead/issues/894", "all machines have one SSH key, and so has everybody with the image",
		func(i *image) {
			i.file("etc/ssh/ssh_host_ed25519_key", "PRIVATE KEY")
			i.file("etc/ssh/ssh_host_ed25519_key.pub", "ssh-ed25519 AAAA")
		},
		[]string{"secrets /etc/ssh/ssh_host_ed25519_key"},
	},
	{
		"https://github.com/rancher/elemental/pull/1686", "all machines have one machine-id, and so one address of a bridge",
		func(i *image) { i.file("etc/machine-id", "85f94e57ab75f80918cab17d001eac85\n") },
		[]string{"secrets /etc/machine-id"},
	},
	{
		"https://github.com/ublue-os/bluefin-lts/issues/382", "accounts without sysusers.d",
		func(i *image) {
			i.file("etc/passwd", "root:x:0:0::/root:/bin/sh\navahi:x:70:70::/:/sbin/nologin\n")
			i.file("etc/group", "root:x:0:\navahi:x:70:\npower:x:98:\n")
		},
		[]string{"sysusers /etc/passwd", "sysusers /etc/group", "sysusers /etc/group"},
	},
	{
		"https://github.com/systemd/systemd/issues/40418", "a user is not made, since its line names a group that nothing makes",
		func(i *image) {
			i.file("usr/lib/sysusers.d/test.conf", "u my_user 299:my_user \"My User\" /var/home/my_user /usr/sbin/nologin\n")
		},
		[]string{"drop-ins /usr/lib/sysusers.d/test.conf:1"},
	},
	{
		"https://github.com/flightctl/flightctl/pull/1845", "files of a base image in /var",
		func(i *image) {
			i.file("usr/lib/tmpfiles.d/root.conf", "d /var/roothome 0700 root root -\n")
			i.file("var/roothome/buildinfo/content_manifests/content-sets.json", "{}")
			i.file("var/roothome/buildinfo/labels.json", "{}")
		},
		[]string{"var-tmpfiles /var/roothome/buildinfo"},
	},
	{
		"https://github.com/playtron-os/gameos/pull/217", "logs of the build",
		func(i *image) {
			i.file("usr/lib/tmpfiles.d/akmods.conf", "d /var/log/akmods 0755 root root -\n")
			i.file("var/log/akmods/akmods.log", "built")
		},
		[]string{"var-log /var/log/akmods/akmods.log"},
	},
	{
		"https://github.com/bootc-dev/bootc/issues/1732", "lines in /etc/tmpfiles.d count, too",
		func(i *image) {
			i.file("etc/tmpfiles.d/nginx.conf", "d /var/lib/nginx 0770 web root -\nd /var/log/nginx 0711 root root -\n")
			i.dir("var/lib/nginx", "var/log/nginx")
		},
		nil,
	},
	{
		"https://github.com/bootc-dev/bootc/issues/2050", "directories that the builder makes and that nobody can remove",
		func(i *image) { i.dir("run/systemd/resolve") },
		nil,
	},
}

// TestReports: what a report was about is found, and nothing else.
func TestReports(t *testing.T) {
	for _, tt := range reports {
		i := cleanImage(t)
		tt.make(i)
		if got := namesOf(lintImage(t, i)); !slices.Equal(got, tt.want) {
			t.Errorf("%s (%s): found %q; want %q", tt.what, tt.url, got, tt.want)
		}
	}
}
