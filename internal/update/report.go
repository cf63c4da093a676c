package update

import "time"

// A Reporter is told how an apply goes. Fetched may be called from several
// goroutines at once.
type Reporter interface {
	// Step says that a step begins, in words for a person.
	Step(text string)
	// Fetching says that layers of so many bytes in all are about to be fetched.
	Fetching(layers int, bytes int64)
	// Fetched says that so many more bytes have come.
	Fetched(bytes int64)
	// FetchedLayer says that a layer, which came in so many bytes, is in the repository: it
	// need not be fetched again.
	FetchedLayer(bytes int64)
	// FetchDone says that all layers are here, or that the fetch has failed.
	FetchDone()
}

// A LayerReporter is a Reporter that wants to know of which layer bytes are. It calls its own
// Fetched.
type LayerReporter interface {
	// OfLayer returns what is told instead of Fetched of the bytes of a layer.
	OfLayer(digest string, size int64) (fetched func(bytes int64))
}

// How the steps begin, for a Reporter, in which a program is interested.
const (
	Building = "Building "
	Staging  = "Staging "
)

// A Timing says how long a step took.
type Timing struct {
	Step string        `json:"step"`
	Took time.Duration `json:"nanoseconds"`
}

// A clock splits the time of an apply by step.
type clock struct {
	begun   time.Time
	timings []Timing
}

func startClock() *clock { return &clock{begun: time.Now()} }

// split ends the step called name; the next one begins now.
func (c *clock) split(name string) {
	now := time.Now()
	c.timings = append(c.timings, Timing{name, now.Sub(c.begun)})
	c.begun = now
}
