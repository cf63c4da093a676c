package ui

import (
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// PrintResetPlan prints what a reset would do.
func (s *Screen) PrintResetPlan(p update.ResetPlan) error {
	fmt.Fprintf(s.Out, "%s, deployment %s\n", Name(p.Title), p.ID)
	fmt.Fprintf(s.Out, "  /etc      as in the image\n")
	for _, name := range p.Keep {
		fmt.Fprintf(s.Out, "  keep      %s\n", Name("/etc/"+name))
	}
	if p.Keys {
		fmt.Fprintf(s.Out, "  add       SSH keys for root\n")
	}
	fmt.Fprintf(s.Out, "  /var      empty\n")
	_, err := fmt.Fprintf(s.Out, "  way back  'sysupdate-image rollback', until it is confirmed; the state now stays in %s\nNothing was changed.\n", Name(p.Kept))
	return err
}

// PrintFreshState prints what a reset has done.
func (s *Screen) PrintFreshState(p update.ResetPlan) error {
	s.Say("The state before it is kept: 'sysupdate-image rollback' returns to it, 'sysupdate-image install reset --confirm' removes it")
	_, err := fmt.Fprintf(s.Out, "%s boots next with a fresh state, deployment %s\n", Name(p.Title), p.ID)
	return err
}

// PrintConfirmedReset prints which state was removed.
func (s *Screen) PrintConfirmedReset(r machine.Reset) error {
	text := "Removed the state before the reset"
	if r == machine.ResetUndone {
		text = "Removed the fresh state of the reset that was undone"
	}
	_, err := fmt.Fprintln(s.Out, text)
	return err
}
