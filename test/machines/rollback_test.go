package machines

import (
	"cmp"
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

var rewrite = flag.Bool("rewrite", false, "write the screens to testdata")

// A fault is what is wrong with an update.
type fault struct {
	name    string
	image   string // other than that of the starter
	before  string // a script before the update
	after   string // a script after it, with the ESP at /mnt and the staged entry as $entry
	repair  string // a script for version 1 that takes back what is left of it
	silent  bool   // the update never comes as far as to run a program of ours
	loader  bool   // only a loader can count it
	sealed  bool   // a sealed image can have it
	console string // what the console says
	boots   int    // how many it takes until version 1 is back; 4 if this is 0
}

const hasVersion1 = `. /etc/os-release; test "$IMAGE_VERSION" = 1`

// faults are in the order in which they happen to a machine. Objects are put back, since an
// update would keep the damaged ones.
var faults = []fault{
	{
		name: "failing unit", sealed: true,
		before: unitThat("/bin/sh -c '" + strings.ReplaceAll(hasVersion1, "$", "$$") + "'"),
		repair: noUnit,
	},
	{
		name: "failing check", sealed: true,
		before: checkThat(hasVersion1 + " || { echo no database; exit 7; }"),
		repair: "rm -r /etc/sysupdate-image/check.d",
	},
	{
		name: "hanging check", sealed: true,
		before: checkThat(hasVersion1+" || sleep 10000") + `
echo 'check-timeout = "10s"' > /etc/sysupdate-image/update.toml`,
		repair: "rm -r /etc/sysupdate-image/check.d /etc/sysupdate-image/update.toml",
	},
	{
		name: "no init", image: "127.0.0.1:5000/os:noinit", silent: true,
		console: "the image has no program to start",
	},
	{
		name: "wrong arguments", silent: true, loader: true,
		after:   "sed -i 's,^options ,options init=/usr/bin/none ,' $entry",
		console: "the image has no program to start",
	},
	{
		name: "initramfs that panics", silent: true, loader: true,
		after:   "echo none > /mnt/none.img && sed -i 's,^initrd .*,initrd /none.img,' $entry",
		console: "Kernel panic",
		repair:  "mount " + esp + " /mnt && rm /mnt/none.img && umount /mnt",
	},
	{
		// As with a loader that does not count, or cannot write.
		name: "entry as it was", loader: true,
		before: unitThat(renames("+3-0")),
		repair: noUnit,
	},
	{
		name: "absurd tries", loader: true,
		before: unitThat(renames("+99999")),
		repair: noUnit,
	},
	{
		name:   "damaged object",
		before: unitThat("/bin/sh -c '" + strings.ReplaceAll(hasVersion1, "$", "$$") + " || hello'"),
		after: `mkdir /run/image && sysupdate-image image mount staged /run/image
program=/run/image/usr/bin/hello
for object in $(find /sysroot/composefs/objects -type f -size $(stat -c %s $program)c); do
	cmp -s $object $program && break
done
umount /run/image && rmdir /run/image
` + damages,
		repair: noUnit + " && " + repairs,
	},
	{
		// Such an update is never published.
		name: "damaged image", boots: 1, silent: true, sealed: true,
		after: `link=/sysroot/composefs/images/$(sed -n 's/.*"depl_id": *"\([0-9a-f]*\)".*/\1/p' /sysroot/state/sysupdate-image/staged.json)
object=$(readlink -f $link)
` + damages,
		repair:  repairs,
		console: "the running system boots next",
	},
}

// Commands that replace $object by as many zeros, and put it back.
const (
	damages = writable + `
mv $object /sysroot/kept
head -c $(stat -c %s /sysroot/kept) /dev/zero > $object
echo $object > /sysroot/object
`
	repairs  = writable + " && mv -f /sysroot/kept $(cat /sysroot/object)"
	writable = "mount -o remount,bind,rw /sysroot"
)

func unitThat(runs string) string {
	return `cat > /etc/systemd/system/test-fails.service <<'EOF'
[Unit]
Description=Service that a healthy boot requires
Before=boot-complete.target
[Service]
Type=oneshot
ExecStart=` + runs + `
[Install]
RequiredBy=boot-complete.target
EOF
systemctl --quiet enable test-fails.service`
}

// renames returns the command of a service that fails in an update, and gives its boot entry
// other tries first.
func renames(tries string) string {
	return `/bin/sh -c '. /etc/os-release; test "$$IMAGE_VERSION" = 1 && exit; mount ` + esp + ` /mnt && ` +
		`for f in /mnt/loader/entries/*+*.conf; do mv $$f $${f%%+*}` + tries + `.conf; done; umount /mnt; exit 1'`
}

const noUnit = "systemctl --quiet disable test-fails.service && rm /etc/systemd/system/test-fails.service"

func checkThat(runs string) string {
	return `mkdir -p /etc/sysupdate-image/check.d
cat > /etc/sysupdate-image/check.d/20-test <<'EOF'
#!/bin/sh
` + runs + `
EOF
chmod 755 /etc/sysupdate-image/check.d/20-test`
}

// A starter is what boots a machine, and what it boots.
type starter struct {
	name   string
	kind   vm.Kind
	loader string // the version of systemd-boot
	image  string
}

var starters = []starter{
	{"no loader", vm.UML, "", v2},
	{"systemd-boot 257", vm.PC, "257", v2},
	{"systemd-boot 262", vm.PC, "26", v2},
	{"systemd-boot 257, sealed", vm.PC, "257", uki},
	{"systemd-boot 262, sealed", vm.PC, "26", uki},
}

// TestRollback updates machines to a version with each fault. After three boots of it they are
// back in version 1, and status tells what it was.
func TestRollback(t *testing.T) {
	for _, s := range starters {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			ctx := needLong(t)
			m, cfg := booted(ctx, t, s.kind, "noinit", strings.TrimPrefix(s.image, "127.0.0.1:5000/os:"))
			m.Do(ctx, t, keepJournal)
			if s.loader == "26" {
				replaceLoader(ctx, t, m)
				reboot(ctx, t, m)
				settled(ctx, t, m)
			}
			for _, f := range faults {
				if f.loader && s.loader == "" || !f.sealed && s.image == uki {
					continue
				}
				if !t.Run(f.name, func(t *testing.T) { f.rollsBack(ctx, t, s, m) }) {
					return // the next one needs a machine that is back
				}
			}
			t.Run("power cuts", func(t *testing.T) { powerCuts(ctx, t, s, m, cfg) })
		})
	}
}

// rollsBack updates a machine to a version with the fault, and waits until it is back.
func (f fault) rollsBack(ctx context.Context, t *testing.T, s starter, m *vm.Machine) {
	t.Helper()
	m.Do(ctx, t, "systemctl start test-registry\n"+f.before)
	m.Do(ctx, t, "sysupdate-image apply --force "+cmp.Or(f.image, s.image))
	if f.after != "" {
		m.Do(ctx, t, "set -e\nmount "+esp+" /mnt\nentry=$(ls /mnt/loader/entries/*.staged)\n"+f.after+"\ncd /\numount /mnt")
	}
	screens := "staged:\n" + m.Do(ctx, t, "sysupdate-image status")
	began, bootsBefore, said := time.Now(), bootsOf(m), len(m.Console())
	startReboot(ctx, t, m)
	during := waitBack(ctx, t, m)
	settled(ctx, t, m)
	boots := bootsOf(m) - bootsBefore
	t.Logf("| %s | %s | %d | %.0f s |", s.name, f.name, boots, time.Since(began).Seconds())
	if want := cmp.Or(f.boots, 4); boots != want {
		t.Errorf("%s: back in version 1 after %d boots; want %d", f.name, boots, want)
	}
	if f.silent != (during == "") {
		t.Errorf("%s: on trial, status says:\n%s", f.name, during)
	}
	if during != "" {
		screens += "\n\non trial:\n" + during
	}
	contains(t, f.name+": the console", m.Console()[said:], f.console)
	screens += "\n\nback:\n" + m.Do(ctx, t, "sysupdate-image status")
	f.looks(t, s, screens)
	if f.repair != "" {
		m.Do(ctx, t, "set -e\n"+f.repair)
	}
}

// bootsOf returns how many kernels the machine has started.
func bootsOf(m *vm.Machine) int { return strings.Count(m.Console(), "Linux version") }

// waitBack lets a machine boot until version 1 runs, and returns the last screen of status
// before.
func waitBack(ctx context.Context, t *testing.T, m *vm.Machine) (during string) {
	t.Helper()
	for {
		if _, err := m.WaitBoot(ctx); err != nil {
			t.Fatal(err)
		}
		got, err := m.Must(ctx, imageVersion)
		if err == nil && got == "1" {
			return during
		}
		if _, err := m.Must(ctx, "systemctl is-active --quiet boot-complete.target"); err == nil {
			t.Fatalf("version %s has booted completely", got)
		}
		// It may go down before it has answered.
		if got, err := m.Must(ctx, "sysupdate-image status"); err == nil {
			during = got
		}
	}
}

// powerCuts cuts the power of each boot of an update at another stage.
func powerCuts(ctx context.Context, t *testing.T, s starter, m *vm.Machine, cfg vm.Config) {
	t.Helper()
	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply --force "+s.image)
	if err := m.PowerOff(ctx); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	stages := []string{"Run /init as init process", "sysupdate-image-init: starting", "Reached target slices.target", "Reached target local-fs.target"}
	if s.loader != "" {
		stages = stages[1:] // it has counted before the kernel starts
	}
	for _, stage := range stages {
		m := vm.Launch(ctx, t, cfg)
		if err := m.WaitConsole(ctx, stage); err != nil {
			t.Fatal(err)
		}
		m.Kill()
	}
	m = vm.Boot(ctx, t, cfg)
	settled(ctx, t, m)
	if got := version(ctx, t, m); got != "1" {
		t.Fatalf("with no boots left, version %s runs; want 1", got)
	}
	t.Logf("| %s | power cuts | %d | %.0f s |", s.name, len(stages)+1, time.Since(began).Seconds())
	fault{name: "power cuts"}.looks(t, s, "back:\n"+m.Do(ctx, t, "sysupdate-image status"))
}

// looks compares screens of status with those in testdata, which are the same whatever boots
// the machine.
func (f fault) looks(t *testing.T, s starter, screens string) {
	t.Helper()
	name := f.name
	if s.image == uki {
		name += " sealed"
	}
	name = filepath.Join("testdata", "rollback", strings.ReplaceAll(name, " ", "-")+".txt")
	got := settle(screens) + "\n"
	if *rewrite {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Error(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil || string(want) != got {
		t.Errorf("%s: status says:\n%s\nwant, from %s:\n%s", f.name, got, name, want)
	}
}

// changing is what is different from one run to the next.
var changing = []struct{ what, as string }{
	{`\b[0-9a-f]{12,}\b`, "ID"},
	{`\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?( UTC)?`, "TIME"},
	{`kernel [^ ,]+`, "kernel VERSION"},
	{`\b\d+ (second|minute|hour)s? ago`, "TIME ago"},
}

// settle replaces what is different from one run to the next.
func settle(screens string) string {
	for _, c := range changing {
		screens = regexp.MustCompile(c.what).ReplaceAllString(screens, c.as)
	}
	return screens
}

// TestUnstable updates to all of Debian sid, whose systemd marks the boot as good, and from there
// to an image that never gets to boot-complete.target.
func TestUnstable(t *testing.T) {
	t.Parallel()
	ctx := needLong(t)
	m, _ := booted(ctx, t, vm.PC, "unstable", "broken")
	m.Do(ctx, t, keepJournal)
	replaceLoader(ctx, t, m)
	to(ctx, t, m, "sysupdate-image apply 127.0.0.1:5000/os:unstable", "unstable")
	loaderIs(ctx, t, m, "26")
	blessed(ctx, t, m)
	t.Log(m.Do(ctx, t, "systemctl --version | head -n 1"))
	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply 127.0.0.1:5000/os:broken")
	began, before := time.Now(), bootsOf(m)
	startReboot(ctx, t, m)
	waitFor(ctx, t, m, imageVersion, "unstable")
	settled(ctx, t, m)
	t.Logf("| systemd of sid | failing unit | %d | %.0f s |", bootsOf(m)-before, time.Since(began).Seconds())
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "failed 3 times", "test-broken.service")
}
