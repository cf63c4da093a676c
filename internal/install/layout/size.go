package layout

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseSize parses a size such as 512M or 20G, in bytes: with the powers of 1024 as units, M
// where there is none, as bootc has it. It is 0 for no text.
func ParseSize(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	number, unit := text, int64(1<<20)
	for i, letter := range "KMGT" {
		if n, ok := strings.CutSuffix(strings.ToUpper(text), string(letter)); ok {
			number, unit = n, int64(1)<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > 1<<60/unit {
		return 0, fmt.Errorf("invalid size %q: want a number with K, M, G or T", text)
	}
	return n * unit, nil
}
