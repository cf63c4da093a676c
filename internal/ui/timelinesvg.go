package ui

import (
	"fmt"
	"html"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/timeline"
)

// The measures of the picture, in pixels.
const (
	svgWidth   = 1000 // of the whole time
	svgRow     = 22
	svgBar     = 16
	svgMargin  = 20
	svgForText = 320 // right of the last bar
)

// colors are those of the phases; steps have that of the initramfs.
var colors = map[string]string{
	timeline.Firmware: "#9e9e9e", timeline.Loader: "#8d6e63", timeline.Kernel: "#5c6bc0",
	timeline.Initramfs: "#ef6c00", timeline.Userspace: "#2e7d32",
}

// PrintTimelineSVG draws where the time of a boot went: a bar for each phase and each step of
// the initramfs, one below the other.
func (s *Screen) PrintTimelineSVG(t timeline.Timeline) error {
	first, last := t.Phases[0].Start, t.Phases[len(t.Phases)-1].End
	scale := svgWidth / max(last-first, time.Millisecond).Seconds()
	var bars []string
	bar := func(span timeline.Span, color string) {
		x, y := svgMargin+scale*(span.Start-first).Seconds(), svgMargin+svgRow*len(bars)
		width := max(scale*(span.End-span.Start).Seconds(), 1)
		bars = append(bars, fmt.Sprintf(`<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`+
			`<text x="%.1f" y="%d">%s %s</text>`, x, y, width, svgBar, color,
			x+width+5, y+svgBar-3, html.EscapeString(printable.Name(span.Name)), seconds(span.End-span.Start)))
	}
	for _, p := range t.Phases {
		bar(p, colors[p.Name])
		if p.Name != timeline.Initramfs {
			continue
		}
		for _, step := range t.Steps {
			bar(step, "#ffb74d")
		}
	}
	_, err := fmt.Fprintf(s.Out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">
%s
</svg>
`, 2*svgMargin+svgWidth+svgForText, 2*svgMargin+svgRow*len(bars), strings.Join(bars, "\n"))
	return err
}
