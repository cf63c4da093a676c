package bootsteps

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestSteps(t *testing.T) {
	root := t.TempDir()
	if steps, err := Read(os.DirFS(root)); err != nil || steps != nil {
		t.Errorf("Read without a file = %v, %v; want nothing", steps, err)
	}
	want := []Step{
		{"mount the root", 1200 * time.Millisecond, 1300 * time.Millisecond},
		{"prepare the root", 1300 * time.Millisecond, 1345678 * time.Microsecond},
	}
	for _, s := range want {
		if err := write(filepath.Join(root, File), s); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Read(os.DirFS(root)); err != nil || !slices.Equal(got, want) {
		t.Errorf("Read = %v, %v; want %v", got, err, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("12 34 mount the root\n34 56 prepare the root\n")
	f.Add("34 12 backwards\n-1 2 negative\n1 2\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range parse(text) {
			if s.Name == "" || s.Start < 0 || s.End < s.Start {
				t.Errorf("parse(%q) has %+v", text, s)
			}
		}
	})
}
