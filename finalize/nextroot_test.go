package finalize

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// A soft reboot has prepare-root prepare the root of what was published, if that was asked
// for. What it does is shown by a machine (test/machines).
func TestContinueWith(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		for name, tt := range map[string]struct {
			down      way
			request   request
			script    string
			log, why  string // what the log says, and the record of why the deployment is overdue
			isStarted bool
		}{
			"asked for":       {softReboot, staged, "exit 0", "the soft reboot continues with deployment ", "", true},
			"for another":     {softReboot, another, "exit 0", " boots next", "", false},
			"invalid":         {softReboot, invalid, "exit 0", "boots at the next reboot: cannot prepare the soft reboot: parse ", "cannot prepare the soft reboot: ", false},
			"not asked for":   {softReboot, nothing, "exit 0", " boots next", "", false},
			"reboot":          {reboot, staged, "exit 0", " boots next", "", false},
			"kexec":           {kexec, staged, "exit 0", " boots next", "", false},
			"it cannot":       {softReboot, staged, "exit 1", "boots at the next reboot: cannot prepare the soft reboot: prepare-root: exit status 1", "cannot prepare the soft reboot: ", true},
			"it does not run": {softReboot, staged, "", "cannot prepare the soft reboot: ", "cannot prepare the soft reboot: ", false},
		} {
			r := makeRig(t, deployment.EtcOverlay, "")
			root := r.Machine.root
			started := filepath.Join(t.TempDir(), "args")
			if tt.script != "" {
				r.must(root.MkdirAll(filepath.Dir(prepareRoot), 0o755))
				r.must(root.WriteFile(prepareRoot, []byte("#!/bin/sh\necho \"$@\" > "+started+"\n"+tt.script+"\n"), 0o755))
			}
			r.request(tt.request)
			r.must(Finalize(r.Machine, tt.down))
			if !strings.Contains(r.log.String(), tt.log) {
				t.Errorf("%s: the log is %q; want %q in it", name, r.log, tt.log)
			}
			args, err := os.ReadFile(started)
			if tt.isStarted != (err == nil) || tt.isStarted && string(args) != "--soft-reboot\n" {
				t.Errorf("%s: prepare-root was started with %q, %v", name, args, err)
			}
			overdue, err := records.IfAny(records.LoadOverdue(os.DirFS(r.disk), r.staged))
			if err != nil || (overdue != nil) != (tt.why != "") || overdue != nil && !strings.HasPrefix(overdue.Error, tt.why) {
				t.Errorf("%s: overdue is %+v, %v; want %q", name, overdue, err, tt.why)
			}
			r.checkRecord(tt.down.goesOn())
		}
	})
}

// A request for a soft reboot.
type request int

const (
	nothing request = iota
	staged          // into what is staged
	another         // into another deployment
	invalid
)

func (r *rig) request(what request) {
	r.t.Helper()
	root := r.Machine.root
	target := map[request]deployment.ID{staged: r.staged, another: r.booted, invalid: r.staged}[what]
	if target == "" {
		return
	}
	r.must(records.StoreSoftReboot(durable.OS(root), deployment.SoftReboot{Target: deployment.Target{ID: target}}))
	if what == invalid {
		r.must(root.WriteFile(deployment.SoftRebootRecord, []byte("{"), 0o644))
	}
}
