package vm

import (
	"context"
	"errors"
	"testing"
)

// Boot starts a machine for a test and waits until scripts can run in it. It is
// off when the test has ended; when the test failed, its console is in the log.
func Boot(ctx context.Context, t testing.TB, cfg Config) *Machine {
	t.Helper()
	m := Launch(ctx, t, cfg)
	if _, err := m.WaitBoot(ctx); err != nil {
		t.Fatal(err)
	}
	return m
}

// Launch is Boot without the waiting.
func Launch(ctx context.Context, t testing.TB, cfg Config) *Machine {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	m, err := Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Kill()
		if t.Failed() {
			t.Logf("console of %s:\n%s", t.Name(), m.console.tail(120))
		}
	})
	return m
}

// Do runs a script that has to succeed and returns what it wrote to its standard
// output, without the last line break.
func (m *Machine) Do(ctx context.Context, t testing.TB, script string) string {
	t.Helper()
	out, err := m.Must(ctx, script)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Fails runs a script that has to end with the given exit status and returns
// what it wrote, standard error last.
func (m *Machine) Fails(ctx context.Context, t testing.TB, exit int, script string) string {
	t.Helper()
	result, err := m.Run(ctx, script)
	if err != nil {
		t.Fatal(err)
	}
	if result.Exit != exit {
		t.Fatalf("in the machine: %s: exit status %d; want %d\n%s%s", script, result.Exit, exit, result.Stdout, result.Stderr)
	}
	return result.Stdout + result.Stderr
}

// WentDown reports whether err is what a script gets when the machine goes down under it.
func WentDown(err error) bool { return errors.Is(err, ErrRestarted) || errors.Is(err, ErrEnded) }
