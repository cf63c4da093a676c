package machines

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/repair"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/powercut/replay"
	"github.com/sysupdate-image/sysupdate-image/test/powercut/writelog"
)

// TestPowercutBooted records what a real machine writes during an update and really
// boots, with firmware, loader and the entry's own kernel, what power cuts in the
// middle of it would have left. docs/internals/crash.md says how to see a failure again.
func TestPowercutBooted(t *testing.T) {
	t.Parallel()
	ctx := needLong(t)
	cfg := installed(ctx, t, "v2", "sid")
	seed := cutSeed(t)
	r := recordedUpdate(ctx, t, cfg)
	medium := filepath.Join(t.TempDir(), "medium")
	copySparse(ctx, t, medium, filepath.Join(r.dir, "base"))
	done := 0
	for i, c := range r.cuts(t, seed) {
		if err := onDisk(medium, func(disk *os.File) error { return replay.Put(disk, r.entries, done, c.Durable) }); err != nil {
			t.Fatal(err)
		}
		done = c.Durable
		t.Run(fmt.Sprintf("%d %s", i, c.phase), func(t *testing.T) {
			t.Logf("seed %d, %s: %s", seed, c.phase, c)
			r.boot(ctx, t, cfg, medium, c, i%4 == 2)
		})
	}
}

// cutSeed returns the seed by which power cuts are chosen.
func cutSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("SYSUPDATE_POWERCUT_SEED")
	if text == "" {
		return uint64(time.Now().Unix())
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

// A recording is what a machine wrote while it was updated, and at which entries
// of the log what had happened.
type recording struct {
	dir     string // has base, what was on the disk before, and log
	entries []writelog.Entry
	// The deployments that ran before and after.
	Old, New string
	ESP      replay.Area
	// How many entries the log had when: the first marks were synced and apply began;
	// it had returned; the second marks were synced and the shutdown began;
	// finalize had said that it was done; the new version was blessed; its
	// predecessor had been removed.
	Apply, Applied, Down, Finalized, Blessed, Pruned int
	// What finalize wrote to the boot partition.
	publishFrom, publishTo int
}

// recordedUpdate records an update, or takes the recording that the environment
// names.
func recordedUpdate(ctx context.Context, t *testing.T, cfg vm.Config) *recording {
	t.Helper()
	r := &recording{dir: t.TempDir()}
	if kept := os.Getenv("SYSUPDATE_POWERCUT_RECORDING"); kept != "" {
		r.dir = kept
	}
	file := filepath.Join(r.dir, "recording.json")
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.record(ctx, t, cfg)
		if data, err = json.Marshal(r); err == nil {
			err = os.WriteFile(file, data, 0o644)
		}
	case err == nil:
		err = json.Unmarshal(data, r)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.load(t)
	return r
}

// record updates a machine to an image with another kernel, so that the boot
// partition gets one, and removes the old deployment in the end.
func (r *recording) record(ctx context.Context, t *testing.T, cfg vm.Config) {
	t.Helper()
	if err := vm.Raw(ctx, filepath.Join(r.dir, "base"), cfg.Disks[0].Path); err != nil {
		t.Fatal(err)
	}
	cfg.Disks = slices.Clone(cfg.Disks)
	cfg.Disks[0].Log = filepath.Join(r.dir, "log")
	if err := os.WriteFile(cfg.Disks[0].Log, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	now := func() int {
		n, err := writelog.Count(cfg.Disks[0].Log)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	m := vm.Boot(ctx, t, cfg)
	settled(ctx, t, m)
	proved(ctx, t, m)
	r.Old = running(ctx, t, m)
	out := m.Do(ctx, t, "cd /sys/class/block/$(basename $(readlink -f "+esp+")) && cat start size")
	if _, err := fmt.Sscan(out, &r.ESP.Offset, &r.ESP.Size); err != nil {
		t.Fatal(err)
	}
	r.ESP.Offset *= replay.SectorSize
	r.ESP.Size *= replay.SectorSize

	m.Do(ctx, t, "systemctl start test-registry; "+mark("before"))
	r.Apply = now()
	m.Do(ctx, t, "sysupdate-image apply "+sid)
	r.Applied = now()
	m.Do(ctx, t, mark("after"))
	r.Down = now()
	if _, err := m.Run(ctx, "systemctl reboot --no-block"); err != nil && !vm.WentDown(err) {
		t.Fatal(err)
	}
	// The loader writes to the boot partition too, some seconds later.
	if err := m.WaitConsole(ctx, "sysupdate-image-finalize: deployment "); err != nil {
		t.Fatal(err)
	}
	r.Finalized = now()
	if _, err := m.WaitBoot(ctx); err != nil {
		t.Fatal(err)
	}
	settled(ctx, t, m)
	proved(ctx, t, m)
	r.New = running(ctx, t, m)
	m.Do(ctx, t, "systemctl start systemd-bless-boot.service") // that is: wait until it has synced
	r.Blessed = now()
	m.Do(ctx, t, "sysupdate-image prune && sysupdate-image rm rollback && sync")
	r.Pruned = now()
	if err := m.PowerOff(ctx); err != nil {
		t.Fatal(err)
	}
}

// mark makes a file in /etc and one in /var, which survive a power cut.
func mark(name string) string {
	return fmt.Sprintf("for dir in /etc /var/lib; do echo %[1]s > $dir/mark-%[1]s && sync $dir/mark-%[1]s $dir || exit 1; done", name)
}

// running returns the deployment that a machine says it runs.
func running(ctx context.Context, t *testing.T, m *vm.Machine) string {
	t.Helper()
	var host struct {
		Status struct {
			Booted struct{ Composefs struct{ Verity string } }
		}
	}
	out := m.Do(ctx, t, "sysupdate-image status --json")
	if err := json.Unmarshal([]byte(out), &host); err != nil {
		t.Fatal(err)
	}
	return host.Status.Booted.Composefs.Verity
}

// load reads the log and finds in it what finalize wrote to the boot partition.
func (r *recording) load(t *testing.T) {
	t.Helper()
	var err error
	if r.entries, err = writelog.Map(filepath.Join(r.dir, "log")); err != nil {
		t.Fatal(err)
	}
	base, err := os.Stat(filepath.Join(r.dir, "base"))
	if err != nil {
		t.Fatal(err)
	}
	if err := replay.Check(r.entries, base.Size()); err != nil {
		t.Fatal(err)
	}
	r.findPublish(t)
	size, flushes := int64(0), 0
	for _, e := range r.entries[:r.Pruned] {
		size += e.Length
		if e.Flags&writelog.Flush != 0 {
			flushes++
		}
	}
	t.Logf("%d requests, %d of them flushes, %d MiB; apply %d to %d, shutdown %d, publish %d to %d, finalized %d, blessed %d, pruned %d",
		r.Pruned, flushes, size>>20, r.Apply, r.Applied, r.Down, r.publishFrom, r.publishTo, r.Finalized, r.Blessed, r.Pruned)
}

// findPublish finds where finalize makes the new deployment the next: from the copy of
// its entry, which is then renamed, to the flush after the last write there.
func (r *recording) findPublish(t *testing.T) {
	t.Helper()
	for i := r.Down; i < r.Finalized; i++ {
		e := r.entries[i]
		if !e.IsWrite() || e.Offset < r.ESP.Offset || e.Offset >= r.ESP.Offset+r.ESP.Size {
			continue
		}
		if r.publishFrom == 0 && bytes.Contains(e.Data, []byte(r.New)) {
			r.publishFrom = i
		}
		r.publishTo = i + 1
	}
	if r.publishFrom == 0 {
		t.Fatal("finalize wrote no boot entry")
	}
	for r.entries[r.publishTo-1].Flags&writelog.Flush == 0 {
		r.publishTo++
	}
}

// A phasedCut is a power cut, and what was going on.
type phasedCut struct {
	replay.Cut
	phase string
}

// String has no list of thousands of writes: the seed makes it again.
func (c phasedCut) String() string {
	if len(c.Pieces) > 30 {
		return fmt.Sprintf("power fails at entry %d, of the %d after the last flush arrived %d pieces", c.At, c.At-c.Durable, len(c.Pieces))
	}
	return c.Cut.String()
}

// cuts chooses power cuts, in the order of the log. The most are in the few writes
// that make another deployment the next.
func (r *recording) cuts(t *testing.T, seed uint64) []phasedCut {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	everywhere := replay.Area{Size: math.MaxInt64}
	var cuts []phasedCut
	for _, p := range []struct {
		name     string
		area     replay.Area
		from, to int
		kinds    []int // see replay.Choose
	}{
		{"apply", everywhere, r.Apply, r.Applied, []int{0, 1}},
		{"apply, boot partition", r.ESP, r.Apply, r.Applied, []int{5}},
		{"shutdown", everywhere, r.Down, r.publishFrom, []int{4}},
		{"publish", r.ESP, r.publishFrom, r.publishTo, []int{1, 2, 5}},
		{"finalized", everywhere, r.publishTo, r.Finalized, []int{4}},
		{"boot", everywhere, r.Finalized, r.Blessed, []int{5}},
		{"prune", everywhere, r.Blessed, r.Pruned, []int{1}},
		{"prune, boot partition", r.ESP, r.Blessed, r.Pruned, []int{4}},
	} {
		for _, kind := range p.kinds {
			var c replay.Cut
			// Most often there is one between two other flushes than those before.
			for range 20 {
				var ok bool
				if c, ok = replay.Choose(r.entries, p.area, p.from, p.to, kind, random); !ok {
					t.Fatalf("nothing was written during %s", p.name)
				}
				if !slices.ContainsFunc(cuts, func(other phasedCut) bool { return other.Durable == c.Durable }) {
					break
				}
			}
			cuts = append(cuts, phasedCut{c, p.name})
		}
	}
	slices.SortStableFunc(cuts, func(a, b phasedCut) int { return a.Durable - b.Durable })
	return cuts
}

// boot boots a machine from what a power cut left, on a medium that has all that
// is durable, and on if it is to take the next update as well.
func (r *recording) boot(ctx context.Context, t *testing.T, cfg vm.Config, medium string, c phasedCut, on bool) {
	t.Helper()
	began := time.Now()
	// The firmware has lost its variables as well: none decides what boots here.
	cfg.Dir = t.TempDir()
	disk := filepath.Join(cfg.Dir, "disk")
	copySparse(ctx, t, disk, medium)
	if err := onDisk(disk, func(f *os.File) error { return replay.PutPieces(f, r.entries, c.Pieces) }); err != nil {
		t.Fatal(err)
	}
	cfg.Disks = slices.Clone(cfg.Disks)
	cfg.Disks[0] = vm.Disk{Path: disk, Serial: cfg.Disks[0].Serial}

	m := vm.Boot(ctx, t, cfg)
	settled(ctx, t, m)
	if n := strings.Count(m.Console(), "Linux version "); n != 1 {
		t.Errorf("a kernel was started %d times; want once", n)
	}
	got := running(ctx, t, m)
	if want := r.allowed(c); !slices.Contains(want, got) {
		t.Errorf("deployment %.12s runs; want one of %.12s\n%s", got, want, m.Do(ctx, t, "sysupdate-image status"))
	}
	r.checkKept(ctx, t, m, c)
	t.Logf("version %s runs, after %s", version(ctx, t, m), time.Since(began).Round(time.Second))
	if !on {
		return
	}
	// The update that was under way, or the next one.
	ref, want := sid, "sid"
	if got == r.New {
		ref, want = v2, "2"
	}
	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply "+ref)
	reboot(ctx, t, m)
	settled(ctx, t, m)
	if got := version(ctx, t, m); got != want {
		t.Errorf("after the next update version %s runs; want %s", got, want)
	}
	r.checkKept(ctx, t, m, c)
	t.Logf("updated to version %s, after %s", want, time.Since(began).Round(time.Second))
}

// allowed returns the deployments that may run after a power cut.
func (r *recording) allowed(c phasedCut) []string {
	switch {
	case c.At <= r.publishFrom:
		return []string{r.Old}
	case c.At > r.Finalized && c.Durable < r.Blessed:
		// The loader and systemd-bless-boot rename the entry, and a rename on FAT can
		// leave none.
		return []string{r.Old, r.New}
	case c.Durable >= r.publishTo:
		return []string{r.New}
	}
	return []string{r.Old, r.New}
}

// checkKept finds what was synced before a power cut, and a whole repository.
func (r *recording) checkKept(ctx context.Context, t *testing.T, m *vm.Machine, c phasedCut) {
	t.Helper()
	for name, at := range map[string]int{"before": r.Apply, "after": r.Down} {
		if c.At < at {
			continue
		}
		for _, dir := range []string{"/etc", "/var/lib"} {
			if result, err := m.Run(ctx, "cat "+dir+"/mark-"+name); err != nil || result.Stdout != name+"\n" {
				t.Errorf("%s/mark-%s, which was synced, is %q: %v%s", dir, name, result.Stdout, err, result.Stderr)
			}
		}
	}
	checkWhole(ctx, t, m, c.At < r.Applied)
}

// checkWhole finds nothing wrong with the repository, but for files that are nothing
// yet, where an apply was cut off: it leaves them to the next.
func checkWhole(ctx context.Context, t *testing.T, m *vm.Machine, cutOff bool) {
	t.Helper()
	result, err := m.Run(ctx, "sysupdate-image repo fsck --json")
	var report repair.Report
	if err == nil {
		err = json.Unmarshal([]byte(result.Stdout), &report)
	}
	if err != nil || (result.Exit != 0) != (report.Left() > 0) {
		t.Errorf("repo fsck: %v, exit status %d\n%s%s", err, result.Exit, result.Stdout, result.Stderr)
	}
	for _, f := range report.Findings {
		if !cutOff || f.Flaw != repo.LeftOver {
			t.Errorf("repo fsck: %s", f.Problem)
		}
	}
}

func onDisk(name string, do func(*os.File) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(do(f), f.Close())
}

func copySparse(ctx context.Context, t *testing.T, to, from string) {
	t.Helper()
	if out, err := exec.CommandContext(ctx, "cp", "--reflink=auto", "--sparse=always", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
}
