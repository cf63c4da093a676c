package prepareroot

import (
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/image/rootconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

func TestKeepUsr(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		k, err := ProbeKernel()
		if err != nil {
			t.Fatal(err)
		}
		m := newMachine(t)
		if err := syscall.Mount(m.sysroot, m.sysroot, "", syscall.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := m.apply(Plan(m.input(rootconfig.Config{})), k); err != nil {
			t.Fatalf("Apply = %v", err)
		}
		for _, tt := range []struct {
			fstab string
			want  bool
		}{
			{"UUID=1 / ext4 defaults 0 1\n#UUID=2 /usr ext4\n", false},
			{"UUID=1 / ext4 defaults 0 1\nUUID=2 /usr/ ext4 ro,x-initrd.mount 0 2\n", true},
		} {
			mustWrite(t, m.path("etc/fstab"), tt.fstab)
			if err := keepUsr(m.sysroot); err != nil {
				t.Errorf("keepUsr with %q = %v", tt.fstab, err)
			}
			if _, got := mountplan.At(mounted(t), m.path("usr")); got != tt.want {
				t.Errorf("with %q, /usr is a mount point: %v; want %v", tt.fstab, got, tt.want)
			}
		}
		wantFile(t, m.path("usr/tool"), toolText)
		wantNoWrite(t, m.path("usr/new"))
	})
}
