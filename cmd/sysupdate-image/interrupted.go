package main

import (
	"context"
	"errors"
	"fmt"
)

// interrupted explains err after an interrupt.
func (s *session) interrupted(ctx context.Context, err error) error {
	text := "interrupted" + s.disk()
	if s.changing.Load() {
		text += "; the next boot is unchanged. Run the command again to resume"
		if kept := s.Kept(); kept != "" {
			text += ": " + kept
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx)) {
		return errors.New(text)
	}
	return fmt.Errorf("%s: %w", text, err)
}

// disk says of a disk that is being installed on what to do after an interrupt.
func (s *session) disk() string {
	if name := s.unfinished.Load(); name != nil {
		return "; " + *name + " is incomplete. Start again with --wipe"
	}
	return ""
}

// abandoned says what to do after the command was ended where it was.
func (s *session) abandoned() string {
	text := "interrupted" + s.disk()
	if s.changing.Load() {
		text = "interrupted while cleaning up; run it again to resume, " +
			"'sysupdate-image status' shows what boots next"
	}
	return text
}
