package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Files of a saved machine, beside its firmware's variables.
const (
	savedMemory = "memory"
	savedBoot   = "boot" // the kernel's id of it
)

// Save writes to its directory what a running PC is at this moment, besides its disks,
// and ends it. With Config.Saved it goes on from there, any number of times: each time
// with overlays of the disks that it had. A disk that is another one then must not be in
// use, nor cached by its kernel.
func (m *Machine) Save(ctx context.Context) error {
	if err := m.save(ctx); err != nil {
		return fmt.Errorf("cannot save machine: %w", err)
	}
	return nil
}

func (m *Machine) save(ctx context.Context) error {
	m.mu.Lock()
	boots := m.boots
	m.mu.Unlock()
	if m.monitor == nil || len(boots) == 0 {
		return errors.New("it is no PC that has booted")
	}
	for _, c := range []qmpCommand{
		{"stop", nil},
		{"migrate", map[string]string{"uri": "exec:cat > " + Quote(filepath.Join(m.dir, savedMemory))}},
	} {
		if _, err := m.monitor.run(ctx, c.Execute, c.Arguments); err != nil {
			return err
		}
	}
	if err := m.monitor.waitMigrated(ctx); err != nil {
		return err
	}
	m.Kill()
	return os.WriteFile(filepath.Join(m.dir, savedBoot), []byte(boots[len(boots)-1]), 0o644)
}

func (m *monitor) waitMigrated(ctx context.Context) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		answer, err := m.run(ctx, "query-migrate", nil)
		if err != nil {
			return err
		}
		var migration struct {
			Status      string
			Description string `json:"error-desc"`
		}
		if err := json.Unmarshal(answer, &migration); err != nil {
			return err
		}
		switch migration.Status {
		case "completed":
			return nil
		case "failed", "cancelled":
			return fmt.Errorf("migrate: %s", migration.Description)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// restoreArguments returns the options by which a PC goes on where it was saved. Its
// variables are put where they are looked for.
func restoreArguments(cfg Config) ([]string, error) {
	if cfg.Saved == "" {
		return nil, nil
	}
	if err := copyFile(filepath.Join(cfg.Dir, varsName), filepath.Join(cfg.Saved, varsName)); err != nil {
		return nil, err
	}
	return []string{"-incoming", "exec:cat " + Quote(filepath.Join(cfg.Saved, savedMemory))}, nil
}

// proceed lets a PC that was saved run once QEMU has read its memory: it was stopped.
func (m *Machine) proceed(ctx context.Context) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		answer, err := m.monitor.run(ctx, "query-status", nil)
		if err != nil {
			return err
		}
		var state struct{ Status string }
		if err := json.Unmarshal(answer, &state); err != nil {
			return err
		}
		if state.Status != "inmigrate" {
			_, err := m.monitor.run(ctx, "cont", nil)
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// resume takes the boot over that a machine was saved in: its agent has said hello.
func (m *Machine) resume(saved string) error {
	if saved == "" {
		return nil
	}
	id, err := os.ReadFile(filepath.Join(saved, savedBoot))
	if err != nil {
		return err
	}
	m.boots, m.hellos = []string{strings.TrimSpace(string(id))}, 1
	return nil
}
