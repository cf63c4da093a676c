package finalize

import (
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

// errTimeout is why a shutdown does not wait for longer.
var errTimeout = errors.New("it took too long, and was stopped by the service manager")

// watchTermination ends the program when the service manager does not wait any
// longer, and leaves word of that. Once over has been called, which comes before
// the commit, the program cannot be ended that way any more: what it would say is
// not true then, and there is next to nothing left to do.
func (m Machine) watchTermination(plan Plan, s *sysroot.Writable) (over func()) {
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	var mu sync.Mutex
	isOver := false
	go func() {
		<-terminate
		mu.Lock()
		defer mu.Unlock()
		if isOver {
			return
		}
		m.forgetKernel(plan.ByKexec)
		m.tellFailure(errors.Join(notFinalized(plan.Staged, errTimeout), m.noteFailure(s.Root, plan.Staged, errTimeout)))
		m.exit(1)
	}()
	return func() {
		mu.Lock()
		defer mu.Unlock()
		isOver = true
	}
}
