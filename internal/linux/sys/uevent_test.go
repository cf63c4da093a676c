package sys_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// TestUevents has the kernel announce a device that is always there.
func TestUevents(t *testing.T) {
	u, err := sys.OpenUevents()
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if got, err := u.Next(time.Now().Add(10 * time.Millisecond)); err == nil {
		t.Logf("the machine was busy: %q", got)
	} else if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Next without a message: %v; want %v", err, os.ErrDeadlineExceeded)
	}
	const device = "/devices/virtual/mem/null"
	if err := os.WriteFile("/sys"+device+"/uevent", []byte("change"), 0); err != nil {
		t.Skipf("not root, or sysfs is read-only: %v", err)
	}
	// What has come is there, even if there is no time to wait for it.
	for until := time.Now(); ; {
		got, err := u.Next(until)
		if err != nil {
			t.Fatalf("Next: %v; want the event of %s", err, device)
		}
		if strings.HasPrefix(string(got), "change@"+device+"\x00") {
			return
		}
	}
}
