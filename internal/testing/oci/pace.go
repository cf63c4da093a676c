package ocitest

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// A Pace is how a registry sends blobs.
type Pace struct {
	Rate  int64 // bytes in a second, of all blobs together; 0 for as fast as can be
	After int64 // after so many bytes nothing more is sent; 0 for no such end
	Gone  bool  // connections break off then, and new ones are not answered
	Free  int64 // blobs of up to so many bytes are sent at once, and not counted
}

// Pace has the registry send blobs in another way from now on.
func (r *Registry) Pace(p Pace) {
	r.pace.mutex.Lock()
	defer r.pace.mutex.Unlock()
	if r.pace.changed != nil {
		close(r.pace.changed)
	}
	r.pace.Pace, r.pace.begun, r.pace.sent, r.pace.changed = p, time.Time{}, 0, make(chan struct{})
}

// Sent returns how many bytes of blobs were sent at the present pace.
func (r *Registry) Sent() int64 {
	r.pace.mutex.Lock()
	defer r.pace.mutex.Unlock()
	return r.pace.sent
}

// A pacer keeps a pace.
type pacer struct {
	Pace
	mutex   sync.Mutex
	begun   time.Time // when the first byte was sent
	sent    int64
	changed chan struct{} // closed when another pace begins
}

// broken reports whether nothing is answered any more.
func (p *pacer) broken() bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.Gone && p.sent >= p.After
}

// A paced sends an answer at a pace.
type paced struct {
	http.ResponseWriter
	request *http.Request
	pace    *pacer
}

// of returns what sends the answer to a request.
func (p *pacer) of(w http.ResponseWriter, request *http.Request) http.ResponseWriter {
	if request.Method != http.MethodGet || !strings.Contains(request.URL.Path, "/blobs/") {
		return w
	}
	return &paced{w, request, p}
}

func (p *paced) Write(data []byte) (n int, err error) {
	if p.pace.free(len(data)) {
		return p.ResponseWriter.Write(data)
	}
	for n < len(data) {
		size, err := p.pace.next(int64(len(data)-n), p.request)
		if err != nil {
			return n, err
		}
		written, err := p.ResponseWriter.Write(data[n : n+int(size)])
		n += written
		if err != nil {
			return n, err
		}
		if f, ok := p.ResponseWriter.(http.Flusher); ok {
			f.Flush()
		}
	}
	return n, nil
}

func (p *pacer) free(size int) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return int64(size) <= p.Free
}

// next waits until something may be sent, and returns how many of the bytes left that are. What
// was late is made up for: the rate is that of all bytes since the first.
func (p *pacer) next(left int64, request *http.Request) (int64, error) {
	const chunk = 16 << 10
	for {
		p.mutex.Lock()
		now := time.Now()
		if p.begun.IsZero() {
			p.begun = now
		}
		wait, change := time.Duration(0), p.changed
		size := min(left, chunk)
		if p.After > 0 {
			size = min(size, p.After-p.sent)
		}
		if p.Rate > 0 {
			wait = time.Duration(float64(p.sent)/float64(p.Rate)*float64(time.Second)) - now.Sub(p.begun)
		}
		switch {
		case size == 0 && p.Gone:
			p.mutex.Unlock()
			panic(http.ErrAbortHandler)
		case size == 0:
			wait = time.Hour
		case wait <= 0:
			p.sent += size
			p.mutex.Unlock()
			return size, nil
		}
		p.mutex.Unlock()
		select {
		case <-time.After(wait):
		case <-change:
		case <-request.Context().Done():
			return 0, request.Context().Err()
		}
	}
}
