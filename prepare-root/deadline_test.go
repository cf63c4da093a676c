package prepareroot

import (
	"io/fs"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
)

func TestDeadline(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"quiet":                                5 * time.Minute,
		"sysupdate-image.initramfs-timeout=30": 30 * time.Second,
		"sysupdate-image.initramfs-timeout=10 sysupdate-image.initramfs-timeout=\"2 min\"": 2 * time.Minute,
		"sysupdate-image.initramfs-timeout=0":                                              0,
		"sysupdate-image.initramfs-timeout=soon":                                           5 * time.Minute,
		"sysupdate-image.initramfs-timeout":                                                5 * time.Minute,
	} {
		if got := Deadline(kcmdline.Parse(text)); got != want {
			t.Errorf("Deadline of %q is %v; want %v", text, got, want)
		}
	}
}

// A passing file system has no file any more from some time on.
type passing struct {
	fs.FS
	until time.Time
}

func (p passing) Open(name string) (fs.File, error) {
	if time.Now().Before(p.until) {
		return p.FS.Open(name)
	}
	return fstest.MapFS{}.Open(name)
}

// A passphrase or a check of a file system makes it wait anew; other programs do not.
func TestWaitUnlessBusy(t *testing.T) {
	for name, tt := range map[string]struct {
		file, content string
		want          time.Duration
	}{
		"nothing":                  {"", "", 30 * time.Second},
		"passphrase":               {"run/systemd/ask-password/ask.x1", "", 130 * time.Second},
		"socket of another prompt": {"run/systemd/ask-password/sck.1", "", 30 * time.Second},
		"fsck":                     {"proc/71/comm", "fsck.ext4\n", 130 * time.Second},
		"e2fsck":                   {"proc/72/comm", "e2fsck\n", 130 * time.Second},
		"another program":          {"proc/71/comm", "udevd\n", 30 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			root := fstest.MapFS{}
			if tt.file != "" {
				root[tt.file] = &fstest.MapFile{Data: []byte(tt.content)}
			}
			begun := time.Now()
			waitUnlessBusy(passing{root, begun.Add(100*time.Second + busyStep/2)}, 30*time.Second)
			if got := time.Since(begun); got != tt.want {
				t.Errorf("%s: waited for %v; want %v", name, got, tt.want)
			}
		})
	}
}

func TestOnTrial(t *testing.T) {
	counted := func(name string) fstest.MapFS {
		data := []byte{6, 0, 0, 0}
		for _, c := range []byte(`\loader\entries\` + name + "\x00") {
			data = append(data, c, 0)
		}
		return fstest.MapFS{bootcount.VariableFile("LoaderBootCountPath"): {Data: data}}
	}
	for _, tt := range []struct {
		root    fstest.MapFS
		cmdline string
		want    bool
	}{
		{fstest.MapFS{}, "", false},
		{fstest.MapFS{}, "sysupdate-image.on-failure=reboot", false},
		{counted("a+2-1.conf"), "", true},
		{counted("a+0-3.conf"), "", true},
		{counted("a+0-10.conf"), "", false},
		{counted("a+2-1.conf"), "sysupdate-image.on-failure=emergency", false},
		{counted("a+2-1.conf"), "sysupdate-image.on-failure=poweroff", true},
		{fstest.MapFS{}, "sysupdate-image.on-failure=poweroff", false},
	} {
		s := settings{sysroot: t.TempDir()}
		if got := s.onTrial(tt.root, kcmdline.Parse(tt.cmdline)); got != tt.want {
			t.Errorf("onTrial with %v and %q is %v; want %v", tt.root, tt.cmdline, got, tt.want)
		}
	}
}
