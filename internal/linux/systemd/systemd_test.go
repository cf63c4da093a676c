package systemd

import (
	"context"
	"strings"
	"testing"
)

// Without a bus, the message says what was to be done.
func TestNoBus(t *testing.T) {
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+t.TempDir()+"/none")
	err := rebootByLogind(context.Background(), 0)
	if err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("rebootByLogind error is %v; want one that names the bus", err)
	}
}

func TestStartUnitCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := StartUnit(ctx, "nothing.service")
	if err == nil || !strings.HasPrefix(err.Error(), "cannot start nothing.service: ") {
		t.Errorf("StartUnit error is %v; want one that names the unit", err)
	}
}
