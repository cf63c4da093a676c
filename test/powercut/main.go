// Command powercut records the life of a machine and checks what power cuts would
// have left of it; see docs/internals/crash.md. It is what make powercut and make
// powercut-mutants run.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/sysupdate-image/sysupdate-image/test/disks"
	"github.com/sysupdate-image/sysupdate-image/test/powercut/record"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "powercut:", err)
		os.Exit(1)
	}
}

// settings are the command line's.
type settings struct {
	fstype          string
	seed            uint64
	cluster         int
	neighbour, keep bool
	mutants         bool
	only            string
	disk            int
	plan            record.Plan
}

func run(ctx context.Context) error {
	var s settings
	var dir string
	flag.StringVar(&dir, "dir", "", "where to keep everything (default: a temporary directory)")
	flag.StringVar(&s.fstype, "root", "ext4", "type of the root file system: ext4 or btrfs")
	flag.Uint64Var(&s.seed, "seed", 1, "seed of the images, the edits and the cuts")
	flag.BoolVar(&s.neighbour, "neighbour", true, "run another program that syncs at the worst moments")
	flag.IntVar(&s.cluster, "cluster", record.DefaultCluster, "size of the boot partition's clusters, in sectors: 1 breaks directories into pieces (mutants are tried with both)")
	flag.BoolVar(&s.keep, "keep", false, "check the recording that is in the directory")
	flag.IntVar(&s.plan.Cuts, "cuts", 500, "how many power cuts to check")
	flag.IntVar(&s.plan.Guests, "guests", 2, "machines that check side by side")
	flag.IntVar(&s.plan.Recover, "recover", 10, "power cuts after which the machine is booted and updated again")
	flag.BoolVar(&s.mutants, "mutants", false, "leave out one sync or order after the other; each has to be noticed")
	flag.IntVar(&s.disk, "disk", -1, "write the disk that this power cut leaves to the directory, instead of checking any")
	flag.StringVar(&s.only, "only", "", "only mutants whose names match this regular expression")
	flag.Parse()
	s.plan.Seed = s.seed
	if dir == "" {
		temp, err := os.MkdirTemp("", "powercut")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		dir = temp
	}
	lab, err := newLab(ctx, dir)
	if err != nil {
		return err
	}
	lab.Cluster = s.cluster
	if s.mutants {
		return tryMutants(ctx, lab, s)
	}
	return cut(ctx, lab, s)
}

func newLab(ctx context.Context, dir string) (record.Lab, error) {
	repository, err := disks.Repository()
	if err != nil {
		return record.Lab{}, err
	}
	kernel, err := disks.Kernel(ctx)
	if err != nil {
		return record.Lab{}, err
	}
	uml, err := disks.UML(ctx)
	if err != nil {
		return record.Lab{}, err
	}
	return record.NewLab(ctx, dir, repository, kernel, uml)
}

// cut makes a recording and checks power cuts.
func cut(ctx context.Context, lab record.Lab, s settings) error {
	began := time.Now()
	recording, err := recordUpdates(ctx, lab, s)
	if err != nil {
		return err
	}
	fmt.Printf("%s, seed %d: %d requests, %d flushes and %d steps recorded in %.0f s\n", s.fstype, s.seed,
		len(recording.Entries), recording.Flushes(), len(recording.Markers.Markers), time.Since(began).Seconds())
	if s.disk >= 0 {
		return writeDisk(ctx, recording, s)
	}
	began = time.Now()
	report, err := lab.Check(ctx, recording, s.plan)
	if err != nil {
		return err
	}
	fmt.Printf("%s, seed %d: %v, in %.0f s\n", s.fstype, s.seed, report, time.Since(began).Seconds())
	const shown = 10
	for _, f := range report.Failures[:min(shown, len(report.Failures))] {
		fmt.Println(f)
	}
	if n := len(report.Failures); n > 0 {
		return fmt.Errorf("%d of %d power cuts break something; to see them again: -root %s -seed %d -cuts %d", n, report.Cuts, s.fstype, s.seed, s.plan.Cuts)
	}
	return nil
}

// writeDisk writes what a power cut leaves of the disk, for people to look at.
func writeDisk(ctx context.Context, r *record.Recording, s settings) error {
	cuts, err := r.Cuts(s.plan.Cuts, s.plan.Seed)
	if err != nil {
		return err
	}
	if s.disk >= len(cuts) {
		return fmt.Errorf("there are %d power cuts", len(cuts))
	}
	name := filepath.Join(r.Dir, fmt.Sprintf("cut-%d", s.disk))
	fmt.Printf("%v: %s, with partitions at 1 MiB (boot), 37 MiB (root)\n", cuts[s.disk], name)
	return r.WriteDisk(ctx, cuts[s.disk], name)
}

func recordUpdates(ctx context.Context, lab record.Lab, s settings) (*record.Recording, error) {
	if s.keep {
		return lab.Load(s.fstype, s.seed)
	}
	return lab.Record(ctx, s.fstype, s.seed, s.neighbour)
}
