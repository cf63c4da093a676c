package status

import (
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// FuzzLoaderConf reads loader.conf(5), and matches what it has, or an EFI variable, with
// the id of an entry.
func FuzzLoaderConf(f *testing.F) {
	f.Add("timeout 3\ndefault sysupdate-image-*\n# default x\npreferred a\n", "default")
	f.Add("default [a-\r\ndefault a b", "default")
	f.Fuzz(func(t *testing.T, text, key string) {
		value := lastSetting(text, key)
		if value != "" && (!strings.Contains(text, value) || len(strings.Fields(value)) != 1) {
			t.Errorf("lastSetting(%q, %q) = %q, which is no word of it", text, key, value)
		}
		s := loaderSetting{pattern: value}
		s.selects(boot.EntryFile{Name: bootentry.Name{Base: "sysupdate-image-000001-abc"}})
	})
}
