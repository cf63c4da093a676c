package limits

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestError(t *testing.T) {
	tests := []struct {
		limit Limit
		want  string
	}{
		{Limit{Name: "manifest size", Value: 4 << 20, Unit: Bytes}, "manifest size limit: at most 4 MiB"},
		{Limit{Name: "name size", Value: 1000, Unit: Bytes}, "name size limit: at most 1000 bytes"},
		{Limit{Name: "room", Value: 2 << 40, Unit: Bytes}, "room limit: at most 2 TiB"},
		{Limit{Name: "file count", Value: 10, Unit: "files"}, "file count limit: at most 10 files"},
		{Limit{Name: "transfer rate", Value: 512, Unit: PerSecond, Least: true}, "transfer rate limit: at least 512 bytes per second"},
		{Limit{Name: "patience", Value: 90, Unit: Seconds}, "patience limit: at most 1m30s"},
		{Limit{Name: "reserve", Value: 5, Unit: Percent, Least: true}, "reserve limit: at least 5%"},
	}
	for _, tt := range tests {
		if got := tt.limit.Exceeded().Error(); got != tt.want {
			t.Errorf("error %q; want %q", got, tt.want)
		}
	}
}

func TestCheck(t *testing.T) {
	most, least := Limit{Value: 10}, Limit{Value: 10, Least: true}
	for n, want := range map[int64][2]bool{9: {true, false}, 10: {true, true}, 11: {false, true}} {
		if got := [2]bool{most.Check(n) == nil, least.Check(n) == nil}; got != want {
			t.Errorf("%d is within at most 10, at least 10: %v; want %v", n, got, want)
		}
	}
}

func TestReader(t *testing.T) {
	l := Limit{Name: "text", Value: 5, Unit: Bytes}
	for _, text := range []string{"", "four", "fives"} {
		got, err := io.ReadAll(l.Reader(iotest.OneByteReader(strings.NewReader(text))))
		if string(got) != text || err != nil {
			t.Errorf("%q: read %q, %v; want all", text, got, err)
		}
	}
	r := l.Reader(strings.NewReader("sixsix"))
	got, err := io.ReadAll(r)
	var exceeded *Error
	if string(got) != "sixsi" || !errors.As(err, &exceeded) || exceeded.Limit != l {
		t.Errorf("six bytes: read %q, %v; want five and the limit's error", got, err)
	}
	if n, err := r.Read(make([]byte, 9)); n != 0 || !errors.As(err, &exceeded) {
		t.Errorf("after that: %d, %v; want the error again", n, err)
	}
}

// TestAll finds the limits in the source of the table: the manual page has
// every one.
func TestAll(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "table.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if _, ok := n.(*ast.ValueSpec); ok {
			declared++
		}
		return true
	})
	names := make(map[string]bool)
	for _, l := range All() {
		if l.Name == "" || l.Value <= 0 || l.Unit == "" || l.Bounds == "" || names[l.Name] {
			t.Errorf("limit %+v is incomplete, or there twice", l)
		}
		names[l.Name] = true
	}
	if len(names) != declared || declared == 0 {
		t.Errorf("All has %d limits, the table %d", len(names), declared)
	}
}
