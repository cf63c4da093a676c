package tomlfile

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

type config struct {
	A any `toml:"a"`
}

// TestHostile: nothing within the limits takes long, and nothing beyond is decoded.
func TestHostile(t *testing.T) {
	for name, text := range map[string]string{
		"arrays":        "a = " + strings.Repeat("[", 60_000),
		"closed arrays": "a = " + strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000),
		"tables":        "a = " + strings.Repeat("{a=", 200) + "1" + strings.Repeat("}", 200),
		"keys":          strings.Repeat(strings.Repeat("a.", 200)+"b = 1\n", 150),
		"both":          "a = " + strings.Repeat("[{a=", 200),
		"beyond tables": "a = " + strings.Repeat("{a=", 20_000),
		"beyond keys":   strings.Repeat("a.", 30_000) + "b = 1",
		"beyond size":   strings.Repeat("# comment\n", 10_000),
	} {
		var c config
		began := time.Now()
		_, err := Decode(text, &c)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
		var exceeded *limits.Error
		if beyond := strings.HasPrefix(name, "beyond"); errors.As(err, &exceeded) != beyond {
			t.Errorf("%s: %.200v", name, err)
		}
	}
}

func TestDecode(t *testing.T) {
	var c config
	if meta, err := Decode(`a = ["rd.luks.name=x", "systemd.unit={y}"]`, &c); err != nil || !meta.IsDefined("a") {
		t.Errorf("Decode = %v", err)
	}
}
