package lint

import (
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/uki/ukitest"
)

// good are images with something unusual, and without a fault.
var good = []struct {
	name string
	make func(i *image)
}{
	{"nothing unusual", func(*image) {}},
	{"modules that are built for later", func(i *image) { i.file("usr/lib/modules/6.12.1/extra/x.ko", "x") }},
	{"configuration through links", func(i *image) {
		i.set("usr/share/sysusers", i.node("usr/lib/sysusers.d"))
		i.remove("usr/lib/sysusers.d")
		i.link("usr/lib/sysusers.d", "/usr/share/sysusers")
	}},
	{"another init, by a link", func(i *image) {
		i.remove("usr/lib/systemd/systemd")
		i.file("usr/bin/openrc-init", "ELF")
		i.link("sbin", "usr/sbin")
		i.link("usr/sbin/init", "/bin/openrc-init")
	}},
	{"a log that is empty", func(i *image) {
		i.file("usr/lib/tmpfiles.d/log.conf", "f /var/log/lastlog\n")
		i.file("var/log/lastlog", "")
	}},
	{"a plain directory above one in tmpfiles.d", func(i *image) {
		i.file("usr/lib/tmpfiles.d/db.conf", "d /var/lib/db/data\n")
		i.dir("var/lib/db/data")
	}},
	{"a directory that is copied", func(i *image) {
		i.file("usr/lib/tmpfiles.d/db.conf", "C /var/lib/db\n")
		i.file("usr/share/factory/var/lib/db/data/x", "x")
		i.file("var/lib/db/data/x", "x")
	}},
	{"a directory whose name only the machine knows", func(i *image) {
		i.file("usr/lib/tmpfiles.d/db.conf", "d /var/log/journal/%m\n")
		i.dir("var/log/journal/00000000000000000000000000000000")
	}},
	{"users of a distribution in /usr/lib, and numbers", func(i *image) {
		i.file("usr/lib/passwd", "db:x:31:31::/:/bin/sh\n")
		i.file("usr/lib/group", "db:x:31:\n")
		i.file("usr/lib/tmpfiles.d/db.conf", "d /run/db 0750 db db\nd /run/x 0750 1234 :1234\nz /run/y - root %m\n")
	}},
	{"a machine-id that asks for a new one", func(i *image) { i.file("etc/machine-id", "uninitialized\n") }},
	{"public keys and settings of SSH", func(i *image) {
		for _, name := range []string{"id_ed25519.pub", "authorized_keys", "known_hosts", "config"} {
			i.file("root/.ssh/"+name, "ssh-ed25519 AAAA")
		}
	}},
	{"a service that is not enabled", func(i *image) {
		i.file("usr/lib/systemd/system/x.service", "[Service]\nReadWritePaths=/usr/lib/x\n")
	}},
	{"a service that is masked", func(i *image) {
		i.file("usr/lib/systemd/system/web.service", "[Service]\nReadWritePaths=/usr/lib/x\n")
		i.link("etc/systemd/system/web.service", "/dev/null")
	}},
	{"a service that is masked by another way to /dev/null", func(i *image) {
		i.file("usr/lib/systemd/system/web.service", "[Service]\nReadWritePaths=/usr/lib/x\n")
		i.link("etc/systemd/system/web.service", "../../../dev/null")
	}},
	{"a drop-in for some services, and one of its name for all", func(i *image) {
		i.file("usr/lib/systemd/system/web-a.service", "[Service]\nExecStart=/usr/bin/web\n")
		i.link("etc/systemd/system/multi-user.target.wants/web-a.service", "/usr/lib/systemd/system/web-a.service")
		i.remove("etc/systemd/system/multi-user.target.wants/web.service")
		i.file("etc/systemd/system/service.d/10.conf", "[Service]\nReadWritePaths=/usr/lib/web\n")
		i.file("etc/systemd/system/web-.service.d/10.conf", "[Service]\nReadWritePaths=/var/lib/web\n")
	}},
	{"a path that a service can do without", func(i *image) {
		i.file("usr/lib/systemd/system/web.service", "[Service]\nReadWritePaths=-/usr/lib/x\n")
	}},
	{"setuid for the owner of the directory", func(i *image) {
		run := i.file("usr/lib/games/run", "ELF")
		run.Mode, run.UID = tree.TypeRegular|setuid|0o755, 5
		i.node("usr/lib/games").UID = 5
	}},
	{"a configuration for install that is a link, and one that is masked", func(i *image) {
		i.file("usr/share/install.toml", "[install]\nkargs = [\"a\"]\n")
		i.link("usr/lib/bootc/install/10.toml", "../../../share/install.toml")
		i.file("usr/lib/bootc/install/20.toml", "[install]\nnothing = 1\n")
		i.link("etc/bootc/install/20.toml", "/dev/null")
	}},
	{"a command that a drop-in replaces", func(i *image) {
		i.file("usr/lib/systemd/system/web.service", "[Service]\nExecStart=touch /usr/x\n")
		i.file("etc/systemd/system/web.service.d/10.conf", "[Service]\nExecStart=\nExecStart=touch /run/x\n")
	}},
	{"drop-ins that are masked and replaced", func(i *image) {
		i.file("usr/lib/systemd/system/web.service.d/10.conf", "[Service]\nReadWritePaths=/usr/x\n")
		i.link("etc/systemd/system/web.service.d/10.conf", "/dev/null")
		i.file("usr/lib/systemd/system/web.service.d/20.conf", "[Service]\nReadWritePaths=/usr/x\n")
		i.file("etc/systemd/system/web.service.d/20.conf", "[Service]\nReadWritePaths=/srv/x\n")
	}},
	{"a service for a writable /usr", func(i *image) {
		i.file("usr/lib/systemd/system/web.service", "[Unit]\nConditionPathIsReadWrite=/usr\n[Service]\nExecStart=touch /usr/x\n")
	}},
	{"a service with another root", func(i *image) {
		i.file("usr/lib/systemd/system/web.service", "[Service]\nRootDirectory=/srv/web\nExecStart=touch /usr/x\n")
	}},
	{"setuid in a sticky directory of root", func(i *image) {
		i.file("usr/lib/games/run", "ELF").Mode |= setuid
		i.node("usr/lib/games").Mode |= 0o1777
	}},
	{"a kernel after the mistake of 7.0", func(i *image) {
		i.set("usr/lib/modules/7.0.10-200.fc44.x86_64", i.node("usr/lib/modules/6.12.1"))
		i.remove("usr/lib/modules/6.12.1")
	}},
	{"a clock that is a little ahead", func(i *image) { i.node("usr/bin/su").Mtime.Sec = i.Now.Add(50 * time.Minute).Unix() }},
	{"a sealed image", func(i *image) {
		i.remove("usr/lib/modules/6.12.1/vmlinuz")
		i.file("boot/EFI/Linux/os.efi", string(ukitest.UKIWith("composefs="+strings.Repeat("0", 128), string(i.node("usr/lib/modules/6.12.1/initramfs.img").Inline))))
	}},
	{"ostree with all that it needs", func(i *image) {
		i.link("ostree", "sysroot/ostree")
		i.file("usr/lib/ostree/prepare-root.conf", "[sysroot]\nreadonly = true\n\n[composefs]\nenabled = yes\n")
		i.Bootc = true
	}},
}

func TestGood(t *testing.T) {
	for _, tt := range good {
		t.Run(tt.name, func(t *testing.T) {
			i := cleanImage(t)
			tt.make(i)
			if r := lintImage(t, i); len(r.Findings) > 0 || len(r.Kept) != len(Rules) {
				t.Errorf("found %+v, failed %+v; want nothing", r.Findings, r.Failed)
			}
		})
	}
}
