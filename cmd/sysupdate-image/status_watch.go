package main

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

// watchPause is how long status --watch waits before it looks again.
const watchPause = time.Second

// watch shows the status whenever it has changed. An interrupt is how it ends.
func (s *session) watch(ctx context.Context, f statusFlags, format string) error {
	var shown []byte
	for first := true; ; first = false {
		now, err := s.statusText(ctx, f, format)
		if err != nil {
			return err
		}
		if !bytes.Equal(now, shown) {
			if err := s.showAgain(now, format, first); err != nil {
				return err
			}
			shown = now
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchPause):
		}
	}
}

// statusText returns what status prints.
func (s *session) statusText(ctx context.Context, f statusFlags, format string) ([]byte, error) {
	var text bytes.Buffer
	other := &session{Screen: ui.Screen{Out: &text, Err: s.Err}, host: s.host, called: s.called, sysroot: s.sysroot}
	if err := other.status(ctx, f, format); err != nil || format != formatJSON {
		return text.Bytes(), err
	}
	var line bytes.Buffer
	err := json.Compact(&line, text.Bytes())
	line.WriteByte('\n')
	return line.Bytes(), err
}

// showAgain prints a status in place of the one before, or below it.
func (s *session) showAgain(text []byte, format string, first bool) error {
	switch {
	case format == formatHuman && s.CanMove():
		if err := s.Clear(); err != nil {
			return err
		}
	case !first && format == formatYAML:
		text = append([]byte("---\n"), text...)
	case !first && format == formatHuman:
		text = append([]byte("\n"), text...)
	}
	return s.PrintText(string(text))
}
