package ui

import (
	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
)

// The measures of a size map.
const (
	mapWidth, mapHeight = 1000.0, 520.0
	mapParts            = 150 // the rest are one area
)

// An area is a part of a size map.
type area struct {
	part       inspect.SizedChange
	size       float64 // what its area is in proportion to
	x, y, w, h float64
}

// sizeMap draws the parts of the new image as areas in proportion to their sizes. What is
// gone has none.
func (p page) sizeMap(parts []inspect.SizedChange) {
	areas := layOut(parts)
	if len(areas) == 0 {
		return
	}
	p.printf("<p class=\"key\"><span class=\"k-new\">+ new</span><span class=\"k-more\">&uarr; larger</span>" +
		"<span class=\"k-less\">&darr; smaller</span><span class=\"k-same\">= same size</span></p>\n")
	p.printf("<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"Size map\">\n", mapWidth, mapHeight)
	for _, a := range areas {
		class, mark := "same", "="
		switch {
		case a.part.Old == 0:
			class, mark = "new", "+"
		case a.part.New > a.part.Old:
			class, mark = "more", "↑"
		case a.part.New < a.part.Old:
			class, mark = "less", "↓"
		}
		p.printf("<g><title>%s: %s (%s)</title><rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>",
			a.part.Name, Size(a.part.New), growth(a.part.Old, a.part.New), class, a.x, a.y, a.w, a.h)
		const letter = 6.2 // the width of one, about
		if room := int(a.w/letter) - 3; a.h > 14 && room > 2 {
			p.printf("<text x=\"%.1f\" y=\"%.1f\">%s %s</text>", a.x+3, a.y+12, mark, cut(a.part.Name, room))
		}
		p.printf("</g>\n")
	}
	p.printf("</svg>\n")
}

// cut returns what of a text has room.
func cut(text string, room int) string {
	if runes := []rune(text); len(runes) > room {
		return string(runes[:room-1]) + "…"
	}
	return text
}

// layOut returns the areas of a map: rows of parts, each along the shorter side of what is
// left, as long as that makes them more like squares.
func layOut(parts []inspect.SizedChange) []area {
	areas, total := areasOf(parts)
	if total == 0 {
		return nil
	}
	for i := range areas {
		areas[i].size *= mapWidth * mapHeight / total
	}
	x, y, w, h := 0.0, 0.0, mapWidth, mapHeight
	for rest := areas; len(rest) > 0; {
		n, sum := row(rest, min(w, h))
		depth := sum / max(min(w, h), 1e-9)
		at := 0.0
		for i := range rest[:n] {
			a, length := &rest[i], rest[i].size/max(depth, 1e-9)
			if w >= h {
				a.x, a.y, a.w, a.h = x, y+at, depth, length
			} else {
				a.x, a.y, a.w, a.h = x+at, y, length, depth
			}
			at += length
		}
		if w >= h {
			x, w = x+depth, max(w-depth, 0)
		} else {
			y, h = y+depth, max(h-depth, 0)
		}
		rest = rest[n:]
	}
	return areas
}

// areasOf returns an area for each of the largest parts, and one for the others.
func areasOf(parts []inspect.SizedChange) (areas []area, total float64) {
	var others inspect.SizedChange
	for _, part := range parts {
		switch {
		case part.New == 0:
			continue
		case len(areas) < mapParts:
			areas = append(areas, area{part: part, size: float64(part.New)})
		default:
			others = inspect.SizedChange{Name: "others", Old: others.Old + part.Old, New: others.New + part.New}
		}
		total += float64(part.New)
	}
	if others.New > 0 {
		areas = append(areas, area{part: others, size: float64(others.New)})
	}
	return areas, total
}

// row returns how many areas make the best row along a side, and how large they are together:
// further ones would make one of them longer.
func row(areas []area, side float64) (n int, sum float64) {
	worst := 0.0
	for n < len(areas) {
		next := sum + areas[n].size
		longest := 0.0
		for _, a := range areas[:n+1] {
			length, depth := a.size*side/next, next/side
			longest = max(longest, length/depth, depth/length)
		}
		if n > 0 && longest > worst {
			break
		}
		n, sum, worst = n+1, next, longest
	}
	return n, sum
}
