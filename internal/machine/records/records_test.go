package records

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
)

var (
	one = deployment.ID(strings.Repeat("01", 64))
	two = deployment.ID(strings.Repeat("02", 64))
)

// forget makes a Load one of any record.
func forget[T any](load func(fs.FS) (T, error)) func(fs.FS) (any, error) {
	return func(root fs.FS) (any, error) { return load(root) }
}

func about[T any](load func(fs.FS, deployment.ID) (T, error)) func(fs.FS) (any, error) {
	return func(root fs.FS) (any, error) { return load(root, one) }
}

var staged = deployment.Staged{ID: one, Entry: "a+3.conf.staged", Etc: deployment.EtcBind, EtcConflicts: deployment.ConflictsNew}

var journal = deployment.BootJournal{BootID: "b", Lines: []string{"a line"}}

var softReboot = deployment.SoftReboot{Target: deployment.Target{ID: one}, Config: "[etc]\n"}

// all are the records that are one file, with what is in it.
var all = []struct {
	name  string
	load  func(fs.FS) (any, error)
	store func(durable.FS) error
	want  any
	drop  func(durable.FS) error // nil if it goes with something else
	dirs  string                 // what store wants to be there
	steps string                 // of store
}{
	{deployment.StagedRecord, forget(LoadStaged),
		func(c durable.FS) error { return StoreStaged(c, staged) }, staged, DropStaged, "", "mkdir"},
	{deployment.RunStaged, forget(LoadRunStaged),
		func(c durable.FS) error { return StoreRunStaged(c, staged) }, staged, nil, "", "mkdir"},
	{deployment.SoftRebootRecord, forget(LoadSoftReboot),
		func(c durable.FS) error { return StoreSoftReboot(c, softReboot) }, softReboot, nil, "", "mkdir"},
	{deployment.OverdueRecord, about(LoadOverdue),
		func(c durable.FS) error { return StoreOverdue(c, deployment.Overdue{ID: one, Boots: 2}) },
		deployment.Overdue{ID: one, Boots: 2}, DropStaged, deployment.StateDir, ""},
	{one.OriginFile(), about(LoadOrigin),
		func(c durable.FS) error { return StoreOrigin(c, one, deployment.Origin{Version: "1"}) },
		deployment.Origin{Version: "1"}, nil, one.Dir(), ""},
	{one.EtcReportFile(), about(LoadEtcReport),
		func(c durable.FS) error {
			return StoreEtcReport(c, deployment.EtcReport{To: deployment.EtcSide{ID: one}})
		},
		deployment.EtcReport{To: deployment.EtcSide{ID: one}}, nil, one.Dir(), "unsynced"},
	{one.BootFailureFile(), about(LoadBootFailure),
		func(c durable.FS) error { return StoreBootFailure(c, deployment.BootFailure{ID: one, Entry: "a.conf"}) },
		deployment.BootFailure{ID: one, Entry: "a.conf"},
		func(c durable.FS) error { return DropBootFailure(c, one) }, "", "mkdir"},
	{one.BootJournalFile(), about(LoadBootJournal),
		func(c durable.FS) error { return StoreBootJournal(c, one, journal) }, journal,
		func(c durable.FS) error { return DropBootFailure(c, one) }, "", "mkdir"},
	{deployment.LoaderRecord, forget(LoadLoader),
		func(c durable.FS) error { return StoreLoader(c, deployment.Loader{Kind: deployment.GRUB}) },
		deployment.Loader{Kind: deployment.GRUB}, nil, "", "mkdir"},
	{deployment.RunHealth, forget(LoadHealth),
		func(c durable.FS) error { return StoreHealth(c, deployment.Health{BootID: "b"}) },
		deployment.Health{BootID: "b"}, nil, "", "unsynced"},
	{one.AttemptsFile(), about(LoadAttempts),
		func(c durable.FS) error { return StoreAttempts(c, deployment.Attempts{ID: one, Fallback: two}) },
		deployment.Attempts{ID: one, Fallback: two},
		func(c durable.FS) error { return DropAttempts(c, one) }, one.Dir(), ""},
	{deployment.KernelsRecord, forget(LoadKernels),
		func(c durable.FS) error { return StoreKernels(c, []string{"a/b", "c"}) },
		[]string{"a/b", "c"}, nil, "", "mkdir"},
	{deployment.EntriesRecord, forget(LoadEntries),
		func(c durable.FS) error { return StoreEntries(c, []string{"a", "b"}) },
		[]string{"a", "b"}, nil, "", "mkdir"},
}

func tempRoot(t *testing.T, dirs string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	if err := root.MkdirAll(dirs, 0o755); err != nil && dirs != "" {
		t.Fatal(err)
	}
	return root
}

// A record is missing, then what was stored, and missing again once it is dropped.
func TestStoreLoadDrop(t *testing.T) {
	for _, tt := range all {
		root := tempRoot(t, tt.dirs)
		changes := durable.OS(root)
		if got, err := tt.load(root.FS()); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrDamaged) {
			t.Errorf("%s: missing, it is %+v, %v; want %v", tt.name, got, err, fs.ErrNotExist)
		}
		for range 2 {
			if err := tt.store(changes); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		if got, err := tt.load(root.FS()); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: stored and loaded, it is %+v, %v; want %+v", tt.name, got, err, tt.want)
		}
		for range 2 {
			if tt.drop == nil {
				break
			}
			if err := tt.drop(changes); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			if _, err := root.Lstat(tt.name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: dropped, it is there (%v)", tt.name, err)
			}
		}
	}
}

// The steps of Store where all directories are there: of a file alone.
func TestStoreSteps(t *testing.T) {
	for _, tt := range all {
		root := tempRoot(t, tt.name[:strings.LastIndex(tt.name, "/")])
		trace := durabletest.Trace(durable.OS(root))
		if err := tt.store(trace); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		want := "create F.tmp\nwrite F.tmp\nsync F.tmp\nrename F.tmp F\nsync F\nsync D\n"
		if tt.steps == "unsynced" {
			want = "create F.tmp\nwrite F.tmp\nrename F.tmp F\n"
		}
		dir := tt.name[:strings.LastIndex(tt.name, "/")]
		want = strings.NewReplacer("F", tt.name, "D", dir).Replace(want)
		if got := trace.String(); !strings.HasSuffix(got, want) || tt.steps != "mkdir" && got != want {
			t.Errorf("%s: steps:\n%swant:\n%s", tt.name, got, want)
		}
	}
}

// A Store that is stopped after any step leaves the old record or the new one. The
// report on /etc is left out: its caller syncs it.
func TestStoreStopped(t *testing.T) {
	for _, tt := range all {
		for n := 0; ; n++ {
			root := tempRoot(t, tt.name[:strings.LastIndex(tt.name, "/")])
			stopped := tt.store(durabletest.CrashAfter(durable.OS(root), n))
			got, err := tt.load(root.FS())
			if !(errors.Is(err, fs.ErrNotExist) && stopped != nil || err == nil && reflect.DeepEqual(got, tt.want)) {
				t.Errorf("%s: after %d steps it is %+v, %v", tt.name, n, got, err)
			}
			if err := tt.store(durable.OS(root)); err != nil {
				t.Errorf("%s: after %d steps: cannot try again: %v", tt.name, n, err)
			}
			if stopped == nil {
				break
			}
		}
	}
}

// Invalid content of a file is ErrDamaged and names the file; what cannot be
// read is not ErrDamaged.
func TestLoadRefuses(t *testing.T) {
	for _, tt := range all {
		content := "nonsense"
		if tt.name != deployment.KernelsRecord && tt.name != deployment.EntriesRecord { // any line is one
			got, err := tt.load(fstest.MapFS{tt.name: {Data: []byte(content)}})
			if !errors.Is(err, ErrDamaged) || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), tt.name) {
				t.Errorf("%s: %q is %+v, %v; want %v with the name", tt.name, content, got, err, ErrDamaged)
			}
			if damaged, err := IfAny(tt.load(fstest.MapFS{tt.name: {Data: []byte(content)}})); damaged != nil || !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: IfAny of %q is %+v, %v", tt.name, content, damaged, err)
			}
		}
		large := make([]byte, limits.Report.Value+1)
		var exceeded *limits.Error
		if _, err := tt.load(fstest.MapFS{tt.name: {Data: large}}); !errors.As(err, &exceeded) || errors.Is(err, ErrDamaged) {
			t.Errorf("%s: a large one: %v; want the limit", tt.name, err)
		}
		if none, err := IfAny(tt.load(fstest.MapFS{})); none != nil || err != nil {
			t.Errorf("%s: IfAny of none is %+v, %v", tt.name, none, err)
		}
	}
}

// A record about another deployment than its file is for does not count.
func TestLoadOfAnother(t *testing.T) {
	failure := deployment.BootFailure{ID: two}
	report := deployment.EtcReport{To: deployment.EtcSide{ID: two}}
	root := fstest.MapFS{
		one.BootFailureFile():    {Data: failure.Encode()},
		one.EtcReportFile():      {Data: report.Encode()},
		deployment.OverdueRecord: {Data: deployment.Overdue{ID: two}.Encode()},
	}
	for want, load := range map[error]func() error{
		ErrDamaged:     func() error { _, err := LoadBootFailure(root, one); return err },
		fs.ErrNotExist: func() error { _, err := LoadOverdue(root, one); return err },
	} {
		if err := load(); !errors.Is(err, want) {
			t.Errorf("loaded with %v; want %v", err, want)
		}
	}
	if _, err := LoadEtcReport(root, one); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), two.Short()) {
		t.Errorf("LoadEtcReport: %v; want %v with the other deployment", err, ErrDamaged)
	}
}

// What programs have written is for root alone.
func TestSecret(t *testing.T) {
	root := tempRoot(t, "")
	changes := durable.OS(root)
	err := errors.Join(StoreBootJournal(changes, one, journal), StoreBootFailure(changes, deployment.BootFailure{ID: one}),
		StoreHealth(changes, deployment.Health{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{one.BootJournalFile(), one.BootFailureFile(), deployment.RunHealth} {
		if info, err := root.Stat(name); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", name, info, err)
		}
	}
}

func TestMarkPublished(t *testing.T) {
	root := tempRoot(t, deployment.StateDir)
	changes := durabletest.Trace(durable.OS(root))
	if err := MarkPublished(root.FS(), changes); err != nil || changes.String() != "" {
		t.Errorf("where nothing is staged: %v, and steps:\n%s", err, changes)
	}
	if err := StoreStaged(changes, staged); err != nil {
		t.Fatal(err)
	}
	if err := MarkPublished(root.FS(), changes); err != nil {
		t.Fatal(err)
	}
	want := staged
	want.Published = true
	if got, err := LoadStaged(root.FS()); err != nil || got != want {
		t.Errorf("it is %+v, %v; want %+v", got, err, want)
	}
}

func TestDropRunStaged(t *testing.T) {
	root := tempRoot(t, "")
	if err := StoreRunStaged(durable.OS(root), staged); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := DropRunStaged(root); err != nil {
			t.Error(err)
		}
	}
	if got, err := LoadRunStaged(root.FS()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is %+v, %v; want none", got, err)
	}
}

func TestLoadBootFailures(t *testing.T) {
	failure := deployment.BootFailure{ID: one, Entry: "a.conf"}
	root := fstest.MapFS{
		one.BootFailureFile():                         {Data: failure.Encode()},
		two.BootFailureFile():                         {Data: failure.Encode()}, // of another
		deployment.BootFailuresDir + "/x.json":        {},
		two.BootFailureFile() + durable.TempSuffix:    {},
		deployment.BootFailuresDir + "/" + "dir/file": {},
	}
	got, broken, err := LoadBootFailures(root)
	if err != nil || len(got) != 1 || got[one].Entry != "a.conf" {
		t.Errorf("LoadBootFailures = %+v, %v", got, err)
	}
	if ids := slices.Collect(maps.Keys(broken)); !slices.Equal(ids, []deployment.ID{two}) || !errors.Is(broken[two], ErrDamaged) {
		t.Errorf("LoadBootFailures: broken are %v", broken)
	}
	if got, broken, err := LoadBootFailures(fstest.MapFS{}); err != nil || len(got)+len(broken) > 0 {
		t.Errorf("LoadBootFailures of nothing = %v, %v, %v", got, broken, err)
	}
}

// What the initramfs overwrites is the count and nothing else, and only in a record.
func TestOverwriteAttempts(t *testing.T) {
	root := tempRoot(t, one.Dir())
	count := deployment.AttemptsCount{Trial: true, Left: 2, Done: 1}
	if err := OverwriteAttempts(root, one, count); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a record: %v; want %v", err, fs.ErrNotExist)
	}
	stored := deployment.Attempts{ID: one, Fallback: two, AttemptsCount: deployment.AttemptsCount{Trial: true, Left: 3}}
	if err := StoreAttempts(durable.OS(root), stored); err != nil {
		t.Fatal(err)
	}
	stored.AttemptsCount = count
	if err := OverwriteAttempts(root, one, count); err != nil {
		t.Error(err)
	}
	if got, err := LoadAttempts(root.FS(), one); err != nil || got != stored {
		t.Errorf("it is %+v, %v; want %+v", got, err, stored)
	}
	if err := root.WriteFile(two.AttemptsFile(), nil, 0o644); err == nil {
		t.Error("a state directory came from nowhere")
	}
	if err := root.WriteFile(one.AttemptsFile(), []byte("short"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := OverwriteAttempts(root, one, count); err == nil {
		t.Error("a file of another size was overwritten")
	}
	all, broken, err := LoadAllAttempts(root.FS())
	if err != nil || len(all) > 0 || !errors.Is(broken[one], ErrDamaged) {
		t.Errorf("LoadAllAttempts = %v, %v, %v; want that one is damaged", all, broken, err)
	}
}

func TestPins(t *testing.T) {
	named, empty, odd := one, two, deployment.ID(strings.Repeat("03", 64))
	fsys := fstest.MapFS{
		named.PinFile():               {Data: []byte("before-move\n")},
		empty.PinFile():               {},
		odd.PinFile():                 {Data: []byte("\x00\xff")},
		deployment.PinsDir + "/notes": {Data: []byte("x\n")},
		named.PinFile() + ".x":        {Data: []byte("x\n")},
	}
	want := map[deployment.ID]string{named: "before-move", empty: "", odd: ""}
	if got, err := LoadPins(fsys); err != nil || !maps.Equal(got, want) {
		t.Errorf("LoadPins = %v, %v; want %v", got, err, want)
	}
	if got, err := LoadPins(fstest.MapFS{}); err != nil || len(got) > 0 {
		t.Errorf("LoadPins of nothing = %v, %v", got, err)
	}

	root := tempRoot(t, "")
	changes := durable.OS(root)
	for id, name := range map[deployment.ID]string{one: "name", two: ""} {
		if err := StorePin(changes, id, name); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := LoadPins(root.FS()); err != nil || !maps.Equal(got, map[deployment.ID]string{one: "name", two: ""}) {
		t.Errorf("stored and loaded, pins are %q, %v", got, err)
	}
	for range 2 {
		if err := DropPin(changes, one); err != nil {
			t.Error(err)
		}
	}
	if got, err := LoadPins(root.FS()); err != nil || !maps.Equal(got, map[deployment.ID]string{two: ""}) {
		t.Errorf("after a drop, pins are %q, %v", got, err)
	}
}
