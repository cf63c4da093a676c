package health

import (
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

func TestReadLines(t *testing.T) {
	var lines []string
	long := strings.Repeat("x", maxLine+10)
	last := readLines(iotest.OneByteReader(strings.NewReader("one\r\n\n<3>two\t\n"+long+"\n<6>")), func(line string) { lines = append(lines, line) })
	want := []string{"one", "<3>two", long[:maxLine], long[maxLine:], "<6>"}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") || last != "<6>" {
		t.Errorf("readLines gives %q and %q; want %q and %q", lines, last, want, "<6>")
	}
	if last := readLines(strings.NewReader("<3>why\n \n"), func(string) {}); last != "why" {
		t.Errorf("the last line is %q; want %q", last, "why")
	}
}

func FuzzReadLines(f *testing.F) {
	f.Add("<3>a\nb")
	f.Add("\xff\r\n<9>\n<")
	f.Fuzz(func(t *testing.T, output string) {
		last := readLines(strings.NewReader(output), func(line string) {
			priority, text := priorityOf(line)
			if line == "" || strings.Contains(line, "\n") || !utf8.ValidString(line) || priority < 0 || priority > 7 || !strings.HasSuffix(line, text) {
				t.Errorf("of %q a line is %q, with priority %d and text %q", output, line, priority, text)
			}
		})
		if strings.TrimSpace(strings.ToValidUTF8(output, "")) != "" && last == "" && !strings.Contains(output, "<") {
			t.Errorf("%q has no last line", output)
		}
	})
}
