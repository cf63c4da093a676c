package machines

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// What finalize says by MESSAGE_ID, see finalize/sysupdate-image.catalog.
const (
	msgArmed      = "de85f39f99064808b2815b97d7b73e81"
	msgRearmed    = "32be5d0bbe9848f28599dc24314347fb"
	msgFinalized  = "6658fc9695d5498d9f009460b1e4aba5"
	msgFailed     = "c96aca95118e49439b8c90fbd8655e3f"
	msgBootFailed = "0f91be29760946c3a3a3cc2798a2d936"
)

// A down brings a machine down by one of the ways there are, and up again.
type down struct {
	name string
	do   func(ctx context.Context, t *testing.T, m *vm.Machine, cfg vm.Config) *vm.Machine
}

// TestTenUpdates updates ten times in a row from one image to the other and back,
// by each way that a machine goes down, and finds as much room used in the end as
// after the second time.
func TestTenUpdates(t *testing.T) {
	t.Parallel()
	ctx := needLong(t)
	m, cfg := booted(ctx, t, vm.PC, "v1", "v2", "podman", "transient")
	m.Do(ctx, t, keepJournal)

	again := down{"reboot", byReboot}
	ways := []down{
		{"soft reboot, and reboot", bySoftReboot}, {"power button", byPowerButton},
		{"reboot after one that could not finalize", afterFailure}, {"halt", byHalt}, {"poweroff", byPowerOff},
		{"apply --reboot", nil}, again, again, again, again,
	}
	images := []string{"1", "2"}
	var second usage
	for i, way := range ways {
		began := time.Now()
		want := images[(i+1)%2]
		m = update(ctx, t, m, cfg, "127.0.0.1:5000/os:v"+want, way)
		if got := version(ctx, t, m); got != want {
			t.Fatalf("after %s, version %s runs; want %s\n%s", way.name, got, want, m.Do(ctx, t, "sysupdate-image status; journalctl --no-pager -b -1 | tail -n 60"))
		}
		contains(t, "the journal of "+way.name, messages(ctx, t, m, -1, msgFinalized), " boots next")
		proved(ctx, t, m)
		t.Logf("update %d, by %s: %s", i+1, way.name, time.Since(began).Round(time.Second))
		if i == 1 {
			second = used(ctx, t, m)
		}
	}
	last := used(ctx, t, m)
	if last.files != second.files {
		t.Errorf("files after ten updates that were not there after two:\n%s\nand the other way round:\n%s",
			diffLines(second.files, last.files), diffLines(last.files, second.files))
	}
	// Directories do not shrink when files are removed.
	if grown := last.root - second.root; grown < -1024 || grown > 1024 || last.esp != second.esp {
		t.Errorf("%d KiB of root file system and %d KiB of boot partition used; after two updates %d and %d\n%s",
			last.root, last.esp, second.root, second.esp, m.Do(ctx, t, "fsck.vfat -nv "+esp+" || true"))
	}
	t.Logf("used after two updates: %d KiB on the root file system besides /var, %d KiB on the boot partition; after ten: %d, %d",
		second.root, second.esp, last.root, last.esp)
	m.Do(ctx, t, "sysupdate-image repo fsck")
	contains(t, "an explained journal", m.Do(ctx, t, "journalctl --no-pager --boot=-1 --catalog MESSAGE_ID="+msgFinalized),
		"its boot entry has been published")
}

// update stages an image and has it take over.
func update(ctx context.Context, t *testing.T, m *vm.Machine, cfg vm.Config, ref string, way down) *vm.Machine {
	t.Helper()
	m.Do(ctx, t, "systemctl start test-registry")
	if way.do == nil {
		if err := m.RebootBy(ctx, "sysupdate-image apply --reboot "+ref); err != nil {
			t.Fatal(err)
		}
	} else {
		m.Do(ctx, t, "sysupdate-image apply "+ref)
		contains(t, "the journal", messages(ctx, t, m, 0, msgArmed), "takes over when this system shuts down")
		m = way.do(ctx, t, m, cfg)
	}
	settled(ctx, t, m)
	return m
}

// keepJournal has the journal outlive a boot.
const keepJournal = `mkdir -p /var/log/journal && systemctl restart systemd-journald && journalctl --flush`

// messages returns what a boot's journal has of one kind.
func messages(ctx context.Context, t *testing.T, m *vm.Machine, boot int, id string) string {
	t.Helper()
	number := "0"
	if boot < 0 {
		number = "-1"
	}
	return m.Do(ctx, t, "journalctl --sync; journalctl --no-pager --output=cat --boot="+number+" MESSAGE_ID="+id)
}

// usage is what updates use of a disk.
type usage struct {
	files     string // a line each: on the root file system by name, on the boot partition by size
	root, esp int    // KiB that are used; besides /var, and besides the directory of entries
}

// used returns what is used of the disk in the places that updates change. What
// the system itself has changed below /var and in /etc does not count. Files of the
// boot partition have no names here, as those of entries count upwards, and their
// directory grows: the firmware appends to it whenever a boot is counted.
func used(ctx context.Context, t *testing.T, m *vm.Machine) usage {
	t.Helper()
	var u usage
	out := m.Do(ctx, t, diskUse)
	if n, err := fmt.Sscanf(out, "%d %d\n", &u.root, &u.esp); n != 2 {
		t.Fatalf("disk use is %q: %v", out, err)
	}
	_, u.files, _ = strings.Cut(out, "\n")
	return u
}

const diskUse = `set -e
sync
mkdir -p /run/esp && mount ` + esp + ` /run/esp
cd /sysroot
echo $(( ($(stat --file-system --format '(%b-%f)*%S' .) - $(du --summarize --block-size=1 state/os | cut -f1)) / 1024 )) $(( $(df --output=used /run/esp | tail -n 1) - $(stat --format %s /run/esp/loader/entries) / 1024 ))
find composefs state/deploy state/sysupdate-image -type f ! -path '*/etc/upper/*' ! -path '*/etc/work/*' ! -name etc-report.json -printf '%s %p\n' | sort
find /run/esp -type f -printf '%s on the boot partition\n' | sort
find /run/esp -mindepth 1 -type d ! -path /run/esp/loader/entries -printf '%s %P/ on the boot partition\n' | sort
umount /run/esp`

func byReboot(ctx context.Context, t *testing.T, m *vm.Machine, _ vm.Config) *vm.Machine {
	t.Helper()
	reboot(ctx, t, m)
	return m
}

func byPowerOff(ctx context.Context, t *testing.T, m *vm.Machine, cfg vm.Config) *vm.Machine {
	t.Helper()
	if err := m.PowerOff(ctx); err != nil {
		t.Fatal(err)
	}
	return vm.Boot(ctx, t, cfg)
}

func byPowerButton(ctx context.Context, t *testing.T, m *vm.Machine, cfg vm.Config) *vm.Machine {
	t.Helper()
	if err := m.PressPowerButton(ctx); err != nil {
		t.Fatal(err)
	}
	if err := m.WaitOff(ctx); err != nil {
		t.Fatal(err)
	}
	contains(t, "the console", m.Console(), "sysupdate-image-finalize: deployment ")
	return vm.Boot(ctx, t, cfg)
}

func byHalt(ctx context.Context, t *testing.T, m *vm.Machine, cfg vm.Config) *vm.Machine {
	t.Helper()
	if err := m.Halt(ctx); err != nil {
		t.Fatal(err)
	}
	return vm.Boot(ctx, t, cfg)
}

// bySoftReboot restarts all but the kernel first. The system is the same then,
// whole, and what it changes in /etc until it goes down is not lost.
func bySoftReboot(ctx context.Context, t *testing.T, m *vm.Machine, _ vm.Config) *vm.Machine {
	t.Helper()
	before := version(ctx, t, m)
	if err := m.SoftReboot(ctx); err != nil {
		t.Fatal(err)
	}
	settled(ctx, t, m)
	if got := version(ctx, t, m); got != before {
		t.Errorf("after a soft reboot version %s runs; want %s", got, before)
	}
	m.Do(ctx, t, "findmnt /etc && findmnt /var && findmnt /sysroot && echo soft > /etc/after-soft-reboot && test -e /var/lib/dpkg/status")
	contains(t, "the journal", messages(ctx, t, m, 0, msgFinalized), " boots next")
	contains(t, "the journal", messages(ctx, t, m, 0, msgArmed), "what changes in /etc until then is carried over at shutdown")
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "boots next, once this system shuts down")
	reboot(ctx, t, m)
	m.Do(ctx, t, `test "$(cat /etc/after-soft-reboot)" = soft && rm /etc/after-soft-reboot`)
	return m
}

// afterFailure hides the staged boot entry during a shutdown. The machine comes
// back with the system that it had, and status says why.
func afterFailure(ctx context.Context, t *testing.T, m *vm.Machine, _ vm.Config) *vm.Machine {
	t.Helper()
	const move = "mkdir -p /run/esp && mount " + esp + " /run/esp && mv /run/esp/%/*.conf.staged /run/esp/% && umount /run/esp"
	at := func(from, to string) string { return strings.Replace(strings.Replace(move, "%", from, 1), "%", to, 1) }
	before := version(ctx, t, m)
	m.Do(ctx, t, at("loader/entries", "loader"))
	reboot(ctx, t, m)
	settled(ctx, t, m)
	if got := version(ctx, t, m); got != before {
		t.Errorf("after finalize failed version %s runs; want %s", got, before)
	}
	contains(t, "the journal", messages(ctx, t, m, -1, msgFailed), "cannot finalize deployment ")
	contains(t, "the journal", messages(ctx, t, m, 0, msgRearmed), "finalize failed: cannot publish boot entry")
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "it was staged one boot ago, and finalize failed: cannot publish boot entry", "journalctl --boot=")
	m.Do(ctx, t, at("loader", "loader/entries"))
	reboot(ctx, t, m)
	return m
}
