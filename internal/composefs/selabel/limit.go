package selabel

import (
	"context"
	"regexp/syntax"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// A budget bounds the time that a policy takes: it says what regular expressions
// there are, an image how many files, and each may be matched with each.
type budget struct {
	ctx   context.Context
	until time.Time
	steps int   // since the clock was looked at
	err   error // once it is used up
}

// stepsAtOnce is for how many steps the clock is not looked at: a regular
// expression takes up to ten nanoseconds for one.
const stepsAtOnce = 1 << 20

func newBudget(ctx context.Context) budget {
	return budget{ctx: ctx, until: time.Now().Add(limits.Labelling.Duration())}
}

// spend takes account of steps, and reports whether there are more.
func (b *budget) spend(steps int) bool {
	if b.steps += steps; b.steps < stepsAtOnce || b.err != nil {
		return b.err == nil
	}
	b.steps = 0
	switch {
	case b.ctx.Err() != nil:
		b.err = context.Cause(b.ctx)
	case time.Now().After(b.until):
		b.err = limits.Labelling.Exceeded()
	}
	return b.err == nil
}

// instructions returns how many a regular expression has when it is compiled, or
// a little more. Compiling it to see takes memory for all of them.
func instructions(re *syntax.Regexp) int64 {
	n := int64(1)
	for _, sub := range re.Sub {
		n += instructions(sub)
	}
	switch re.Op {
	case syntax.OpLiteral, syntax.OpCharClass:
		n += int64(len(re.Rune))
	case syntax.OpRepeat:
		n *= int64(max(re.Min, re.Max, 1))
	}
	return n
}
