package ui

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// What becomes of a rollback or of what is staged is said, and the last word is the
// deployment id.
func TestPrintResult(t *testing.T) {
	a, z := deployment.ID(strings.Repeat("a", 128)), deployment.ID(strings.Repeat("f", 128))
	for _, tt := range []struct {
		result update.Result
		want   string
	}{
		{update.Result{Decision: update.Decision{Outcome: update.AlreadyBooted}}, "Nothing to do: OS (2) is what runs, deployment A\n"},
		{update.Result{Decision: update.Decision{Outcome: update.RollbackQueued, QueuedRollback: z}},
			"Nothing to do: OS (2) is what runs; a rollback to deployment ffffffffffff is queued, deployment A\n"},
		{update.Result{Decision: update.Decision{Outcome: update.RollbackQueued, QueuedRollback: z, DroppedStaged: z}},
			"Dropped the staged update, deployment ffffffffffff\n" +
				"Nothing to do: OS (2) is what runs; a rollback to deployment ffffffffffff is queued, deployment A\n"},
		{update.Result{Decision: update.Decision{Outcome: update.AlreadyBooted, DroppedRollback: z}},
			"Took back the rollback to deployment ffffffffffff\nOS (2) is what runs, and boots next, deployment A\n"},
		{update.Result{Decision: update.Decision{Outcome: update.AlreadyBooted, DroppedStaged: z}},
			"Dropped the staged update, deployment ffffffffffff\nOS (2) is what runs, and boots next, deployment A\n"},
		{update.Result{Decision: update.Decision{Outcome: update.Staged, QueuedRollback: z}},
			"Staged OS (2): it takes over at the next reboot instead of the rollback to deployment ffffffffffff, deployment A\n"},
		{update.Result{Decision: update.Decision{Outcome: update.Staged}}, "Staged OS (2): it takes over at the next reboot, deployment A\n"},
		{update.Result{Decision: update.Decision{Outcome: update.Staged}, Signature: oci.SignatureNotRequired}, "Staged OS (2): it takes over at the next reboot, deployment A\n"},
		{update.Result{Decision: update.Decision{Outcome: update.AlreadyBooted}, Signature: oci.NoSignaturePolicy},
			"Warning: signature: none (no policy); any image is accepted, see containers-policy.json(5)\n" +
				"Nothing to do: OS (2) is what runs, deployment A\n"},
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
