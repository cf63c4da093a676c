package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"
)

// A screen is what status said at some moment.
type screen struct{ title, text string }

// prompt is what a screen begins with: the command that was typed.
const prompt = "# sysupdate-image status"

// text returns screens as text: each has its title, as a heading.
func text(screens []screen) string {
	var b strings.Builder
	for _, s := range screens {
		fmt.Fprintf(&b, "== %s\n%s\n%s\n", s.title, prompt, s.text)
	}
	return b.String()
}

// parse is the reverse of text.
func parse(text string) (screens []screen, err error) {
	for part := range strings.SplitSeq(text, "== ") {
		if part == "" {
			continue
		}
		title, rest, ok := strings.Cut(part, "\n"+prompt+"\n")
		if !ok {
			return nil, fmt.Errorf("%q is no screen", part)
		}
		screens = append(screens, screen{title, strings.TrimSuffix(rest, "\n")})
	}
	return screens, nil
}

// The measures of a picture, in pixels: of a character, of a line and of the margin. Longer
// lines than columns are cut.
const (
	charWidth  = 8
	lineHeight = 18
	margin     = 16
	columns    = 118
)

// style has colors for light pages and for dark ones.
const style = `text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#1f2328;white-space:pre}
.page{fill:#f6f8fa;stroke:#d1d9e0}.title{font-weight:bold}.dim{fill:#59636e}.good{fill:#1a7f37}.next{fill:#0969da}.bad{fill:#cf222e}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#0d1117;stroke:#3d444d}.dim{fill:#9198a1}.good{fill:#3fb950}.next{fill:#4493f8}.bad{fill:#f85149}}`

// svg draws screens, one below the other.
func svg(screens []screen) []byte {
	var b bytes.Buffer
	y := margin
	line := func(class, text string) {
		y += lineHeight
		if text == "" {
			return
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" class="%s" xml:space="preserve">`, margin, y, class)
		_ = xml.EscapeText(&b, []byte(cut(text))) // a buffer takes everything
		b.WriteString("</text>\n")
	}
	for i, s := range screens {
		if i > 0 {
			y += lineHeight
		}
		line("title", s.title)
		line("dim", prompt)
		for l := range strings.Lines(s.text) {
			l = strings.TrimRight(l, "\n")
			line(classOf(l), l)
		}
	}
	width, height := columns*charWidth+2*margin, y+lineHeight
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">
<title>sysupdate-image status before an update that does not work, when it is staged, and after it has undone itself</title>
<style>%s</style>
<rect class="page" x="0.5" y="0.5" width="%d" height="%d" rx="8"/>
%s</svg>
`, width, height, width, height, style, width-1, height-1, b.Bytes())
}

// cut returns what fits into a line of the picture.
func cut(line string) string {
	if utf8.RuneCountInString(line) <= columns {
		return line
	}
	return string([]rune(line)[:columns-1]) + "…"
}

// classOf returns the class of a line of status.
func classOf(line string) string {
	switch {
	case strings.HasPrefix(line, "●"):
		return "good"
	case strings.HasPrefix(line, " →"):
		return "next"
	case strings.Contains(line, " failed"):
		return "bad"
	}
	return "dim"
}

// changing is what differs from one demo to the next.
var changing = regexp.MustCompile(`[0-9a-f]{12,}|\d{4}-\d\d-\d\d \d\d:\d\d UTC|\d+\.\d+\.\d+\+\S+`)

// form returns screens without that, and without what depends on the kernel of the host that
// installed the disk.
func form(screens []screen) string {
	return strings.ReplaceAll(changing.ReplaceAllString(text(screens), "…"), ", fs-verity optional", "")
}

// Where the repository has the screens, and their picture.
const (
	screensFile = "test/demo/testdata/screens.txt"
	pictureFile = "docs/demo.svg"
)

// compare finds that the repository shows what this demo has shown, or with UPDATE=1 makes
// it do so.
func (d *demo) compare(repository string) error {
	file := filepath.Join(repository, screensFile)
	if os.Getenv("UPDATE") != "" {
		return errors.Join(
			os.WriteFile(file, []byte(text(d.screens)), 0o644),
			os.WriteFile(filepath.Join(repository, pictureFile), svg(d.screens), 0o644))
	}
	kept, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	screens, err := parse(string(kept))
	if err != nil {
		return err
	}
	if got, want := form(d.screens), form(screens); got != want {
		return fmt.Errorf("status does not say what the README shows; UPDATE=1 make demo writes it anew. It says:\n%s\nThe README:\n%s", got, want)
	}
	d.Checks++
	return nil
}
