package lint

import (
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/uki/ukitest"
)

// faults are images with one each. The finding is "RULE PATH[:LINE]", and its text has the
// words of what.
var faults = []struct {
	name    string
	make    func(i *image)
	finding string
	what    string
}{
	// bootc's rules
	{"no /proc", func(i *image) { i.remove("proc") }, "api-base-directories /proc", "no such directory"},
	{"/tmp is a link", func(i *image) { i.link("tmp", "var/tmp") }, "api-base-directories /tmp", "not a directory"},
	{"ostree without composefs", func(i *image) {
		i.link("ostree", "sysroot/ostree")
		i.file("usr/lib/ostree/prepare-root.conf", "[composefs]\nenabled = false\n")
	}, "baseimage-composefs /usr/lib/ostree/prepare-root.conf", "not enabled"},
	{"bootc without a configuration for ostree", func(i *image) {
		i.link("ostree", "sysroot/ostree")
		i.file("usr/bin/bootc", "ELF")
	}, "baseimage-composefs /usr/lib/ostree/prepare-root.conf", "no such file"},
	{"no /sysroot", func(i *image) { i.remove("sysroot") }, "baseimage-root /sysroot", "no such directory"},
	{"ostree without its link", func(i *image) {
		i.file("usr/lib/ostree/prepare-root.conf", "[composefs]\nenabled = yes\n")
	}, "baseimage-root /ostree", "no link to sysroot/ostree"},
	{"a copy of the base image without its link", func(i *image) {
		conf := "[composefs]\nenabled = verity\n"
		i.link("ostree", "sysroot/ostree")
		i.file("usr/lib/ostree/prepare-root.conf", conf)
		i.file(baseImage+"/usr/lib/ostree/prepare-root.conf", conf)
		i.dir(baseImage + "/sysroot")
		i.link(baseImage+"/ostree", "/sysroot/ostree")
	}, "baseimage-root /" + baseImage + "/ostree", "want sysroot/ostree"},
	{"kernel arguments that are no list", func(i *image) { i.file("usr/lib/bootc/kargs.d/20.toml", "kargs = \"quiet\"") }, "bootc-kargs /usr/lib/bootc/kargs.d", "20.toml"},
	{"an empty resolv.conf", func(i *image) { i.file("etc/resolv.conf", "") }, "buildah-injected /etc/resolv.conf", "empty"},
	{"an empty hostname", func(i *image) { i.file("etc/hostname", "") }, "buildah-injected /etc/hostname", "empty"},
	{"/usr/etc", func(i *image) { i.dir("usr/etc") }, "etc-usretc /usr/etc", "both"},
	{"two kernels", func(i *image) { i.file("usr/lib/modules/6.13/vmlinuz", "another") }, "kernel /usr/lib/modules", "2 kernels, 6.12.1 and 6.13"},
	{"no kernel", func(i *image) { i.remove("usr/lib/modules/6.12.1") }, "kernel /usr/lib/modules", "no kernel"},
	{"a kernel without its initramfs", func(i *image) { i.remove("usr/lib/modules/6.12.1/initramfs.img") }, "kernel /usr/lib/modules", "no initramfs"},
	{"a kernel in /boot", func(i *image) { i.file("boot/vmlinuz-6.12.1", "the kernel") }, "nonempty-boot /boot/vmlinuz-6.12.1", "hidden"},
	{"a file in /run", func(i *image) { i.file("run/lock/build", "x") }, "nonempty-run-tmp /run/lock", "a directory"},
	{"a file in /tmp", func(i *image) { i.file("tmp/x", "x") }, "nonempty-run-tmp /tmp/x", "a file"},
	{"a user without sysusers.d", func(i *image) {
		i.file("etc/passwd", "root:x:0:0::/root:/bin/sh\nweb:x:999:999::/:\ndb:x:998:4::/:\n")
	}, "sysusers /etc/passwd", "user db"},
	{"a group without sysusers.d", func(i *image) { i.file("etc/group", "root:x:0:\nweb:x:999:\nadm:x:4:\nkvm:x:36:\n") }, "sysusers /etc/group", "group kvm"},
	{"a user whose line is masked", func(i *image) {
		i.file("etc/passwd", "root:x:0:0::/root:/bin/sh\nweb:x:999:999::/:\nftp:x:14:4::/:\n")
		i.file("usr/lib/sysusers.d/ftp.conf", "u ftp 14:adm\n")
		i.link("etc/sysusers.d/ftp.conf", "/dev/null")
	}, "sysusers /etc/passwd", "user ftp"},
	{"a user with the group of another line, without its own", func(i *image) {
		i.file("etc/group", "root:x:0:\nweb:x:999:\nadm:x:4:\nftp:x:14:\n")
		i.file("usr/lib/sysusers.d/ftp.conf", "u ftp 14:adm\n")
	}, "sysusers /etc/group", "group ftp"},
	{"a name that is not UTF-8", func(i *image) { i.file("usr/lib/caf\xe9", "x") }, "utf8 /usr/lib/caf\xe9", "name"},
	{"a link to what is not UTF-8", func(i *image) { i.link("usr/lib/cafe", "caf\xe9") }, "utf8 /usr/lib/cafe", "link"},
	{"a log", func(i *image) { i.file("var/log/dpkg.log", "installed") }, "var-log /var/log/dpkg.log", "log"},
	{"/var/run is a directory", func(i *image) {
		i.remove("var/run")
		i.dir("var/run")
	}, "var-run /var/run", "not a symbolic link"},
	{"a directory in /var", func(i *image) { i.dir("var/lib/db") }, "var-tmpfiles /var/lib/db", "a directory"},
	{"a file in /var", func(i *image) { i.file("var/lib/example-web/page", "x") }, "var-tmpfiles /var/lib/example-web/page", "a file"},
	{"a link in /var", func(i *image) { i.link("var/lock", "../run/lock") }, "var-tmpfiles /var/lock", "a symbolic link"},
	{"a directory in /var that is only adjusted", func(i *image) {
		i.file("usr/lib/tmpfiles.d/db.conf", "e /var/lib/db 0700\nz /var/lib/db\n")
		i.dir("var/lib/db")
	}, "var-tmpfiles /var/lib/db", "a directory"},
	{"a directory with a mode of its own above one in tmpfiles.d", func(i *image) {
		i.file("usr/lib/tmpfiles.d/db.conf", "d /var/lib/db/data\n")
		i.dir("var/lib/db/data")
		i.node("var/lib/db").Mode = tree.TypeDir | 0o700
	}, "var-tmpfiles /var/lib/db", "a directory"},
	{"a directory in /var whose copy the image does not have", func(i *image) {
		i.file("usr/lib/tmpfiles.d/db.conf", "C /var/lib/db\n")
		i.dir("var/lib/db")
	}, "var-tmpfiles /var/lib/db", "a directory"},
	{"a file in /var that is not in what is copied", func(i *image) {
		i.file("usr/lib/tmpfiles.d/db.conf", "C /var/lib/db - - - - /usr/share/db\n")
		i.file("usr/share/db/x", "x")
		i.file("var/lib/db/x", "x")
		i.file("var/lib/db/y", "y")
	}, "var-tmpfiles /var/lib/db/y", "a file"},
	{"a directory in /var whose file is masked", func(i *image) {
		i.file("usr/lib/tmpfiles.d/db.conf", "d /var/lib/db\n")
		i.link("etc/tmpfiles.d/db.conf", "../../dev/null")
		i.dir("var/lib/db")
	}, "var-tmpfiles /var/lib/db", "a directory"},
	{"a directory in /var whose file is replaced", func(i *image) {
		i.file("usr/lib/tmpfiles.d/db.conf", "d /var/lib/db\n")
		i.file("etc/tmpfiles.d/db.conf", "d /var/lib/other\n")
		i.dir("var/lib/db")
	}, "var-tmpfiles /var/lib/db", "a directory"},

	// Ours
	{"a misspelt key in update.toml", func(i *image) { i.file("etc/sysupdate-image/update.toml", "kep = 1\n") }, "config /etc/sysupdate-image/update.toml", "did you mean keep?"},
	{"update.toml with a wrong value", func(i *image) { i.file("usr/lib/sysupdate-image/update.toml", "require = \"sometimes\"\n") }, "config /usr/lib/sysupdate-image/update.toml", "sometimes"},
	{"bootc's configuration with a wrong value", func(i *image) {
		i.file("usr/lib/composefs/setup-root-conf.toml", "[etc]\nmount = \"magic\"\n")
		i.initramfs(map[string]string{
			"usr/lib/sysupdate-image/prepare-root": "the program", "usr/lib/sysupdate-image/prepare-root.toml": "[etc]\nmount = \"overlay\"\n",
			"usr/lib/composefs/setup-root-conf.toml": "[etc]\nmount = \"magic\"\n",
		})
	}, "config /usr/lib/composefs/setup-root-conf.toml", "magic"},
	{"a misspelt key for installing", func(i *image) { i.file("usr/lib/bootc/install/10.toml", "[install]\nkarg = [\"quiet\"]\n") }, "config /usr/lib/bootc/install", "karg"},
	{"a misspelt key in prepare-root.toml", func(i *image) {
		i.file("usr/lib/sysupdate-image/prepare-root.toml", "[etc]\ntransiant = true\n")
		i.initramfs(map[string]string{"usr/lib/sysupdate-image/prepare-root": "the program", "usr/lib/sysupdate-image/prepare-root.toml": "[etc]\ntransiant = true\n"})
	}, "config-keys /usr/lib/sysupdate-image/prepare-root.toml", "did you mean etc.transient?"},
	{"a misspelt section in prepare-root.toml", func(i *image) {
		i.file("usr/lib/sysupdate-image/prepare-root.toml", "[rooot]\ntransient = true\n")
		i.initramfs(map[string]string{"usr/lib/sysupdate-image/prepare-root": "the program", "usr/lib/sysupdate-image/prepare-root.toml": "[rooot]\ntransient = true\n"})
	}, "config-keys /usr/lib/sysupdate-image/prepare-root.toml", "did you mean root.transient?"},
	{"no /boot", func(i *image) { i.remove("boot") }, "directories /boot", "no such directory"},
	{"a line of tmpfiles.d with an unknown specifier", func(i *image) { i.file("etc/tmpfiles.d/x.conf", "\n# x\nd /run/%Q\n") }, "drop-ins /etc/tmpfiles.d/x.conf:3", "%Q"},
	{"a line of sysusers.d with too many fields", func(i *image) { i.file("usr/lib/sysusers.d/x.conf", "u ftp 14:adm FTP server /srv /bin/sh\n") }, "drop-ins /usr/lib/sysusers.d/x.conf:1", "more than six fields"},
	{"a line of tmpfiles.d for a user that is not there", func(i *image) { i.file("etc/tmpfiles.d/x.conf", "d /run/x 0755 db db\n") }, "drop-ins /etc/tmpfiles.d/x.conf:1", "no user db"},
	{"a line of tmpfiles.d for a group that is not there", func(i *image) { i.file("etc/tmpfiles.d/x.conf", "d /run/x 0755 :web :db\n") }, "drop-ins /etc/tmpfiles.d/x.conf:1", "no group db"},
	{"a resolv.conf", func(i *image) { i.file("etc/resolv.conf", "nameserver 192.0.2.1\n") }, "etc-changing /etc/resolv.conf", "network managers"},
	{"an adjtime", func(i *image) { i.file("etc/adjtime", "0.0 0 0.0\n0\nUTC\n") }, "etc-changing /etc/adjtime", "hwclock"},
	{"a backup of the accounts", func(i *image) { i.file("etc/shadow-", "root:*::0:99999:7:::\n") }, "etc-changing /etc/shadow-", "accounts"},
	{"an addon with a name that FAT does not have", func(i *image) {
		i.file("usr/lib/modules/6.12.1/x.efi.extra.d/a:b.addon.efi", "x")
	}, "fat-names /usr/lib/modules/6.12.1/x.efi.extra.d/a:b.addon.efi", "':'"},
	{"two addons that FAT takes for one", func(i *image) {
		i.file("usr/lib/modules/6.12.1/x.efi.extra.d/A.addon.efi", "x")
		i.file("usr/lib/modules/6.12.1/x.efi.extra.d/a.addon.efi", "x")
	}, "fat-names /usr/lib/modules/6.12.1/x.efi.extra.d/a.addon.efi", "A.addon.efi"},
	{"a directory with a name that FAT does not have", func(i *image) { i.dir("boot/EFI/Linux.") }, "fat-names /boot/EFI/Linux.", "at the end"},
	{"two directories that FAT takes for one", func(i *image) { i.dir("boot/EFI/BOOT", "boot/EFI/Boot") }, "fat-names /boot/EFI/Boot", "BOOT"},
	{"a device tree with a name that FAT does not have", func(i *image) { i.file("etc/kernel/devicetree", "vendor/board?.dtb\n") }, "fat-names /etc/kernel/devicetree", "'?'"},
	{"a line for / in fstab", func(i *image) { i.file("etc/fstab", "# root\nUUID=1234 / ext4 errors=remount-ro 0 1\n") }, "fstab-root /etc/fstab:2", "a line for /, from UUID=1234"},
	{"a file of the future", func(i *image) { i.node("usr/bin/su").Mtime.Sec = built.AddDate(1, 0, 0).Unix() }, "future-time /usr/bin/su", "2027-11-01"},
	{"no init", func(i *image) { i.remove("usr/lib/systemd/systemd") }, "init /usr/lib/systemd/systemd", "or /sbin/init"},
	{"an init that is not there", func(i *image) { i.file("usr/lib/bootc/kargs.d/20.toml", "kargs = [\"init=/usr/bin/none\"]\n") }, "init /usr/bin/none", "no program to start"},
	{"an initramfs without a program", func(i *image) { i.initramfs(map[string]string{"init": "#!/bin/sh"}) }, "initramfs /usr/lib/modules/6.12.1/initramfs.img", "no program"},
	{"an initramfs that is truncated", func(i *image) {
		n := i.node("usr/lib/modules/6.12.1/initramfs.img")
		n.Inline, n.Size = n.Inline[:300], 300
	}, "initramfs /usr/lib/modules/6.12.1/initramfs.img", "truncated"},
	{"a unified kernel image without an initramfs", func(i *image) {
		i.remove("usr/lib/modules/6.12.1/vmlinuz")
		i.file("boot/EFI/Linux/os.efi", string(ukitest.PE(ukitest.Section{Name: ".linux", Content: "x"}, ukitest.Section{Name: ".uname", Content: "6.12.1"})))
	}, "initramfs /boot/EFI/Linux/os.efi", "no initramfs"},
	{"an initramfs with an older program", func(i *image) {
		i.node("usr/lib/modules/6.12.1/initramfs.img").Mtime.Sec--
		i.file("usr/lib/sysupdate-image/prepare-root", "a newer program")
	}, "initramfs-stale /usr/lib/modules/6.12.1/initramfs.img", "prepare-root in it is older"},
	{"an initramfs without the configuration", func(i *image) {
		i.initramfs(map[string]string{"usr/lib/sysupdate-image/prepare-root": "the program"})
	}, "initramfs-stale /usr/lib/modules/6.12.1/initramfs.img", "does not have /usr/lib/sysupdate-image/prepare-root.toml"},
	{"a kernel without fs-verity", func(i *image) {
		i.file("usr/lib/modules/6.12.1/config", "CONFIG_EROFS_FS=m\nCONFIG_EROFS_FS_XATTR=y\nCONFIG_OVERLAY_FS=m\n# CONFIG_FS_VERITY is not set\n")
	}, "kernel-config /usr/lib/modules/6.12.1/config", "CONFIG_FS_VERITY"},
	{"a kernel with the mistake of 7.0", func(i *image) {
		i.set("usr/lib/modules/7.0.3-arch1-2", i.node("usr/lib/modules/6.12.1"))
		i.remove("usr/lib/modules/6.12.1")
	}, "kernel-verity /usr/lib/modules/7.0.3-arch1-2/vmlinuz", "Linux 7.0.3-arch1-2"},
	{"modules of another kernel", func(i *image) { i.file("usr/lib/modules/6.11/modules.dep", "x") }, "modules /usr/lib/modules/6.11", "not in the image"},
	{"the id of a machine", func(i *image) { i.file("etc/machine-id", strings.Repeat("0a", 16)+"\n") }, "secrets /etc/machine-id", "id of a machine"},
	{"the key of an SSH server", func(i *image) { i.file("etc/ssh/ssh_host_ed25519_key", "PRIVATE KEY") }, "secrets /etc/ssh/ssh_host_ed25519_key", "key of an SSH server"},
	{"a key in a home directory", func(i *image) { i.file("home/me/.ssh/id_ed25519", "PRIVATE KEY") }, "secrets /home/me/.ssh/id_ed25519", "private SSH key"},
	{"a key with a name of its own", func(i *image) { i.file("root/.ssh/deploy", "PRIVATE KEY") }, "secrets /root/.ssh/deploy", "private SSH key"},
	{"credentials of apt", func(i *image) { i.file("etc/apt/auth.conf.d/90.conf", "machine a login b password c") }, "secrets /etc/apt/auth.conf.d/90.conf", "credentials"},
	{"a random seed", func(i *image) {
		i.file("usr/lib/tmpfiles.d/systemd.conf", "d /var/lib/systemd\n")
		i.file("var/lib/systemd/random-seed", "0123456789abcdef")
	}, "secrets /var/lib/systemd/random-seed", "random numbers"},
	{"a key in a lower layer", func(i *image) {
		i.Layers = []Layer{{"sha256:1", []string{"etc/ssh/ssh_host_rsa_key"}}, {"sha256:2", nil}}
	}, "secrets /etc/ssh/ssh_host_rsa_key", "still in layer sha256:1"},
	{"setuid in a directory of a user", func(i *image) {
		i.file("usr/lib/games/run", "ELF").Mode = tree.TypeRegular | setuid | 0o755
		i.node("usr/lib/games").UID = 5
	}, "setuid /usr/lib/games/run", "user 5 owns /usr/lib/games"},
	{"setgid in a directory of everybody", func(i *image) {
		i.file("usr/lib/games/bin/run", "ELF").Mode = tree.TypeRegular | setgid | 0o755
		i.node("usr/lib/games").Mode |= 0o002
	}, "setuid /usr/lib/games/bin/run", "everybody may write to /usr/lib/games"},
	{"a service that writes to /usr", func(i *image) {
		i.file("usr/lib/systemd/system/web.service", "[Service]\nExecStartPre=+/bin/sh -c 'mkdir -p /run/x && date > /usr/share/date'\nExecStart=/usr/bin/web\n")
	}, "usr-writers /usr/lib/systemd/system/web.service:2", "/usr/share/date"},
	{"a drop-in with a path in /usr", func(i *image) {
		i.file("etc/systemd/system/web.service.d/10.conf", "[Service]\nReadWritePaths=/var/x /usr/lib/web\n")
	}, "usr-writers /etc/systemd/system/web.service.d/10.conf:2", "/usr/lib/web"},
	{"a long line before that of the root", func(i *image) {
		i.file("etc/fstab", "# "+strings.Repeat("x", 100<<10)+"\n/dev/sda1 / ext4\n")
	}, "fstab-root /etc/fstab:2", "a line for /"},
	{"setuid for one user in a directory of another", func(i *image) {
		run := i.file("usr/lib/games/bin/run", "ELF")
		run.Mode, run.UID = tree.TypeRegular|setuid|0o755, 6
		i.node("usr/lib/games/bin").UID = 6
		i.node("usr/lib/games").UID = 5
	}, "setuid /usr/lib/games/bin/run", "user 5 owns /usr/lib/games"},
	{"a timer with another service", func(i *image) {
		i.file("usr/lib/systemd/system/up.timer", "[Timer]\nOnCalendar=daily\nUnit=writer.service\n")
		i.file("usr/lib/systemd/system/writer.service", "[Service]\nExecStart=touch /usr/x\n")
		i.link("etc/systemd/system/timers.target.wants/up.timer", "/usr/lib/systemd/system/up.timer")
	}, "usr-writers /usr/lib/systemd/system/writer.service:2", "touch /usr/x"},
	{"a service that the target wants", func(i *image) {
		i.file("etc/systemd/system/multi-user.target", "[Unit]\nWants=writer.service\n")
		i.file("usr/lib/systemd/system/writer.service", "[Service]\nExecStart=touch /usr/x\n")
	}, "usr-writers /usr/lib/systemd/system/writer.service:2", "touch /usr/x"},
	{"a service that is wanted by another name", func(i *image) {
		i.link("etc/systemd/system/multi-user.target.wants/other.service", "../writer.service")
		i.file("etc/systemd/system/writer.service", "[Service]\nExecStart=touch /usr/x\n")
	}, "usr-writers /etc/systemd/system/writer.service:2", "touch /usr/x"},
	{"a service that a socket starts", func(i *image) {
		i.file("usr/lib/systemd/system/writer.socket", "[Socket]\nListenStream=/run/x\n")
		i.file("usr/lib/systemd/system/writer.service", "[Service]\nExecStart=touch /usr/x\n")
		i.link("etc/systemd/system/sockets.target.wants/writer.socket", "/usr/lib/systemd/system/writer.socket")
	}, "usr-writers /usr/lib/systemd/system/writer.service:2", "touch /usr/x"},
	{"a service with several names", func(i *image) {
		i.file("usr/lib/systemd/system/writer@.service", "[Service]\nExecStart=touch /usr/x\n")
		i.link("etc/systemd/system/multi-user.target.wants/writer@a.service", "/usr/lib/systemd/system/writer@.service")
		i.link("etc/systemd/system/multi-user.target.wants/writer@b.service", "/usr/lib/systemd/system/writer@.service")
	}, "usr-writers /usr/lib/systemd/system/writer@.service:2", "touch /usr/x"},
	{"a drop-in for all services", func(i *image) {
		i.file("etc/systemd/system/service.d/10.conf", "[Service]\nReadWritePaths=/usr/lib/web\n")
	}, "usr-writers /etc/systemd/system/service.d/10.conf:2", "/usr/lib/web"},
	{"a timer that updates packages", func(i *image) {
		i.file("usr/lib/systemd/system/up.timer", "[Timer]\nOnCalendar=daily\n")
		i.file("usr/lib/systemd/system/up.service", "[Service]\nExecStart=/usr/bin/apt-get -y upgrade\n")
		i.link("etc/systemd/system/timers.target.wants/up.timer", "/usr/lib/systemd/system/up.timer")
	}, "usr-writers /usr/lib/systemd/system/up.service:2", "apt-get -y upgrade"},
}

// TestFaults: each fault is found, and nothing else.
func TestFaults(t *testing.T) {
	found := make(map[string]bool)
	for _, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			i := cleanImage(t)
			tt.make(i)
			r := lintImage(t, i)
			if got := namesOf(r); !slices.Equal(got, []string{tt.finding}) || len(r.Failed) > 0 {
				t.Fatalf("found %q, failed %+v; want %q", got, r.Failed, tt.finding)
			}
			f := r.Findings[0]
			if !strings.Contains(f.What, tt.what) || f.Why == "" || f.Mend == "" {
				t.Errorf("found %+v; want %q, with a reason and a remedy", f, tt.what)
			}
			found[f.Rule] = true
		})
	}
	for _, c := range Rules {
		if !found[c.Name] && !t.Failed() {
			t.Errorf("no image has a fault for %s", c.Name)
		}
	}
}

// lintImage checks all rules.
func lintImage(t *testing.T, i *image) Report {
	t.Helper()
	r, err := Run(t.Context(), i.Image, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// namesOf returns the rules and places of findings.
func namesOf(r Report) (names []string) {
	for _, f := range r.Findings {
		name := f.Rule + " " + f.Path
		if f.Line > 0 {
			name += ":" + string(rune('0'+f.Line))
		}
		names = append(names, name)
	}
	return names
}

// TestBootc: what only ostree needs is wanted of every image, as bootc wants it.
func TestBootc(t *testing.T) {
	i := cleanImage(t)
	i.Bootc = true
	want := []string{"baseimage-composefs /usr/lib/ostree/prepare-root.conf", "baseimage-root /ostree"}
	if got := namesOf(lintImage(t, i)); !slices.Equal(got, want) {
		t.Errorf("found %q; want %q", got, want)
	}
}

// TestRunning: files that the builder has there are none of the image.
func TestRunning(t *testing.T) {
	i := cleanImage(t)
	i.Running = true
	i.file("etc/hostname", "")
	i.file("etc/resolv.conf", "nameserver 192.0.2.1\n")
	if r := lintImage(t, i); len(r.Findings) > 0 {
		t.Errorf("found %+v; want nothing", r.Findings)
	}
}

func TestSkip(t *testing.T) {
	i := cleanImage(t)
	i.remove("boot")
	i.remove("proc")
	r, err := Run(t.Context(), i.Image, map[string]bool{"directories": true})
	if err != nil {
		t.Fatal(err)
	}
	if got := namesOf(r); !slices.Equal(got, []string{"api-base-directories /proc"}) || !slices.Equal(r.Skipped, []string{"directories"}) {
		t.Errorf("found %q, skipped %q; want /proc without directories", got, r.Skipped)
	}
	if n := r.Count(Fatal); n != 1 {
		t.Errorf("%d fatal; want 1", n)
	}
}

// TestFailed: a file that cannot be read keeps one rule from being checked, and no others.
func TestFailed(t *testing.T) {
	i := cleanImage(t)
	i.link("etc/fstab", "fstab")
	i.remove("proc")
	r := lintImage(t, i)
	if got := namesOf(r); !slices.Equal(got, []string{"api-base-directories /proc"}) {
		t.Errorf("found %q; want /proc", got)
	}
	if len(r.Failed) != 1 || r.Failed[0].Rule != "fstab-root" || !strings.Contains(r.Failed[0].Why, "too many levels") {
		t.Errorf("failed: %+v; want fstab-root, since its link leads to itself", r.Failed)
	}
}

func TestMany(t *testing.T) {
	i := cleanImage(t)
	for n := range MostFindings + 50 {
		i.file("usr/lib/many/"+strings.Repeat("x", n%200+1)+string(rune('a'+n/200)), "").Mtime.Sec = built.AddDate(1, 0, 0).Unix()
	}
	if r := lintImage(t, i); len(r.Findings) != MostFindings || r.Omitted["future-time"] != 50 {
		t.Errorf("%d findings, %d omitted; want %d, 50", len(r.Findings), r.Omitted["future-time"], MostFindings)
	}
}

func TestVerityRegression(t *testing.T) {
	for release, want := range map[string]bool{
		"7.0": true, "7.0.0": true, "7.0.1-arch1-1": true, "7.0.8-200.fc44.x86_64": true, "7.0-rc3": true, "7.0.9": false, "7.0.10": false,
		"7.1": false, "6.19.14": false, "17.0.1": false, "7.01": false, "": false,
	} {
		if got := hasVerityRegression(release); got != want {
			t.Errorf("hasVerityRegression(%q) = %v; want %v", release, got, want)
		}
	}
}
