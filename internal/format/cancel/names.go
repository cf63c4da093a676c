package cancel

import (
	"context"
	"errors"
	"io"
	"slices"
)

// namesAtOnce is how many names are read between two looks at the context.
const namesAtOnce = 8192

// Names returns the names in a directory, such as an *os.File that has just been
// opened, sorted. It stops with the cause when ctx ends, see context.Cause.
func Names(ctx context.Context, dir interface{ Readdirnames(n int) ([]string, error) }) ([]string, error) {
	var names []string
	for {
		if err := Err(ctx); err != nil {
			return nil, err
		}
		some, err := dir.Readdirnames(namesAtOnce)
		names = append(names, some...)
		if errors.Is(err, io.EOF) {
			slices.Sort(names)
			return names, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
