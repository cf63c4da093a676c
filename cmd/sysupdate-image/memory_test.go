package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// TestKeepMemoryLow uses more than the goal, as an image of very many files
// does, and nothing again.
func TestKeepMemoryLow(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	keepMemoryLow()
	used := make([]byte, 2*memoryGoal)
	awaitLimit(t, func(limit int64) bool { return limit > int64(len(used)) })
	runtime.KeepAlive(used)
	used = nil
	awaitLimit(t, func(limit int64) bool { return limit == memoryGoal })
}

func awaitLimit(t *testing.T, ok func(limit int64) bool) {
	t.Helper()
	var limit int64
	for range 100 {
		runtime.GC()
		if limit = debug.SetMemoryLimit(-1); ok(limit) {
			return
		}
		time.Sleep(10 * time.Millisecond) // the finalizer has a goroutine of its own
	}
	t.Errorf("memory limit is %d", limit)
}

func TestLimitFor(t *testing.T) {
	for _, tt := range []struct{ live, want int64 }{
		{0, memoryGoal},
		{80 << 20, memoryGoal},
		{160 << 20, 200 << 20},
	} {
		if got := limitFor(uint64(tt.live)); got != tt.want {
			t.Errorf("limitFor(%d) = %d; want %d", tt.live, got, tt.want)
		}
	}
}
