package vm

import (
	"errors"
	"os"
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	type point struct {
		after   time.Duration // since the one before
		console int64
		used    time.Duration // in all
		stuck   bool
	}
	tests := []struct {
		name   string
		points []point
	}{
		{"idle", []point{{idleLimit - 1, 0, 0, false}, {1, 0, 0, true}}},
		{"only timers", []point{{idleLimit, 0, busy - 1, true}}},
		{"slow, but busy", []point{
			{idleLimit - 1, 0, busy, false},
			{idleLimit - 1, 0, 2 * busy, false},
			{idleLimit - 1, 0, 3 * busy, false},
		}},
		{"shows something", []point{{idleLimit, 1, 0, false}, {idleLimit, 2, 0, false}, {idleLimit, 2, 0, true}}},
		{"spins", []point{{time.Second, 1, time.Hour, false}, {time.Second, 2, time.Hour + 1, true}}},
	}
	for _, tt := range tests {
		now := time.Now()
		p := progress{work: time.Hour, since: now}
		for i, point := range tt.points {
			now = now.Add(point.after)
			err := p.check(now, point.console, point.used)
			if got := errors.Is(err, ErrStuck); got != point.stuck {
				t.Errorf("%s: point %d: check() = %v; want stuck: %t", tt.name, i, err, point.stuck)
			}
		}
	}
}

func TestProcessorTime(t *testing.T) {
	got, err := processorTime("7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 8 9 20 0 1 0 100 0 0\n")
	if want := 2 * time.Second; got != want || err != nil {
		t.Errorf("processorTime() = %s, %v; want %s", got, err, want)
	}
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := processorTime(string(stat)); err != nil {
		t.Errorf("of this process: %v", err)
	}
	for _, stat := range []string{"", "7 (cat) S 1", "7 (cat) S 1 7 7 0 -1 4194560 1 2 3 4 x 50 8"} {
		if _, err := processorTime(stat); err == nil {
			t.Errorf("processorTime(%q) succeeded", stat)
		}
	}
}
