package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// memoryGoal is how much memory the garbage collector lets there be, unless
// there is more in use. Machines that update themselves have other things to do.
const memoryGoal = 112 << 20

// keepMemoryLow sets the goal, and raises it where an image has so many files that
// more is in use: a limit that cannot be kept has the collector run all the time.
func keepMemoryLow() {
	debug.SetMemoryLimit(memoryGoal)
	afterCollection(func() { debug.SetMemoryLimit(limitFor(liveBytes())) })
}

// limitFor returns the limit for a heap of which so many bytes are in use: a
// quarter more, so that a collection is worth its time.
func limitFor(live uint64) int64 { return max(memoryGoal, int64(live+live/4)) }

// liveBytes returns what the last collection has found to be in use.
func liveBytes() uint64 {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return live[0].Value.Uint64()
}

// afterCollection calls f after each garbage collection, on another goroutine.
func afterCollection(f func()) {
	garbage := new([16]byte) // too large to share an allocation with others
	runtime.SetFinalizer(garbage, func(*[16]byte) {
		f()
		afterCollection(f)
	})
}
