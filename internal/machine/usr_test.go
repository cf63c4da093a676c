package machine

import (
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
)

func TestUsrLayerOf(t *testing.T) {
	id := strings.Repeat("a", 128)
	tests := []struct {
		name, lines   string
		want          UsrLayer
		transientRoot bool
	}{
		{"none", "20 1 0:30 / / ro - overlay composefs:" + id + " ro\n", NoUsrLayer, false},
		{"the image itself", "20 1 0:30 / / ro - overlay composefs:" + id + " ro\n21 20 0:30 /usr /usr ro - overlay composefs:" + id + " ro\n", NoUsrLayer, false},
		{"writable", "20 1 0:30 / / ro - overlay composefs:" + id + " ro\n21 20 0:31 / /usr rw - overlay transient rw\n", UsrWritable, false},
		{"read-only", "20 1 0:30 / / ro - overlay composefs:" + id + " ro\n21 20 0:31 / /usr ro - overlay transient rw\n", UsrReadOnly, false},
		{"extensions", "20 1 0:30 / / ro - overlay composefs:" + id + " ro\n21 20 0:31 / /usr ro - overlay sysext rw\n", UsrExtensions, false},
		{"another file system", "20 1 0:30 / / rw - ext4 /dev/vda2 rw\n21 20 8:1 / /usr rw - ext4 /dev/vda1 rw\n", NoUsrLayer, false},
		{"transient root", "20 1 0:30 / / rw - overlay transient:composefs=" + id + " rw\n", NoUsrLayer, true},
	}
	for _, tt := range tests {
		mounts, err := mountplan.ParseMountinfo(tt.lines)
		if err != nil {
			t.Fatal(err)
		}
		if got := UsrLayerOf(mounts); got != tt.want {
			t.Errorf("%s: UsrLayerOf() = %q; want %q", tt.name, got, tt.want)
		}
		if got := IsTransientRoot(mounts); got != tt.transientRoot {
			t.Errorf("%s: IsTransientRoot() = %v; want %v", tt.name, got, tt.transientRoot)
		}
	}
}
