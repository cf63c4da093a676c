package ui

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// ProgressLines writes progress for programs: the JSON Lines of bootc's --progress-fd, version
// 0.1.0. Its tasks are pulling, importing and staging. Everything goes to another Reporter, too.
//
// A reader that is slow or gone does not hold up an update: events in between are dropped.
type ProgressLines struct {
	update.Reporter
	out   *lineWriter
	begun bool // an event was written

	mutex sync.Mutex
	task  string // that is under way, "" before the first
	text  string // its description
	bytes bytesEvent
	last  time.Time // of the last event about bytes
}

// The names of the tasks, and of events, are bootc's.
const (
	progressVersion = "0.1.0"

	taskPulling   = "pulling"
	taskImporting = "importing"
	taskStaging   = "staging"

	// betweenEvents is how long nothing is written after an event about bytes.
	betweenEvents = 200 * time.Millisecond
)

// NewProgressLines returns a Reporter that writes to w, and reports to next.
func NewProgressLines(w io.Writer, next update.Reporter) *ProgressLines {
	return &ProgressLines{Reporter: next, out: newLineWriter(w)}
}

type startEvent struct {
	Type    string `json:"type"`
	Version string `json:"version"`
}

type bytesEvent struct {
	Type        string      `json:"type"`
	Task        string      `json:"task"`
	Description string      `json:"description"`
	ID          string      `json:"id"`
	BytesCached int64       `json:"bytesCached"`
	Bytes       int64       `json:"bytes"`
	BytesTotal  int64       `json:"bytesTotal"`
	StepsCached int         `json:"stepsCached"`
	Steps       int         `json:"steps"`
	StepsTotal  int         `json:"stepsTotal"`
	Subtasks    []bytesTask `json:"subtasks"`
}

type bytesTask struct {
	Subtask     string `json:"subtask"`
	Description string `json:"description"`
	ID          string `json:"id"`
	BytesCached int64  `json:"bytesCached"`
	Bytes       int64  `json:"bytes"`
	BytesTotal  int64  `json:"bytesTotal"`
}

type stepsEvent struct {
	Type        string     `json:"type"`
	Task        string     `json:"task"`
	Description string     `json:"description"`
	ID          string     `json:"id"`
	StepsCached int        `json:"stepsCached"`
	Steps       int        `json:"steps"`
	StepsTotal  int        `json:"stepsTotal"`
	Subtasks    []stepTask `json:"subtasks"`
}

type stepTask struct {
	Subtask     string `json:"subtask"`
	Description string `json:"description"`
	ID          string `json:"id"`
	Completed   bool   `json:"completed"`
}

// Step begins a task if the step is one.
func (p *ProgressLines) Step(text string) {
	p.Reporter.Step(text)
	p.mutex.Lock()
	defer p.mutex.Unlock()
	switch {
	case strings.HasPrefix(text, update.Building):
		p.begin(taskImporting, text)
	case strings.HasPrefix(text, update.Staging):
		p.begin(taskStaging, text)
	}
}

// begin ends the task that is under way, and begins another.
func (p *ProgressLines) begin(task, text string) {
	p.end()
	p.task, p.text = task, printable.Text(text)
	p.writeStep(false)
}

// end ends the task that is under way.
func (p *ProgressLines) end() {
	if p.task == taskImporting || p.task == taskStaging {
		p.writeStep(true)
	}
	p.task = ""
}

func (p *ProgressLines) writeStep(completed bool) {
	e := stepsEvent{Type: "ProgressSteps", Task: p.task, Description: p.text, ID: p.task, StepsTotal: 1}
	if completed {
		e.Steps = 1
	}
	e.Subtasks = []stepTask{{p.task, p.text, p.task, completed}}
	p.write(e, true)
}

// Fetching begins the task of fetching layers.
func (p *ProgressLines) Fetching(layers int, bytes int64) {
	p.Reporter.Fetching(layers, bytes)
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.end()
	p.task = taskPulling
	p.bytes = bytesEvent{
		Type: "ProgressBytes", Task: taskPulling, ID: taskPulling, Description: "Fetching " + Count(layers, "layer"),
		BytesTotal: bytes, StepsTotal: layers, Subtasks: []bytesTask{},
	}
	p.write(p.bytes, true)
}

// Fetched counts bytes that have come.
func (p *ProgressLines) Fetched(bytes int64) {
	p.Reporter.Fetched(bytes)
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.bytes.Bytes += bytes
	if now := time.Now(); now.Sub(p.last) >= betweenEvents {
		p.last = now
		p.write(p.bytes, false)
	}
}

// OfLayer returns a function that counts bytes of one layer.
func (p *ProgressLines) OfLayer(digest string, size int64) func(int64) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	i := len(p.bytes.Subtasks)
	p.bytes.Subtasks = append(p.bytes.Subtasks, bytesTask{
		Subtask: "layer", Description: "Layer " + digest, ID: digest, BytesTotal: max(size, 0),
	})
	return func(bytes int64) {
		p.mutex.Lock()
		t := &p.bytes.Subtasks[i]
		if t.Bytes += bytes; t.Bytes == t.BytesTotal {
			p.bytes.Steps++
		}
		p.mutex.Unlock()
		p.Fetched(bytes)
	}
}

// FetchDone ends the task of fetching layers.
func (p *ProgressLines) FetchDone() {
	p.Reporter.FetchDone()
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.write(p.bytes, true)
}

// Close ends the last task, unless the update has failed, and waits for a moment until all is
// written. The error is what kept events from being written.
func (p *ProgressLines) Close(failed bool) error {
	p.mutex.Lock()
	if !failed {
		p.end()
	}
	p.mutex.Unlock()
	return p.out.close()
}

// write writes an event, after the one that every stream begins with. Without must it is
// dropped if the reader is slow.
func (p *ProgressLines) write(event any, must bool) {
	if !p.begun {
		p.begun = true
		p.write(startEvent{"Start", progressVersion}, true)
	}
	line, err := json.Marshal(event)
	if err == nil {
		p.out.add(append(printable.JSON(line), '\n'), must)
	}
}

// A lineWriter writes lines in the background.
type lineWriter struct {
	lines chan []byte
	done  chan struct{}
	err   error // of the first line that could not be written; once done is closed
}

// patience is how long the end of a command waits for the reader of its progress, and queued
// is how many events may wait.
const (
	progressPatience = time.Second
	queuedEvents     = 64
)

var errSlowReader = errors.New("nobody reads them")

func newLineWriter(w io.Writer) *lineWriter {
	l := &lineWriter{lines: make(chan []byte, queuedEvents), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for line := range l.lines {
			if l.err == nil {
				_, l.err = w.Write(line)
			}
		}
	}()
	return l
}

// add queues a line. One that must be written may take the last places.
func (l *lineWriter) add(line []byte, must bool) {
	if !must && len(l.lines) > queuedEvents/2 {
		return
	}
	select {
	case l.lines <- line:
	default: // the reader has stopped
	}
}

func (l *lineWriter) close() error {
	close(l.lines)
	select {
	case <-l.done:
		return l.err
	case <-time.After(progressPatience):
		return errSlowReader
	}
}
