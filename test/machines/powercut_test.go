package machines

import (
	"testing"

	"github.com/sysupdate-image/sysupdate-image/test/disks"
	"github.com/sysupdate-image/sysupdate-image/test/powercut/record"
)

// TestPowercut checks 500 of the power cuts of make powercut, and after some of
// them boots the machine and goes on.
func TestPowercut(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	repository, err := disks.Repository()
	if err != nil {
		t.Fatal(err)
	}
	kernel, err := disks.Kernel(ctx)
	if err != nil {
		t.Fatal(err)
	}
	uml, err := disks.UML(ctx)
	if err != nil {
		t.Fatal(err)
	}
	lab, err := record.NewLab(ctx, t.TempDir(), repository, kernel, uml)
	if err != nil {
		t.Fatal(err)
	}
	for fstype, plan := range map[string]record.Plan{
		"ext4":  {Cuts: 400, Seed: 1, Guests: 2, Recover: 6},
		"btrfs": {Cuts: 100, Seed: 2, Guests: 2, Recover: 2},
	} {
		t.Run(fstype, func(t *testing.T) {
			recording, err := lab.Record(ctx, fstype, plan.Seed, true)
			if err != nil {
				t.Fatal(err)
			}
			report, err := lab.Check(ctx, recording, plan)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%v", report)
			if report.Cuts < plan.Cuts {
				t.Errorf("only %d power cuts; want %d", report.Cuts, plan.Cuts)
			}
			for _, f := range report.Failures {
				t.Errorf("%v", f)
			}
		})
	}
}
