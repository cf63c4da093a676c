package main

import (
	"errors"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// advise adds to an error what to do about it, where there is something.
func advise(err error) error {
	held, ok := errors.AsType[*machine.HeldError](err)
	if !ok {
		return err
	}
	switch held.Hold {
	case machine.HeldBooted:
		return fmt.Errorf("%w; boot another one first, see sysupdate-image rollback", err)
	case machine.HeldStaged:
		return fmt.Errorf("%w; 'sysupdate-image rollback' to another one drops it", err)
	case machine.HeldNext:
		return fmt.Errorf("%w; make another one the next first, see sysupdate-image rollback", err)
	case machine.HeldPinned:
		name := held.PinName
		if name == "" {
			name = held.ID.Short()
		}
		return fmt.Errorf("%w; 'sysupdate-image unpin %s' first", err, name)
	}
	return err
}
