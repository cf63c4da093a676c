package record

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"

	"github.com/sysupdate-image/sysupdate-image/test/powercut/facts"
	"github.com/sysupdate-image/sysupdate-image/test/powercut/replay"
)

// A Plan says how much of a recording to check.
type Plan struct {
	Cuts    int
	Seed    uint64
	Guests  int // that check side by side
	Recover int // cuts from which a machine is taken on
}

// A Report says what was found.
type Report struct {
	Cuts       int // that were checked, all different
	ESP, Root  int // different contents of the partitions among them
	Exact      int // cuts at flush boundaries
	Torn       int // cuts with a write that arrived in part
	Recovered  int
	Failures   []Failure
	Recording  *Recording
	Everything []replay.Cut
}

// A Failure is a power cut that breaks a promise.
type Failure struct {
	Cut   replay.Cut
	Index int    // among the cuts
	Step  string // of the recording
	Wrong []string
	ESP   *facts.ESPFacts // what was found there
}

// String says what is wrong, and when.
func (f Failure) String() string {
	text := fmt.Sprintf("cut %d, after %q: %s:\n\t%s", f.Index, f.Step, f.Cut, strings.Join(f.Wrong, "\n\t"))
	if f.ESP != nil {
		for _, e := range f.ESP.Entries {
			text += fmt.Sprintf("\n\t\tentry %+v", e)
		}
	}
	return text
}

// Cuts enumerates power cuts of a recording.
func (r *Recording) Cuts(want int, seed uint64) ([]replay.Cut, error) {
	content, err := os.ReadFile(r.file("base"))
	if err != nil {
		return nil, err
	}
	areas, _ := partitions(r.FSType)
	// Before the first marker nothing of ours has run.
	o := replay.Options{Seed: seed, Want: want, From: r.at[0], Together: []replay.Area{superblock(r.FSType, areas[facts.Root])}}
	return replay.Enumerate(r.Entries, content, areas[:facts.Marks], r.moment, o), nil
}

// Check looks at what power cuts have left.
func (l Lab) Check(ctx context.Context, r *Recording, p Plan) (*Report, error) {
	cuts, err := r.Cuts(p.Cuts, p.Seed)
	if err != nil {
		return nil, err
	}
	found, err := l.look(ctx, r, p, cuts)
	if err != nil {
		return nil, err
	}
	report := &Report{Cuts: len(cuts), ESP: len(found.esp), Root: len(found.root), Recording: r, Everything: cuts, Recovered: found.recovered}
	report.Failures = append(report.Failures, found.failures...)
	for i, c := range cuts {
		report.count(r, c)
		at := r.moment(c.At)
		wrong := r.Markers.Judge(at, found.esp[c.States[facts.ESP]], found.root[c.States[facts.Root]])
		if len(wrong) > 0 {
			report.Failures = append(report.Failures, Failure{c, i, r.step(c.At), wrong, found.esp[c.States[facts.ESP]]})
		}
	}
	return report, nil
}

func (r *Recording) step(entries int) string {
	if at := r.moment(entries); at >= 0 {
		return r.Markers.Markers[at].Step
	}
	return "nothing"
}

func (report *Report) count(r *Recording, c replay.Cut) {
	if len(c.Pieces) == 0 && c.At == c.Durable {
		report.Exact++
	}
	for _, p := range c.Pieces {
		if int64(p.To-p.From)*replay.SectorSize != r.Entries[p.Entry].Length {
			report.Torn++
			return
		}
	}
}

// rest returns the images to apply after a power cut: the one that was under way
// or would have been next, and one that is newer than all of the recording.
func (r *Recording) rest(entries int) []string {
	all := references(Versions + 1)
	applied := 0
	for _, m := range r.Markers.Markers[:r.moment(entries)+1] {
		if m.Step == "finalized" {
			applied++
		}
	}
	if applied+1 >= Versions {
		return all[Versions:]
	}
	return []string{all[applied+1], all[Versions]}
}

// found is what the guests have found.
type found struct {
	esp       map[replay.State]*facts.ESPFacts
	root      map[replay.State]*facts.RootFacts
	recovered int
	failures  []Failure
}

// look has the guests look at cuts, each at a part of them.
func (l Lab) look(ctx context.Context, r *Recording, p Plan, cuts []replay.Cut) (*found, error) {
	areas, _ := partitions(r.FSType)
	guests := max(1, min(p.Guests, len(cuts)))
	all := &found{esp: map[replay.State]*facts.ESPFacts{}, root: map[replay.State]*facts.RootFacts{}}
	random := rand.New(rand.NewPCG(p.Seed, 3))
	var mu sync.Mutex
	var group sync.WaitGroup
	errs := make([]error, guests)
	for i := range guests {
		from, to := i*len(cuts)/guests, (i+1)*len(cuts)/guests
		part := cuts[from:to]
		check := &facts.Check{Cuts: part, Areas: areas}
		for range p.Recover / guests {
			n := random.IntN(len(part))
			check.Recover = append(check.Recover, facts.Recovery{Cut: n, Images: r.rest(part[n].At)})
		}
		group.Go(func() {
			results, err := l.guest(r, fmt.Sprintf("checker-%d", i)).do(ctx, facts.Job{FSType: r.FSType, Check: check})
			mu.Lock()
			defer mu.Unlock()
			for _, result := range results {
				all.add(r, result, part, from)
				if result.Error != "" {
					err = fmt.Errorf("guest: %s", result.Error)
				}
			}
			errs[i] = err
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (f *found) add(r *Recording, result facts.Result, part []replay.Cut, from int) {
	switch {
	case result.ESP != nil:
		f.esp[result.ESP.State] = result.ESP
	case result.Root != nil:
		f.root[result.Root.State] = result.Root
	case result.Took != nil:
		f.recovered++
		if result.Took.Error != "" {
			c := part[result.Took.Cut]
			f.failures = append(f.failures, Failure{c, from + result.Took.Cut, r.step(c.At), []string{"cannot go on: " + result.Took.Error}, nil})
		}
	}
}

// String counts what was checked.
func (report *Report) String() string {
	return fmt.Sprintf("%d different power cuts (%d at a flush, %d with torn writes; %d contents of the boot partition, %d of the root), after %d of them booted, finalized and updated again: %d failures",
		report.Cuts, report.Exact, report.Torn, report.ESP, report.Root, report.Recovered, len(report.Failures))
}

// WriteDisk writes what a power cut leaves of the disk to a file.
func (r *Recording) WriteDisk(ctx context.Context, c replay.Cut, name string) error {
	if _, err := run(ctx, "cp", "--sparse=always", r.file("base"), name); err != nil {
		return err
	}
	disk, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = replay.Put(disk, r.Entries, 0, c.Durable)
	if err == nil {
		err = replay.PutPieces(disk, r.Entries, c.Pieces)
	}
	return errors.Join(err, disk.Close())
}
