package ui

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
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
  manifest  sha256:cc
  have      sha256:aa     1.0 KiB
  build     the composefs image
SOFT
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
			Layers: []update.LayerPlan{{Digest: "sha256:aa", Size: 1024, Present: true}},
			Steps:  []update.Step{update.StepBuild, update.StepStage}, SoftReboot: tt.soft,
		}, "")
		if want := strings.Replace(planned, "SOFT", tt.out, 1); err != nil || out.String() != want || errOut.String() != tt.warn {
			t.Errorf("PrintPlan() prints:\n%s%s, %v; want:\n%s%s", out.String(), errOut.String(), err, want, tt.warn)
		}
	}
}
