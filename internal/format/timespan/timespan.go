// Package timespan reads and writes how long something takes, as systemd.time(7) has it.
package timespan

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// units are the ones that a wait has; "m" is a minute, as for systemd.
var units = map[string]time.Duration{
	"s": time.Second, "sec": time.Second, "second": time.Second, "seconds": time.Second, "": time.Second,
	"m": time.Minute, "min": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hour": time.Hour, "hours": time.Hour,
}

// longest is more than anything may take, and far from where a sum would overflow.
const longest = 1000 * time.Hour

// Parse reads a time span such as "90s", "15min" or "1h 30min". A number without a unit
// is seconds.
func Parse(text string) (time.Duration, error) {
	invalid := fmt.Errorf("invalid time span %q: want one such as 90s, 15min or 1h 30min", text)
	rest := strings.TrimSpace(text)
	if rest == "" {
		return 0, invalid
	}
	var sum time.Duration
	for rest != "" {
		digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
		rest = strings.TrimLeft(rest[len(digits):], " ")
		word := rest[:len(rest)-len(strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyz"))]
		rest = strings.TrimLeft(rest[len(word):], " ")
		n, err := strconv.ParseUint(digits, 10, 22) // which no unit makes overflow
		unit, known := units[word]
		if err != nil || !known {
			return 0, invalid
		}
		if sum += time.Duration(n) * unit; sum > longest {
			return 0, invalid
		}
	}
	return sum, nil
}

// Format returns a time span of whole seconds as Parse reads it and people like it best.
func Format(d time.Duration) string {
	if d >= time.Minute && d%time.Minute == 0 {
		return strconv.FormatInt(int64(d/time.Minute), 10) + "min"
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}
