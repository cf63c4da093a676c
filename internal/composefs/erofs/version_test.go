package erofs

import (
	"bytes"
	"strings"
	"testing"
)

func TestVersionOf(t *testing.T) {
	for _, want := range []int{V0, V1, V2} {
		image := write(t, parse(t, "v002.dump"), Options{Version: want})
		if got, err := VersionOf(bytes.NewReader(image)); got != want || err != nil {
			t.Errorf("VersionOf(V%d image) = %d, %v", want, got, err)
		}
	}
	for _, text := range []string{"", "short", strings.Repeat("/", 5000)} {
		if got, err := VersionOf(strings.NewReader(text)); err == nil {
			t.Errorf("VersionOf(%.10q) = %d; want an error", text, got)
		}
	}
}
