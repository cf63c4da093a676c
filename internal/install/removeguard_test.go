package install

import (
	"errors"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
)

func TestMountedFrom(t *testing.T) {
	const own = "1 0 8:2 / /sysroot rw - ext4 /dev/sda2 rw\n2 0 0:30 / / ro - overlay composefs:x ro\n3 2 8:2 /state/os/default/var /var rw - ext4 /dev/sda2 rw\n" +
		"4 2 8:1 / /boot rw - vfat /dev/sda1 rw\n5 2 8:2 /home /var/home rw - ext4 /dev/sda2 rw\n6 2 8:3 /usr /mnt rw - ext4 /dev/sda3 rw\n"
	for name, tt := range map[string]struct{ mounts, want string }{
		"nothing of the old system":  {own, ""},
		"another name":               {own + "7 2 8:2 /various /mnt rw - ext4 /dev/sda2 rw\n", ""},
		"a directory of it":          {own + "7 2 8:2 /var/lib/db /var/lib/db rw - ext4 /dev/sda2 rw\n", "var"},
		"all of one":                 {own + "7 2 8:2 /usr /mnt rw - ext4 /dev/sda2 rw\n", "usr"},
		"a file system in it":        {own + "7 1 8:9 / /sysroot/var/lib/data rw - ext4 /dev/sdb1 rw\n", "var"},
		"a subvolume":                {"1 0 0:40 /@ /sysroot rw - btrfs /dev/sda2 rw\n2 1 0:40 /@/var/lib/db /db rw - btrfs /dev/sda2 rw\n", "var"},
		"another subvolume":          {"1 0 0:40 /@ /sysroot rw - btrfs /dev/sda2 rw\n2 1 0:40 /var /db rw - btrfs /dev/sda2 rw\n", ""},
		"no mount table of its root": {"", ""},
	} {
		mounts, err := mountplan.ParseMountinfo(tt.mounts)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if e, ok := errors.AsType[*OldNeededError](mountedFrom(mounts, []string{"usr", "var"})); ok {
			got = e.Name
		}
		if got != tt.want {
			t.Errorf("%s: %q is needed; want %q", name, got, tt.want)
		}
	}
}
