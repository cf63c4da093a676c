package ui

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/schema"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// progressed reports an update to r, as Apply does.
func progressed(r update.Reporter) {
	r.Step("Looking for docker://registry.example.org/os:1")
	r.Fetching(2, 300)
	of := r.(update.LayerReporter)
	first, second := of.OfLayer("sha256:a", 100), of.OfLayer("sha256:b", 200)
	first(60)
	second(200)
	first(40)
	r.FetchDone()
	r.Step(update.Building + "OS\n(1)")
	r.Step(update.Staging + "OS (1)")
}

func TestProgressLines(t *testing.T) {
	var out bytes.Buffer
	p := NewProgressLines(&out, newProgress(time.Now))
	progressed(p)
	if err := p.Close(false); err != nil {
		t.Fatal(err)
	}
	line, err := schema.Read("../../docs/schema/progress.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var events []map[string]any
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		var e map[string]any
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		for _, problem := range line.Problems(lines.Text()) {
			t.Errorf("%s: %s", lines.Text(), problem)
		}
		events = append(events, e)
	}
	if events[0]["type"] != "Start" || events[0]["version"] != "0.1.0" {
		t.Errorf("the first event is %v", events[0])
	}
	var tasks []string
	var fetched map[string]any
	for _, e := range events[1:] {
		task := e["task"].(string)
		if task == "pulling" {
			fetched = e
		}
		if n := len(tasks); n == 0 || tasks[n-1] != task {
			tasks = append(tasks, task)
		}
	}
	if got := strings.Join(tasks, " "); got != "pulling importing staging" {
		t.Errorf("tasks %q", got)
	}
	if fetched["bytes"] != 300.0 || fetched["bytesTotal"] != 300.0 || fetched["steps"] != 2.0 || fetched["stepsTotal"] != 2.0 {
		t.Errorf("at the end of the fetch: %v", fetched)
	}
	if last := events[len(events)-1]; last["task"] != "staging" || last["steps"] != 1.0 {
		t.Errorf("the last event is %v; want that staging is done", last)
	}
}

// An update that has failed does not say that its last task is done.
func TestProgressLinesFailed(t *testing.T) {
	var out bytes.Buffer
	p := NewProgressLines(&out, newProgress(time.Now))
	progressed(p)
	if err := p.Close(true); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, `"task":"staging"`) || !strings.Contains(last, `"completed":false`) {
		t.Errorf("the last event is %s; want that staging is under way", last)
	}
}

// A reader that does not read, or has gone, does not hold up an update.
func TestProgressLinesUnread(t *testing.T) {
	r, w := io.Pipe()
	defer r.Close()
	p := NewProgressLines(w, newProgress(time.Now))
	for range 10 * queuedEvents {
		progressed(p)
	}
	if err := p.Close(false); err != errSlowReader {
		t.Errorf("with a reader that does not read: %v; want that nobody does", err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	read.Close()
	p = NewProgressLines(write, newProgress(time.Now))
	progressed(p)
	if err := p.Close(false); err == nil {
		t.Error("with a reader that has gone there is no error")
	}
}
