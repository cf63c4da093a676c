package health

import (
	"fmt"
	"os"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/image/updateconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

// info is the priority of the output of checks that does not say otherwise.
const info = journal.Info

// greenbootService runs greenboot's checks itself.
const greenbootService = "greenboot-healthcheck.service"

// A failedError says which required checks did not find the boot good.
type failedError struct {
	failed []deployment.FailedCheck
	of     int // as many required ones there are
}

func (e *failedError) Error() string {
	var all []string
	for _, c := range e.failed {
		all = append(all, c.Name()+" ("+c.How()+")")
	}
	return fmt.Sprintf("%d of %d checks failed: %s", len(e.failed), e.of, strings.Join(all, ", "))
}

// Check runs all checks of this boot, one after the other, whatever becomes of those before.
// The error names the required ones that failed. What they found is left for BootFailed and
// for status.
func Check(m Machine) error {
	times, warnings := updateconfig.LoadLimits(func(name string) ([]byte, error) {
		return bounded.ReadFile(os.DirFS(m.root.Name()), name, limits.Text)
	})
	checks, more := m.checks()
	for _, w := range append(warnings, more...) {
		m.logf(journal.Warning, "%v", w)
	}
	id, _, err := sysroot.Booted(m.root)
	if err != nil {
		m.logf(journal.Warning, "cannot tell which deployment the checks are of: %v", err)
	}
	health := deployment.Health{ID: id, BootID: m.bootID()}
	required := 0
	for _, c := range checks {
		if c.required {
			required++
		}
		health.Running = c.path
		m.note(health)
		failed := c.run(times.Check, m.output(c))
		if failed == nil {
			m.logf(journal.Info, "check %s succeeded", c.name)
			continue
		}
		failed.Output = deployment.ShortOutput(failed.Output)
		if c.required {
			m.logf(journal.Err, "%s", failed)
			health.Failed = append(health.Failed, *failed)
		} else {
			m.logf(journal.Warning, "%s; it is not required", failed)
			health.Warned = append(health.Warned, *failed)
		}
	}
	health.Running = ""
	m.note(health)
	if len(health.Failed) > 0 {
		return &failedError{health.Failed, required}
	}
	return nil
}

// checks returns what to run. Where greenboot runs its checks itself, they are left to it.
func (m Machine) checks() (all []check, warnings []error) {
	for _, k := range kinds {
		checks, more := k.find(m.root.Name())
		if k.greenboot && len(checks)+len(more) > 0 && m.systemd().IsEnabled(greenbootService) {
			m.logf(journal.Info, "the checks in /%s are left to %s", k.dirs[0], greenbootService)
			continue
		}
		all, warnings = append(all, checks...), append(warnings, more...)
	}
	return all, warnings
}

// output returns a function that hands a line of a check's output to the journal, in which
// the check has its own name.
func (m Machine) output(c check) func(line string) {
	log := m.log
	log.Identifier, log.Console = c.name, nil
	return func(line string) {
		priority, text := priorityOf(line)
		log.Write(journal.Entry{Priority: priority, Message: text})
	}
}

// note writes down what is known so far. Without that the boot is as good as it is.
func (m Machine) note(h deployment.Health) {
	if err := records.StoreHealth(durable.OS(m.root), h); err != nil {
		m.logf(journal.Warning, "cannot write down what the checks found: %v", err)
	}
}
