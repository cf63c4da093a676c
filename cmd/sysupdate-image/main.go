// Program sysupdate-image fetches, verifies and stages images for a machine to
// boot, and says what it boots.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// memoryGoal is how much memory the garbage collector lets there be, unless
// there is more in use. Machines that update themselves have other things to do.
const memoryGoal = 112 << 20

func main() {
	debug.SetMemoryLimit(memoryGoal)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
