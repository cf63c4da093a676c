package ui

import (
	"fmt"
	"time"
)

// A state is how far a command is.
type state struct {
	now   time.Time
	step  string    // the last that has begun
	began time.Time // when that, or fetching, began

	fetching, fetched bool // layers are being fetched; have been
	layers, kept      int  // in all; complete
	checking          bool // objects are read to be checked, in place of layers
	objects           int
	bytes, total      int64
	keptBytes         int64         // of the layers that are complete
	rate              float64       // bytes in a second; 0 if it is not known
	still             time.Duration // since the last byte
}

// stillAfter is how long nothing comes before that is worth telling.
const stillAfter = 5 * time.Second

// percent returns how much has come. It is 100 only if that is all.
func (s state) percent() int {
	if s.total <= 0 {
		return 0
	}
	return int(min(s.bytes, s.total) * 100 / s.total)
}

// left returns how long fetching the rest takes at the present rate; 0 if that is not known.
// What has to be done with the layers after that is not in it.
func (s state) left() time.Duration {
	rest := s.total - s.bytes
	soon := s.bytes < s.total/10 && s.now.Sub(s.began) < soonAfter
	if s.rate <= 0 || rest <= 0 || soon {
		return 0
	}
	return time.Duration(float64(rest) / s.rate * float64(time.Second))
}

// soonAfter is how long a fetch takes before the time left is told of one that has brought less
// than a tenth: connections are slow at first.
const soonAfter = 3 * time.Second

// pace returns how fast bytes come and how long the rest takes; or else, in the second, why
// there is nothing to tell of that.
func (s state) pace() (rate, left string) {
	switch {
	case s.bytes >= s.total && s.checking:
		return "", ""
	case s.bytes >= s.total && s.total > 0:
		return "", "writing to disk"
	case s.still >= stillAfter && !s.checking:
		return "", "no data for " + duration(s.still)
	case s.rate > 0:
		rate = rateText(s.rate)
	}
	if d := s.left(); d > 0 {
		left = duration(d) + " left"
	}
	return rate, left
}

// summary says how a fetch ended.
func (s state) summary() string {
	switch {
	case s.checking:
		return "" // the result says it
	case s.kept == 0 && s.layers > 0:
		return "Nothing kept: no layer was complete"
	case s.kept < s.layers:
		return fmt.Sprintf("Kept %d of %s, %s; the next run fetches only the rest",
			s.kept, Count(s.layers, "layer"), Size(s.keptBytes))
	}
	text := "Fetched " + Count(s.layers, "layer") + ", " + Size(s.total)
	if took := s.now.Sub(s.began); took >= time.Second {
		text += " in " + duration(took)
	}
	return text
}

// keptText says which layers are complete.
func (s state) keptText() string {
	switch {
	case !s.fetched:
		return ""
	case s.kept == 0:
		return "no layer was complete"
	case s.kept == 1 && s.layers == 1:
		return fmt.Sprintf("the layer (%s) is kept", Size(s.keptBytes))
	case s.kept == s.layers:
		return fmt.Sprintf("all %d layers (%s) are kept", s.layers, Size(s.keptBytes))
	}
	verb := "are"
	if s.kept == 1 {
		verb = "is"
	}
	return fmt.Sprintf("%d of %d layers (%s) %s kept", s.kept, s.layers, Size(s.keptBytes), verb)
}

// doing says what goes on, in a word and with a number.
func (s state) doing() (short, long string) {
	if s.checking {
		return "Checking", "Checking " + Count(s.objects, "object")
	}
	return "Fetching", "Fetching " + Count(s.layers, "layer")
}

// progressText says how much has come, in a line of its own.
func (s state) progressText() string {
	text := "Fetched "
	if s.checking {
		text = "Checked "
	}
	text += Size(s.bytes) + " of " + Size(s.total)
	if s.total > 0 {
		text += fmt.Sprintf(" (%d%%)", s.percent())
	}
	rate, left := s.pace()
	for _, part := range []string{rate, left} {
		if part != "" {
			text += ", " + part
		}
	}
	return text
}

// bytesText returns "812.3 of 1843.2 MiB": the same width however many of the bytes have come.
func bytesText(bytes, total int64) string {
	if total < 1024 {
		return fmt.Sprintf("%*d of %d B", len(fmt.Sprint(total)), bytes, total)
	}
	unit, name := scale(total)
	decimals := 1
	if unit >= 1<<30 {
		decimals = 2 // a tenth of a GiB may take a minute
	}
	whole := fmt.Sprintf("%.*f", decimals, float64(total)/unit)
	return fmt.Sprintf("%*.*f of %s %s", len(whole), decimals, float64(bytes)/unit, whole, name)
}

// rateText returns a rate in 10 characters at most: "11.2 MiB/s", "112 MiB/s".
func rateText(rate float64) string {
	unit, name := scale(int64(rate))
	value := rate / unit
	if value < 100 && unit > 1 {
		return fmt.Sprintf("%.1f %s/s", value, name)
	}
	return fmt.Sprintf("%d %s/s", int64(value), name)
}

// scale returns the unit in which Size shows bytes.
func scale(bytes int64) (unit float64, name string) {
	if bytes < 1024 {
		return 1, "B"
	}
	exponent := 0
	for rest := bytes; rest >= 1024 && exponent < 6; rest /= 1024 {
		exponent++
	}
	return float64(int64(1) << (10 * exponent)), string(" KMGTPE"[exponent]) + "iB"
}

// duration returns a time for a person in 10 characters at most, rounded up to seconds:
// "45 s", "1 min 30 s", "12 min", "1 h 25 min", "12 h".
func duration(d time.Duration) string {
	seconds := int64((d + time.Second - 1) / time.Second)
	minutes, hours := seconds/60, seconds/3600
	switch {
	case minutes == 0:
		return fmt.Sprintf("%d s", seconds)
	case minutes < 10 && seconds%60 != 0:
		return fmt.Sprintf("%d min %d s", minutes, seconds%60)
	case hours == 0:
		return fmt.Sprintf("%d min", minutes)
	case hours < 10 && minutes%60 != 0:
		return fmt.Sprintf("%d h %d min", hours, minutes%60)
	case hours < 48:
		return fmt.Sprintf("%d h", hours)
	}
	return fmt.Sprintf("%d days", min(hours/24, 99))
}
