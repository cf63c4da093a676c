package verify

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// How the root is found has to fit the disk that was read.
func TestNamed(t *testing.T) {
	one := rootPartition{fsUUID: "0f", partUUID: "0e", ofType: 1, typed: true}
	two := rootPartition{fsUUID: "0f", partUUID: "0e", ofType: 2, typed: true}
	for _, tt := range []struct {
		root    rootPartition
		options string
		want    string // the beginning of an error begins with !
	}{
		{one, "rw composefs=x", "found by the type of its partition"},
		{two, "rw composefs=x", "!there is no root= in the boot entry, and 2 partitions with the type of a root"},
		{two, "rw root=UUID=0F", "found by root=UUID=0F"},
		{one, "root=PARTUUID=0e rw", "found by root=PARTUUID=0e"},
		{one, "root=UUID=aa rw", "!the boot entry has root=UUID=aa, which is another one"},
		{one, "root=UUID=aa root=/dev/sda2", "by root=/dev/sda2, which is not looked at"},
	} {
		got, err := tt.root.named(tt.options)
		if err != nil {
			got = "!" + err.Error()
		}
		if got != tt.want {
			t.Errorf("named(%q) = %q; want %q", tt.options, got, tt.want)
		}
	}
}

func TestReadable(t *testing.T) {
	err := readable(fmt.Errorf("open: %w", syscall.EOPNOTSUPP))
	if !strings.Contains(err.Error(), "this kernel has no fs-verity") {
		t.Errorf("readable = %v", err)
	}
	if err := readable(syscall.EIO); err != syscall.EIO {
		t.Errorf("readable = %v; want the same", err)
	}
}
