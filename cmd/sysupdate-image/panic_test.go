package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bug"
)

// A panicking writer stands for any mistake in the program.
type panickingWriter struct{}

func (panickingWriter) Write([]byte) (int, error) { panic("out of luck") }

// A panic has a status of its own, and what it prints says whose fault it is.
func TestPanic(t *testing.T) {
	var stderr bytes.Buffer
	code := run(t.Context(), host(), []string{"--help"}, panickingWriter{}, &stderr)
	if code != bug.ExitStatus {
		t.Errorf("exit code %d; want %d", code, bug.ExitStatus)
	}
	for _, want := range []string{"sysupdate-image: this is a bug", "out of luck", "panickingWriter"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("standard error is %q; want %q in it", &stderr, want)
		}
	}
}
