package ui

import "time"

// A meter tells at which rate bytes come: that of the last seconds, since an hour ago another
// network may have brought them.
type meter struct {
	samples []sample // the first is the last before the window, the others are in it
	settled bool     // what came at once at the beginning is not among them
	last    time.Time
}

// A sample is how many bytes had come at a time.
type sample struct {
	at    time.Time
	bytes int64
}

const (
	// window is the time whose rate counts: long enough that a time left does not jump about.
	window = 20 * time.Second
	// sampling is how often a sample is taken.
	sampling = 100 * time.Millisecond
)

// add notes how many bytes have come. What comes first is not counted: before that the registry
// was looked for, and while it was, buffers may have filled.
func (m *meter) add(now time.Time, bytes int64) {
	m.last = now
	if n := len(m.samples); n > 0 && now.Sub(m.samples[n-1].at) < sampling {
		return
	}
	if len(m.samples) == 1 && !m.settled {
		m.samples, m.settled = nil, true
	}
	m.samples = append(m.samples, sample{now, bytes})
	for len(m.samples) > 2 && now.Sub(m.samples[1].at) > window {
		m.samples = m.samples[1:]
	}
}

// rate returns how many bytes come in a second; 0 if that is not known.
func (m *meter) rate(now time.Time, bytes int64) float64 {
	if len(m.samples) == 0 {
		return 0
	}
	first := m.samples[0]
	took := now.Sub(first.at)
	if took < 2*sampling {
		return 0
	}
	return float64(bytes-first.bytes) / took.Seconds()
}

// still returns for how long nothing has come.
func (m *meter) still(now time.Time) time.Duration {
	if m.last.IsZero() {
		return 0
	}
	return now.Sub(m.last)
}
