package ui

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/image/packages"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// The result tells what happens to a queued rollback or a staged update, and ends with
// the deployment id.
func TestPrintResult(t *testing.T) {
	a, z := deployment.ID(strings.Repeat("a", 128)), deployment.ID(strings.Repeat("f", 128))
	for _, tt := range []struct {
		result update.Result
		want   string
	}{
		{update.Result{Decision: update.Decision{Outcome: update.AlreadyBooted}},
			"Nothing to do: already running OS (2), deployment A\n"},
		{update.Result{Decision: update.Decision{Outcome: update.RollbackQueued, QueuedRollback: z}},
			"Nothing to do: already running OS (2); a rollback to deployment ffffffffffff is queued, deployment A\n"},
		{update.Result{Decision: update.Decision{Outcome: update.RollbackQueued, QueuedRollback: z, DroppedStaged: z}},
			"Dropped the staged update, deployment ffffffffffff\n" +
				"Nothing to do: already running OS (2); a rollback to deployment ffffffffffff is queued, deployment A\n"},
		{update.Result{Decision: update.Decision{Outcome: update.AlreadyBooted, DroppedRollback: z}},
			"Cancelled the queued rollback to deployment ffffffffffff\nOS (2) is running and boots next, deployment A\n"},
		{update.Result{Decision: update.Decision{Outcome: update.AlreadyBooted, DroppedStaged: z}},
			"Dropped the staged update, deployment ffffffffffff\nOS (2) is running and boots next, deployment A\n"},
		{update.Result{Decision: update.Decision{Outcome: update.Staged, QueuedRollback: z}},
			"Staged OS (2): takes effect at the next reboot instead of the rollback to deployment ffffffffffff, deployment A\n"},
		{update.Result{Decision: update.Decision{Outcome: update.Staged}},
			"Staged OS (2): takes effect at the next reboot, deployment A\n"},
		{update.Result{Decision: update.Decision{Outcome: update.Staged}, SoftReboot: &update.Possibility{Possible: true}},
			"Staged OS (2): takes effect at the next reboot or soft reboot, deployment A\n"},
		{update.Result{Decision: update.Decision{Outcome: update.AlreadyNext}, SoftReboot: &update.Possibility{Possible: true}},
			"Nothing to do: OS (2) already boots next, also by a soft reboot, deployment A\n"},
		{update.Result{Decision: update.Decision{Outcome: update.Staged}, SoftReboot: &update.Possibility{Why: "its kernel differs"}},
			"No soft reboot: its kernel differs\nStaged OS (2): takes effect at the next reboot, deployment A\n"},
		{update.Result{Decision: update.Decision{Outcome: update.Staged}, Signature: oci.SignatureNotRequired},
			"Staged OS (2): takes effect at the next reboot, deployment A\n"},
		{update.Result{Decision: update.Decision{Outcome: update.AlreadyBooted}, Signature: oci.NoSignaturePolicy},
			"Warning: signature: none (no policy); every image is accepted, see containers-policy.json(5)\n" +
				"Nothing to do: already running OS (2), deployment A\n"},
	} {
		var out bytes.Buffer
		s := Screen{Out: &out, Err: &out}
		tt.result.ID, tt.result.Name, tt.result.Version = a, "OS", "2"
		if err := s.PrintResult(tt.result, true); err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(out.String(), string(a), "A"); got != tt.want {
			t.Errorf("%s: %q; want %q", tt.result.Outcome, got, tt.want)
		}
	}
}

const planned = `oci:os:2
  version   OS (1) -> OS (2)
  manifest  sha256:cc
  have      sha256:aa     1.0 KiB
  build     the composefs image
SOFT
The changes and the space needed are unknown until all layers are downloaded.
Would fetch 0 layers, 0 B. Nothing was changed.
`

// A plan tells whether a soft reboot can continue with the image, and why not.
func TestPrintPlan(t *testing.T) {
	for _, tt := range []struct {
		soft      *update.Possibility
		out, warn string
	}{
		{nil, "  stage     takes effect at the next reboot", ""},
		{&update.Possibility{Possible: true}, "  stage     takes effect at the next reboot or soft reboot", ""},
		{&update.Possibility{Why: "its kernel differs"}, "  stage     takes effect at the next reboot", "No soft reboot: its kernel differs\n"},
	} {
		var out, errOut bytes.Buffer
		s := Screen{Out: &out, Err: &errOut}
		err := s.PrintPlan(update.Plan{
			Decision: update.Decision{Outcome: update.Staged}, Reference: "oci:os:2", ManifestDigest: "sha256:cc", EtcChecked: true,
			From: &update.Named{ID: "1", Name: "OS", Version: "1"}, To: update.Named{ID: "2", Name: "OS", Version: "2"},
			Layers: []update.LayerPlan{{Digest: "sha256:aa", Size: 1024, Present: true}},
			Steps:  []update.Step{update.StepBuild, update.StepStage}, SoftReboot: tt.soft,
		}, "")
		if want := strings.Replace(planned, "SOFT", tt.out, 1); err != nil || out.String() != want || errOut.String() != tt.warn {
			t.Errorf("PrintPlan() prints:\n%s%s, %v; want:\n%s%s", out.String(), errOut.String(), err, want, tt.warn)
		}
	}
}

// A plan whose layers are here tells what changes, what is written, and where the room is short.
func TestPrintKnownPlan(t *testing.T) {
	var out, errOut bytes.Buffer
	s := Screen{Out: &out, Err: &errOut}
	need, frees := int64(3<<20), int64(2<<20)
	err := s.PrintPlan(update.Plan{
		Decision: update.Decision{Outcome: update.Staged}, Reference: "oci:os:2", EtcChecked: true, ManifestDigest: "sha256:cc",
		To: update.Named{ID: "2", Name: "OS", Version: "2"}, Write: &update.WritePlan{Repository: 2 << 20, Boot: 1 << 20},
		Room: []update.Room{
			{FileSystem: "root", Need: &need, Free: 1 << 20}, {FileSystem: "boot", Where: "/dev/vda1", Need: &need, Free: 1 << 20},
		},
		Changes: &update.Changes{
			Etc: update.EtcPlan{
				Image: []deployment.EtcChange{{Path: "/etc/a", Kind: "added"}}, Local: make([]deployment.EtcChange, 2),
				Shadowed: []string{"/etc/mine\x1b"},
			},
			Kernel: update.KernelChange{Old: "6.1", New: "6.2"}, Notes: []string{"cannot compare packages"},
		},
		Reboot: &update.RebootPlan{Needed: update.RebootFull, Why: "its kernel differs"},
		Remove: []update.Named{{ID: deployment.ID(strings.Repeat("a", 128)), Name: "OS", Version: "0"}},
		Steps:  []update.Step{update.StepPrune}, Frees: &frees,
		SBOM: &update.SBOMPlan{Packages: []packages.ManagerDiff{{Manager: "dpkg", Changes: []packages.Change{{Name: "x", Old: "1", New: "2"}}}}},
	}, "")
	if err != nil || out.String() != knownPlan {
		t.Errorf("PrintPlan() prints:\n%s, %v; want:\n%s", out.String(), err, knownPlan)
	}
}

// What is staged and locked boots only once apply has unlocked it.
func TestPrintLocked(t *testing.T) {
	var out strings.Builder
	s := &Screen{Out: &out, Err: io.Discard}
	if err := s.PrintUpdate(update.Update{Decision: update.Decision{Outcome: update.AlreadyNext}, Reference: "oci:os:2", Locked: true}, true); err != nil {
		t.Fatal(err)
	}
	p := update.Plan{Reference: "oci:os:2", ManifestDigest: "sha256:cc", Steps: []update.Step{update.StepUnlock}}
	if err := s.PrintPlan(p, ""); err != nil {
		t.Fatal(err)
	}
	want := "No update: oci:os:2 (): it is staged, but locked; 'apply' unlocks it\n" +
		"Would unlock the staged oci:os:2: takes effect at the next reboot (sha256:cc). Nothing was changed.\n"
	if out.String() != want {
		t.Errorf("printed %q; want %q", out.String(), want)
	}
}

const knownPlan = `oci:os:2
  version   OS (2)
  manifest  sha256:cc
  kernel    6.1 -> 6.2
  etc       + /etc/a
  keep      2 local changes in /etc
  keep      "/etc/mine\x1b", which the image changes too
  note      cannot compare packages
  packages  (dpkg): 0 added, 0 removed, 1 changed, from the SBOM
            ~ x 1 -> 2
  remove    deployment aaaaaaaaaaaa (OS (0))
  free      2.0 MiB of the repository
Needs at most 3.0 MiB of the root file system, 1.0 MiB free: not enough
Needs at most 3.0 MiB of the boot partition (/dev/vda1), 1.0 MiB free: not enough unless kernels of superseded deployments can be removed
It takes effect at a reboot; a soft reboot is not enough: its kernel differs.
Would fetch 0 layers, 0 B, and write 2.0 MiB to the repository and 1.0 MiB to the boot partition. Nothing was changed.
`
