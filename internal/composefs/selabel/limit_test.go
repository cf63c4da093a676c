package selabel

import (
	"context"
	"errors"
	"fmt"
	"regexp/syntax"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

func TestContextLimits(t *testing.T) {
	for name, tt := range map[string]struct {
		policy string
		want   limits.Limit
	}{
		"long line":     {"/" + strings.Repeat("a", 5000) + " x", limits.ContextLine},
		"large":         {"/(aa|bb|cc|dd|ee|ff){1000} x", limits.ContextSize},
		"many":          {strings.Repeat("/a x\n", 100_001), limits.ContextLines},
		"many together": {strings.Repeat("/[ab]{900} x\n", 1000), limits.ContextsSize},
	} {
		began := time.Now()
		_, err := Load(t.Context(), contexts(tt.policy).open)
		var exceeded *limits.Error
		if !errors.As(err, &exceeded) || exceeded.Limit != tt.want {
			t.Errorf("%s: Load = %v; want %v", name, err, tt.want.Exceeded())
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

// slow returns a policy that takes hours for a few thousand files, and is within
// all limits but that.
func slow() string {
	var b strings.Builder
	for i := range 200 {
		fmt.Fprintf(&b, ".*((a|b|ab){700}).*%d x\n", i)
	}
	return b.String()
}

// TestLabelCancelled: a policy that takes for ever is given up within a second.
func TestLabelCancelled(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	l, err := Load(ctx, contexts(slow()).open)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { cancel(why) })
	began := time.Now()
	for l.Err() == nil {
		l.Label("/"+strings.Repeat("ab", 1000), file)
	}
	if took := time.Since(began); !errors.Is(l.Err(), why) || took > 5*time.Second {
		t.Errorf("Err = %v after %v; want %v within a second", l.Err(), took, why)
	}
	if label, ok := l.Label("/a", file); ok {
		t.Errorf("Label afterwards = %q; want none", label)
	}
}

// TestLabellingTime lets no real time pass.
func TestLabellingTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := Load(t.Context(), contexts(slow()).open)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(limits.Labelling.Duration() + time.Second)
		l.Label("/"+strings.Repeat("ab", 1000), file)
		if want := "labelling time limit: at most 1m0s"; l.Err() == nil || !strings.Contains(l.Err().Error(), want) {
			t.Errorf("Err = %v; want %q", l.Err(), want)
		}
	})
}

// TestInstructions compares the estimate with what is compiled.
func TestInstructions(t *testing.T) {
	for _, expr := range []string{"", "a", "/usr/.*", "(a|bc)*d?", "[a-z]+x{3}", "(a{10}b){20}", "a{2,}", "(/.*)?", "a{0}", "(a{0,50}){3}"} {
		tree, err := syntax.Parse(expr, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		prog, err := syntax.Compile(tree.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := instructions(tree), int64(len(prog.Inst)); got+8 < want || got > 4*want+8 {
			t.Errorf("instructions(%s) = %d; it has %d", expr, got, want)
		}
	}
}
