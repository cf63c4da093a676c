package systemd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// A UnitStep is the start of a unit, since the kernel began.
type UnitStep struct {
	Unit       string
	Start, End time.Duration
}

// The messages of systemd about a unit, see sd-messages.h.
const (
	msgStarting = "7d4958e842da4a758f6c1cdc7b36dcc5"
	msgStarted  = "39f53479d3a045ac8e11786248231fbf"
)

// UnitSteps returns which units were started in this boot before a moment, in the order in
// which they were done. The journal tells, for which the user needs the right to read it.
func UnitSteps(ctx context.Context, before time.Duration) ([]UnitStep, error) {
	cmd := exec.CommandContext(ctx, "journalctl", "--boot", "--quiet", "--no-pager", "--output=json",
		"--output-fields=MESSAGE_ID,UNIT", "_PID=1", "MESSAGE_ID="+msgStarting, "MESSAGE_ID="+msgStarted)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the journal: %w", err)
	}
	text, err := bounded.ReadAll(out, limits.Kernel)
	if err = errors.Join(err, cmd.Wait()); err != nil {
		return nil, fmt.Errorf("cannot read the journal: %w", err)
	}
	return unitSteps(text, before), nil
}

// unitSteps pairs the messages. A line that is none is left out.
func unitSteps(text []byte, before time.Duration) []UnitStep {
	began := make(map[string]time.Duration)
	var steps []UnitStep
	for line := range bytes.Lines(text) {
		var m struct {
			ID   string `json:"MESSAGE_ID"`
			Unit string `json:"UNIT"`
			At   string `json:"__MONOTONIC_TIMESTAMP"`
		}
		if json.Unmarshal(line, &m) != nil {
			continue
		}
		n, err := strconv.ParseUint(m.At, 10, 48)
		at := time.Duration(n) * time.Microsecond
		if err != nil || at >= before {
			continue
		}
		start, ok := began[m.Unit]
		switch {
		case m.ID == msgStarting:
			began[m.Unit] = at
		case ok:
			steps = append(steps, UnitStep{m.Unit, start, at})
			delete(began, m.Unit)
		}
	}
	return steps
}
