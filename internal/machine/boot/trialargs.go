package boot

import (
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
)

// A kernel that panics hangs, and no loader counts that. So an entry on trial has the
// machine reboot, unless its arguments say otherwise. The value is 30 seconds, in a form by
// which the argument is known to be this program's: it goes with the tries, and no other
// entry inherits it.
const (
	panicKey   = "panic"
	trialPanic = "0x1e"
)

// trialForm returns an entry with the arguments that it has while it is on trial, or without
// them. A unified kernel image has its arguments inside.
func trialForm(e bootentry.Entry, onTrial bool) bootentry.Entry {
	e.Options = WithoutTrial(e.Options)
	args := kcmdline.Parse(e.Options)
	_, decided := args.Last(panicKey)
	if policy := bootcount.PolicyOf(args); onTrial && e.IsKernel() && !decided && (policy == "" || policy == bootcount.Reboot) {
		e.Options = args.With(panicKey, trialPanic).String()
	}
	return e
}

// WithoutTrial returns a kernel command line without what an entry on trial has besides.
func WithoutTrial(options string) string {
	args := kcmdline.Parse(options)
	if value, ok := args.Last(panicKey); !ok || value != trialPanic {
		return options
	}
	return args.Without(panicKey).String()
}
