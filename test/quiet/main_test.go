package main

import (
	"strings"
	"testing"
)

// What go test -json says of a package with a test that passes, some that are skipped, one
// that fails, and one that runs when the package ends; and of one without tests.
const stream = `{"Action":"run","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"    p_test.go:5: nothing of interest\n"}
{"Action":"pass","Package":"p","Test":"TestGood","Elapsed":2.4}
{"Action":"output","Package":"p","Test":"TestSkipped/part","Output":"    p_test.go:7: there is no\n"}
{"Action":"output","Package":"p","Test":"TestSkipped/part","Output":"    p_test.go:8: not root\n"}
{"Action":"output","Package":"p","Test":"TestSkipped/part","Output":"--- SKIP: TestSkipped/part (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestSkipped/part"}
{"Action":"pass","Package":"p","Test":"TestSkipped"}
{"Action":"output","Package":"p","Test":"TestAlso","Output":"    p_test.go:18: not root\n"}
{"Action":"skip","Package":"p","Test":"TestAlso"}
{"Action":"skip","Package":"p","Test":"TestMany/a"}
{"Action":"skip","Package":"p","Test":"TestMany/b"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"=== RUN   TestBad\n"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"    p_test.go:9: wrong\n"}
{"Action":"fail","Package":"p","Test":"TestBad"}
{"Action":"output","Package":"p","Test":"TestHangs","Output":"panic: test timed out\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t3.000s\n"}
{"Action":"fail","Package":"p"}
{"Action":"output","Package":"s","Output":"ok  \ts\t1.200s\n"}
{"Action":"pass","Package":"s"}
{"Action":"output","Package":"t","Output":"ok  \tt\t0.900s\n"}
{"Action":"pass","Package":"t"}
{"Action":"output","Package":"u","Output":"ok  \tu\t(cached)\n"}
{"Action":"pass","Package":"u"}
{"Action":"output","Package":"q","Output":"?   \tq\t[no test files]\n"}
{"Action":"skip","Package":"q"}
{"ImportPath":"r","Action":"build-output","Output":"r.go:1: syntax error\n"}
not JSON
`

func TestReport(t *testing.T) {
	const quiet = `p: TestBad:
    p_test.go:9: wrong
FAIL	p	3.000s
--- SKIP: p: TestMany (2)
    it does not say why
--- SKIP: p: TestSkipped/part, TestAlso
    not root
p: TestHangs:
panic: test timed out
ok  	s	1.200s
r.go:1: syntax error
not JSON
`
	for _, tests := range []bool{false, true} {
		var out strings.Builder
		r := newReport(&out, tests)
		if err := r.read(strings.NewReader(stream)); err != nil {
			t.Fatal(err)
		}
		want := quiet
		if tests {
			want = "--- PASS: TestGood (2s)\n" + strings.Replace(quiet, "p: TestBad", "--- PASS: TestSkipped (0s)\np: TestBad", 1)
		}
		if r.good != 3 {
			t.Errorf("%d packages passed; want 3", r.good)
		}
		if got := out.String(); got != want {
			t.Errorf("with tests %v the report is:\n%s\nwant:\n%s", tests, got, want)
		}
	}
}
