package bug

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestCatch(t *testing.T) {
	if err := Catch(func() error { return io.EOF }); err != io.EOF || Status(err, 1) != 1 {
		t.Errorf("Catch of an error = %v, status %d; want EOF, 1", err, Status(err, 1))
	}
	var none []int
	err := fmt.Errorf("cannot do it: %w", Catch(func() error { return errors.New(fmt.Sprint(none[len(none)])) }))
	for _, want := range []string{"cannot do it: this is a bug", "index out of range", "bug.TestCatch"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Catch of a panic = %v; want %q in it", err, want)
		}
	}
	if got := Status(err, 1); got != ExitStatus {
		t.Errorf("Status of a panic = %d; want %d", got, ExitStatus)
	}
	if err := Catch(func() error { panic(io.ErrNoProgress) }); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("Catch = %v; want what it panicked with", err)
	}
}
