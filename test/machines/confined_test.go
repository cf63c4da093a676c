package machines

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/vmtest"
)

// TestConfined stages an update by the unit in docs/security.md.
func TestConfined(t *testing.T) {
	t.Parallel()
	ctx := need(t, 30*time.Minute)
	m := vmtest.Boot(ctx, t, installedWith(ctx, t, "v1", "v2", "broken", "sid"))
	settled(ctx, t, m)
	m.Do(ctx, t, "systemctl start test-registry && cat >/etc/systemd/system/update.service <<'EOF'\n"+confinedUnit(t)+"EOF\n"+
		"sed -i 's,^ExecStart=.*,& "+v2+",' /etc/systemd/system/update.service && systemctl daemon-reload")
	out := m.Do(ctx, t, "systemctl start update || { journalctl --no-pager -u update; false; }; systemd-analyze security update | tail -n 1; sysupdate-image status")
	contains(t, "status", out, "staged", "boots next")
	reboot(ctx, t, m)
	if got := version(ctx, t, m); got != "2" {
		t.Errorf("version %s runs; want 2\n%s", got, out)
	}
	t.Log(out)
}

// confinedUnit returns the unit that the documentation has.
func confinedUnit(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "```ini\n")
	unit, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatal("docs/security.md has no unit")
	}
	return unit
}
