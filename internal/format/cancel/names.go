package cancel

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
)

// namesAtOnce is how many names are read between two looks at the context.
const namesAtOnce = 8192

// Names returns the names in a directory, such as an *os.File that has just been
// opened, sorted. It stops with the cause when ctx ends, see context.Cause.
func Names(ctx context.Context, dir interface{ Readdirnames(n int) ([]string, error) }) ([]string, error) {
	return NamesUpTo(ctx, dir, math.MaxInt)
}

// NamesUpTo is Names, but stops reading after the first name that is one more than most.
func NamesUpTo(ctx context.Context, dir interface{ Readdirnames(n int) ([]string, error) }, most int) ([]string, error) {
	var names []string
	for {
		if err := Err(ctx); err != nil {
			return nil, err
		}
		some, err := dir.Readdirnames(min(namesAtOnce-1, most-len(names)) + 1)
		names = append(names, some...)
		if errors.Is(err, io.EOF) || err == nil && len(names) > most {
			slices.Sort(names)
			return names, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
