package prepareroot

import (
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// maxRedirects is how many boots are sent to the fallback by another kernel: by kexec, and by
// the boot loader. If that leads back here, the machine goes on with what it has.
const maxRedirects = 2

// maxInPlace is how far boots of the fallback in place of another deployment are counted: one
// and several make a difference.
const maxInPlace = 2

// An action is what a boot does with a deployment that has a record of attempts.
type action int

const (
	bootTarget   action = iota
	bootFallback        // in its place, with the running kernel
	redirect            // boot the fallback by its own kernel
)

// facts are what decides besides the record.
type facts struct {
	bootID string
	// fallback says that the fallback is on the disk.
	fallback bool
	// sealed says that the kernel command line was signed with the kernel: nothing but
	// what it names may be mounted.
	sealed bool
	// sameKernel says that the fallback has the modules of the running kernel, or as few of
	// them as what it takes the place of.
	sameKernel bool
}

// inPlace reports whether the fallback can be booted with the running kernel. It gets the
// kernel command line of what it takes the place of: if it does not come up, that may be why,
// and its own kernel with its own command line is next.
func (f facts) inPlace() bool { return f.sameKernel && !f.sealed }

// An attempt is what was decided for a boot.
type attempt struct {
	do action
	// count is what the record says from then on. It has to be written before anything is
	// done.
	count deployment.AttemptsCount
	say   string // for people, "" if there is nothing to say
}

// decide returns what a boot does with a deployment, and what its record says from then on.
func decide(a deployment.Attempts, f facts) attempt {
	again := f.bootID != "" && a.Boot == f.bootID // somebody starts prepare-root once more
	next := attempt{count: a.AttemptsCount}
	switch {
	case a.Trial && again:
		return next
	case a.Trial && a.Left > 0:
		next.count.Left, next.count.Done, next.count.Boot = a.Left-1, a.Done+1, f.bootID
		return next
	case !a.Spent():
		return next
	}
	why := fmt.Sprintf("deployment %s has used up its %d boots", a.ID.Short(), a.Done)
	if !a.Trial {
		why = fmt.Sprintf("deployment %s has failed %d times in the initramfs (%s)", a.ID.Short(), deployment.MaxFailures, a.Reason)
	}
	switch {
	case a.Fallback == "" || !f.fallback:
		next.say = why + ", and there is no other to boot"
	case !a.Trial && a.Failures > deployment.MaxFailures && !again:
		next.say = why + fmt.Sprintf(", and %s has not come up either", a.Fallback.Short())
	case f.inPlace() && (a.InPlace == 0 || a.Redirects >= maxRedirects || !a.Trial):
		next.do, next.say = bootFallback, why+": booting "+a.Fallback.Short()+" in its place"
		if a.Trial {
			next.count.InPlace = min(a.InPlace+1, maxInPlace)
		}
	case a.Redirects >= maxRedirects:
		next.say = why + fmt.Sprintf(", and %s, which needs another kernel, did not come up", a.Fallback.Short())
	default:
		next.do, next.say = redirect, why+": "+a.Fallback.Short()+" takes its place, by its own kernel"
		next.count.Redirects++
	}
	if next.do != bootTarget && !a.Trial {
		next.count.Failures, next.count.Boot = deployment.MaxFailures+1, f.bootID // the fallback has its one try
	}
	return next
}

// uncounted returns what to do if the count could not be written: without it nothing would
// ever end the trial.
func (a attempt) uncounted(record deployment.Attempts, f facts, err error) attempt {
	if a.count == record.AttemptsCount {
		return a
	}
	a.say = fmt.Sprintf("cannot count this boot of deployment %s: %v", record.ID.Short(), err)
	switch {
	case a.do == bootTarget && !record.Trial:
	case record.Fallback != "" && f.fallback && f.inPlace():
		a.do, a.say = bootFallback, a.say+": booting "+record.Fallback.Short()+" in its place"
	default:
		// Sending the machine elsewhere without counting could go on for ever.
		a.do, a.say = bootTarget, a.say+": booting it uncounted"
	}
	return a
}

// failed returns the count after a failure in the initramfs.
func failed(a deployment.AttemptsCount, bootID, reason string) deployment.AttemptsCount {
	if bootID == "" || a.FailedBoot != bootID {
		a.Failures++
	}
	a.FailedBoot = bootID
	if inItsPlace := a.Trial && a.Left == 0 && a.Boot != bootID; !inItsPlace {
		a.Reason = reason // else it is why the fallback failed
	}
	return a
}

// restarts reports whether, by the record, another boot after a failure would end differently:
// it is counted as well, and at some time leads to the fallback.
func restarts(a deployment.Attempts) bool {
	most := uint(deployment.MaxFailures)
	if a.Trial { // its own, and as many of the fallback
		most *= 2
	}
	return a.Fallback != "" && a.Failures <= most
}
