package ui

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/machine/timeline"
)

var aBoot = timeline.Timeline{
	Phases: []timeline.Span{
		{Name: timeline.Firmware, Start: -3 * time.Second, End: -time.Second},
		{Name: timeline.Loader, Start: -time.Second, End: 0},
		{Name: timeline.Kernel, Start: 0, End: 400 * time.Millisecond},
		{Name: timeline.Initramfs, Start: 400 * time.Millisecond, End: 2 * time.Second},
		{Name: timeline.Userspace, Start: 2 * time.Second, End: 5 * time.Second},
	},
	Steps: []timeline.Span{
		{Name: "systemd-udevd.service", Start: 500 * time.Millisecond, End: 700 * time.Millisecond},
		{Name: `dev-disk-by\x2dlabel.<device>`, Start: 600 * time.Millisecond, End: 900 * time.Millisecond},
		{Name: "prepare the root", Start: 1800 * time.Millisecond, End: 1823 * time.Millisecond},
	},
	Complete: 4500 * time.Millisecond,
}

func TestTimelineAsText(t *testing.T) {
	const want = `firmware      2.000s
loader        1.000s
kernel        0.400s
initramfs     1.600s
   +0.100s    0.200s  systemd-udevd.service
   +0.200s    0.300s  dev-disk-by\x2dlabel.<device>
   +1.400s    0.023s  prepare the root
userspace     3.000s
total         8.000s
boot-complete.target was reached 4.500s after the kernel began.
`
	var out bytes.Buffer
	if err := (&Screen{Out: &out}).PrintTimeline(aBoot); err != nil || out.String() != want {
		t.Errorf("PrintTimeline = %v\n%s\nwant\n%s", err, out.String(), want)
	}
}

func TestTimelineAsJSON(t *testing.T) {
	const want = `{
  "phases": [
    {
      "name": "kernel",
      "startUSec": 0,
      "durationUSec": 400000
    }
  ],
  "initramfsSteps": [],
  "bootCompleteUSec": null
}
`
	var out bytes.Buffer
	short := timeline.Timeline{Phases: aBoot.Phases[2:3]}
	if err := (&Screen{Out: &out}).PrintTimelineJSON(short); err != nil || out.String() != want {
		t.Errorf("PrintTimelineJSON = %v\n%s\nwant\n%s", err, out.String(), want)
	}
}

// Each phase and step has a bar, and a viewer can read the file.
func TestTimelineAsSVG(t *testing.T) {
	var out bytes.Buffer
	if err := (&Screen{Out: &out}).PrintTimelineSVG(aBoot); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]int)
	for d := xml.NewDecoder(&out); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok {
			found[start.Name.Local]++
		}
	}
	if want := len(aBoot.Phases) + len(aBoot.Steps); found["rect"] != want || found["text"] != want {
		t.Errorf("the picture has %v; want %d bars with text", found, want)
	}
}
