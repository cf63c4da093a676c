package ui

import (
	"bufio"
	"fmt"
	"html"
	"io"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
)

// The colours tell an area that is new from one that grew, shrank or stayed; so do the marks
// in the text, for those who cannot tell the colours apart.
const comparisonStyle = `body{font:15px/1.45 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.15rem .6rem .15rem 0;vertical-align:top;border-bottom:1px solid #ddd;overflow-wrap:anywhere}
td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}td.m{width:1rem;font-weight:bold}
.added{color:#1a6b2d}.removed{color:#a3241c}.note{background:#fff3cd;padding:.5rem .8rem}
svg{width:100%;height:auto;display:block}svg text{font-size:11px;fill:#111}rect{stroke:#fff}
.new{fill:#8fd19e}.more{fill:#ffd27f}.less{fill:#9ec9f0}.same{fill:#d5d8dc}
.key span{display:inline-block;padding:0 .5rem;margin-right:.5rem}.k-new{background:#8fd19e}.k-more{background:#ffd27f}.k-less{background:#9ec9f0}.k-same{background:#d5d8dc}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#1b1b1b}td,th{border-color:#444}.added{color:#7fd393}.removed{color:#ff9c93}.note{background:#4d4215}rect{stroke:#1b1b1b}.key span{color:#111}}
`

// PrintComparisonHTML prints a comparison as a page that needs nothing else: no script, no
// font, no picture from elsewhere.
func (s *Screen) PrintComparisonHTML(c inspect.Comparison) error {
	w := bufio.NewWriter(s.Out)
	p := page{w}
	title := "From " + c.Old + " to " + c.New
	p.printf(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>%s</title><style>
`, title)
	io.WriteString(w, comparisonStyle) // an error stays with w
	p.printf(`</style></head><body>
<h1>%s</h1>
<p>%s &rarr; %s (%s)</p>
`, title, Size(c.Sizes.Old), Size(c.Sizes.New), growth(c.Sizes.Old, c.Sizes.New))
	for _, note := range c.Notes {
		p.printf("<p class=\"note\">%s</p>\n", note)
	}
	p.maps(c.Sizes)
	for _, m := range c.Packages {
		changes := make([]inspect.NamedChange, 0, len(m.Changes))
		for _, change := range m.Changes {
			changes = append(changes, inspect.NamedChange(change))
		}
		p.changes("Packages ("+m.Manager+")", changes)
	}
	p.changes("Units", c.Units)
	p.changes("Users and groups", c.Accounts)
	p.changes("Kernel arguments", argumentsAsChanges(c.KernelArguments))
	p.files(c)
	p.printf("</body></html>\n")
	return w.Flush()
}

// A page is HTML that is being written.
type page struct{ w io.Writer }

// printf prints with the texts among args escaped.
func (p page) printf(format string, args ...any) {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = html.EscapeString(printable.Name(text))
		}
	}
	fmt.Fprintf(p.w, format, args...)
}

func (p page) maps(s inspect.Sizes) {
	if len(s.Packages) > 0 {
		p.printf("<h2>Size by package</h2>\n")
		p.sizeMap(s.Packages)
		p.sizes(s.Packages)
	}
	if len(s.Directories) > 0 {
		p.printf("<h2>Size by directory</h2>\n")
		p.sizeMap(s.Directories)
		p.sizes(s.Directories)
	}
}

// sizes prints a table of the parts whose sizes have changed most.
func (p page) sizes(parts []inspect.SizedChange) {
	const most = 20
	parts = grown(parts)
	if len(parts) == 0 {
		return
	}
	p.printf("<table><tr><th>Changed most<th class=\"n\">old<th class=\"n\">new<th class=\"n\">difference</tr>\n")
	for _, part := range parts[:min(len(parts), most)] {
		p.printf("<tr><td>%s<td class=\"n\">%s<td class=\"n\">%s<td class=\"n\">%s</tr>\n",
			part.Name, Size(part.Old), Size(part.New), growth(part.Old, part.New))
	}
	p.printf("</table>\n")
}

// changes prints a table of changes, nothing if there are none.
func (p page) changes(title string, changes []inspect.NamedChange) {
	if len(changes) == 0 {
		return
	}
	p.printf("<h2>%s</h2>\n<table><tr><th><th>Name<th>old<th>new</tr>\n", title)
	for _, c := range changes {
		mark, class := "~", "changed"
		switch {
		case c.Old == "":
			mark, class = "+", "added"
		case c.New == "":
			mark, class = "-", "removed"
		}
		p.printf("<tr class=\"%s\"><td class=\"m\">%s<td>%s<td>%s<td>%s</tr>\n", class, mark, c.Name, c.Old, c.New)
	}
	p.printf("</table>\n")
}

func argumentsAsChanges(a inspect.KernelArguments) (changes []inspect.NamedChange) {
	for _, arg := range a.Removed {
		changes = append(changes, inspect.NamedChange{Name: arg, Old: arg})
	}
	for _, arg := range a.Added {
		changes = append(changes, inspect.NamedChange{Name: arg, New: arg})
	}
	return changes
}

// files prints the files, which may be many: they are folded in.
func (p page) files(c inspect.Comparison) {
	kinds := make(map[string]int)
	for _, f := range c.Files {
		kinds[f.Kind]++
	}
	p.printf("<h2>Files</h2>\n<details><summary>%d added, %d removed, %d changed</summary><table>\n",
		kinds[diff.Added], kinds[diff.Removed], kinds[diff.Changed])
	for _, f := range c.Files {
		p.printf("<tr class=\"%s\"><td>%s</tr>\n", f.Kind, f.String())
	}
	p.printf("</table></details>\n")
	if n := len(c.Unknown); n > 0 {
		p.printf("<p class=\"note\">The contents of %s could not be compared: their digests have different algorithms</p>\n", Count(n, "file"))
	}
}
