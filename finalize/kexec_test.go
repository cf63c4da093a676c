package finalize

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// A kernel that was loaded for kexec may be that of the staged deployment. Where that is not
// published, it has no /etc of its own and no count, so that kernel does not start.
func TestForgetKernel(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		for name, tt := range map[string]struct {
			down   way
			change func(*rig)
			forget bool
		}{
			"published":           {kexec, nil, false},
			"reboot, it fails":    {reboot, (*rig).loseEtc, false},
			"it fails":            {kexec, (*rig).loseEtc, true},
			"locked":              {kexec, (*rig).lock, false}, // apply refuses to load it
			"the record is wrong": {kexec, (*rig).damageRecord, true},
			"nothing is staged":   {kexec, (*rig).unstage, false},
			"it runs":             {kexec, (*rig).stageBooted, false},
		} {
			r := makeRig(t, deployment.EtcOverlay, "")
			forgotten := false
			r.unload = func() error { forgotten = true; return nil }
			if tt.change != nil {
				tt.change(r)
			}
			err := Finalize(r.Machine, tt.down)
			if forgotten != tt.forget {
				t.Errorf("%s: the kernel was forgotten: %t; want %t (error %v, log %q)", name, forgotten, tt.forget, err, r.log)
			}
		}
	})
}

func (r *rig) loseEtc() { r.must(os.RemoveAll(filepath.Join(r.disk, r.booted.EtcUpper()))) }

func (r *rig) lock() {
	r.record(deployment.Staged{ID: r.staged, Entry: r.entry, FinalizationLocked: true})
}

func (r *rig) damageRecord() {
	r.must(os.WriteFile(filepath.Join(r.disk, deployment.StagedRecord), []byte("{"), 0o644))
}

func (r *rig) unstage() { r.must(os.Remove(filepath.Join(r.disk, deployment.StagedRecord))) }

func (r *rig) stageBooted() { r.record(deployment.Staged{ID: r.booted, Entry: r.entry}) }
