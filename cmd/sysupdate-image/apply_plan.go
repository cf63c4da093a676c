package main

import (
	"context"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// check reports whether there is an update.
func (s *session) check(ctx context.Context, o update.Options, r update.Reporter, f applyFlags) error {
	return s.look(func(m *update.Machine) error {
		u, err := m.Check(ctx, o, r)
		if err != nil {
			return err
		}
		switch {
		case f.asJSON:
			err = s.PrintJSON(u)
		case f.bootc:
			err = s.PrintBootcUpdate(u, f.quiet)
		default:
			err = s.PrintUpdate(u, f.quiet)
		}
		if err == nil && u.Available {
			return availableError{}
		}
		return err
	})
}

// plan shows what apply would do.
func (s *session) plan(ctx context.Context, o update.Options, r update.Reporter, f applyFlags) error {
	return s.look(func(m *update.Machine) error {
		plan, err := m.Plan(ctx, o, r)
		if err != nil {
			return err
		}
		if f.asJSON {
			return s.PrintJSON(plan)
		}
		return s.PrintPlan(plan, o.EtcConflicts)
	})
}
