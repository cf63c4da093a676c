package prepareroot

import (
	"errors"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

var (
	testID       = deployment.ID(strings.Repeat("0a", 32))
	testFallback = deployment.ID(strings.Repeat("0b", 32))
)

func trial(left, done uint) deployment.AttemptsCount {
	return deployment.AttemptsCount{Trial: true, Left: left, Done: done}
}

func broken(failures uint) deployment.AttemptsCount {
	return deployment.AttemptsCount{Failures: failures, Reason: "image 0a0a is damaged"}
}

func TestDecide(t *testing.T) {
	here := facts{bootID: "now", fallback: true, sameKernel: true}
	other, sealed, gone, nobody := here, here, here, here
	other.sameKernel, sealed.sealed, gone.fallback, nobody.bootID = false, true, false, ""
	in := func(c deployment.AttemptsCount, boot string) deployment.AttemptsCount { c.Boot = boot; return c }
	inPlace := func(c deployment.AttemptsCount, n uint) deployment.AttemptsCount { c.InPlace = n; return c }
	redirected := func(c deployment.AttemptsCount, n uint) deployment.AttemptsCount { c.Redirects = n; return c }
	for _, tt := range []struct {
		name   string
		record deployment.AttemptsCount
		facts  facts
		do     action
		count  deployment.AttemptsCount
		say    string
	}{
		{"first boot on trial", trial(3, 0), here, bootTarget, in(trial(2, 1), "now"), ""},
		{"last boot on trial", trial(1, 2), other, bootTarget, in(trial(0, 3), "now"), ""},
		{"the same boot", in(trial(0, 3), "now"), here, bootTarget, in(trial(0, 3), "now"), ""},
		{"no id of the boot", trial(1, 2), nobody, bootTarget, trial(0, 3), ""},
		{"spent", in(trial(0, 3), "before"), here, bootFallback, inPlace(in(trial(0, 3), "before"), 1), "has used up its 3 boots: booting 0b0b0b0b0b0b in its place"},
		{"spent, and its place was of no use", inPlace(trial(0, 3), 1), here, redirect, redirected(inPlace(trial(0, 3), 1), 1), "by its own kernel"},
		{"spent, and nothing was of use", redirected(inPlace(trial(0, 3), 1), 2), here, bootFallback, redirected(inPlace(trial(0, 3), 2), 2), "in its place"},
		{"spent, and the fallback is gone", trial(0, 3), gone, bootTarget, trial(0, 3), "there is no other to boot"},
		{"spent, with another kernel", trial(0, 3), other, redirect, redirected(trial(0, 3), 1), "by its own kernel"},
		{"spent, and sealed", trial(0, 3), sealed, redirect, redirected(trial(0, 3), 1), "by its own kernel"},
		{"spent, and sent back twice", redirected(trial(0, 3), 2), other, bootTarget, redirected(trial(0, 3), 2), "did not come up"},
		{"blessed", broken(0), here, bootTarget, broken(0), ""},
		{"blessed, and broken twice", broken(2), here, bootTarget, broken(2), ""},
		{"blessed, and broken", broken(3), here, bootFallback, in(broken(4), "now"), "has failed 3 times in the initramfs (image 0a0a is damaged): booting 0b0b0b0b0b0b"},
		{"the same boot of the fallback", in(broken(4), "now"), here, bootFallback, in(broken(4), "now"), "booting"},
		{"blessed, and so is the fallback", in(broken(4), "before"), here, bootTarget, in(broken(4), "before"), "has not come up either"},
		{"blessed and broken, with another kernel", broken(3), other, redirect, redirected(in(broken(4), "now"), 1), "by its own kernel"},
	} {
		record := deployment.Attempts{ID: testID, Fallback: testFallback, AttemptsCount: tt.record}
		got := decide(record, tt.facts)
		if got.do != tt.do || got.count != tt.count || !strings.Contains(got.say, tt.say) || tt.say == "" && got.say != "" {
			t.Errorf("%s: decide = %+v; want %v, %+v, %q", tt.name, got, tt.do, tt.count, tt.say)
		}
		record.Fallback = ""
		if got := decide(record, facts{bootID: "now"}); got.do != bootTarget {
			t.Errorf("%s, without a fallback: decide = %+v", tt.name, got)
		}
	}
}

// Where the count cannot be written, nothing is done that could go on for ever.
func TestUncounted(t *testing.T) {
	here := facts{bootID: "now", fallback: true, sameKernel: true}
	other, sealed := here, here
	other.sameKernel, sealed.sealed = false, true
	for _, tt := range []struct {
		name   string
		record deployment.AttemptsCount
		facts  facts
		do     action
		say    string
	}{
		{"on trial", trial(3, 0), here, bootFallback, "cannot count this boot of deployment 0a0a0a0a0a0a: no space: booting 0b0b0b0b0b0b in its place"},
		{"on trial, with another kernel", trial(3, 0), other, bootTarget, "booting it uncounted"},
		{"on trial, and sealed", trial(3, 0), sealed, bootTarget, "booting it uncounted"},
		{"spent", trial(0, 3), here, bootFallback, "booting 0b0b0b0b0b0b in its place"},
		{"spent, with another kernel", trial(0, 3), other, bootTarget, "booting it uncounted"},
		{"blessed", broken(1), here, bootTarget, ""},
		{"blessed and broken", broken(3), here, bootFallback, "booting 0b0b0b0b0b0b in its place"},
	} {
		record := deployment.Attempts{ID: testID, Fallback: testFallback, AttemptsCount: tt.record}
		got := decide(record, tt.facts).uncounted(record, tt.facts, errors.New("no space"))
		if got.do != tt.do || !strings.Contains(got.say, tt.say) || tt.say == "" && got.say != "" {
			t.Errorf("%s: %+v; want %v, %q", tt.name, got, tt.do, tt.say)
		}
	}
}

// Where the fallback is late, that is no reason why the deployment before it failed.
func TestFailedKeepsReason(t *testing.T) {
	last := trial(0, 3)
	last.Boot = "last"
	c := failed(last, "last", "its own")
	if c.Reason != "its own" || c.Failures != 1 {
		t.Errorf("after the last boot: %+v", c)
	}
	if c = failed(c, "later", "the fallback's"); c.Reason != "its own" || c.Failures != 2 {
		t.Errorf("after a boot of the fallback: %+v", c)
	}
	if c = failed(broken(0), "now", "x"); c.Reason != "x" {
		t.Errorf("blessed: %+v", c)
	}
}

// However a machine fails, it comes to a rest: it is booted again only a bounded number of
// times.
func TestRestartsEnd(t *testing.T) {
	for name, count := range map[string]deployment.AttemptsCount{"on trial": trial(3, 0), "blessed": {}} {
		for _, f := range []facts{{}, {fallback: true}, {fallback: true, sameKernel: true}, {fallback: true, sealed: true}} {
			record := deployment.Attempts{ID: testID, Fallback: testFallback, AttemptsCount: count}
			fallback := deployment.Attempts{ID: testFallback, Fallback: testID}
			boots, fallbacks := 0, 0
			for again := true; again; boots++ {
				if boots > 20 {
					t.Fatalf("%s, %+v: it restarts for ever: %+v", name, f, record)
				}
				f.bootID = string(rune('a' + boots))
				a := decide(record, f)
				record.AttemptsCount = a.count
				switch a.do {
				case bootFallback:
					fallbacks++
					fallback.AttemptsCount = failed(fallback.AttemptsCount, f.bootID, "x")
					again = restarts(fallback)
				case redirect: // and it leads back here
				default:
					record.AttemptsCount = failed(record.AttemptsCount, f.bootID, "x")
					again = restarts(record)
				}
			}
			if f.sameKernel && fallbacks == 0 {
				t.Errorf("%s: the fallback was never tried", name)
			}
		}
	}
}

// Whether the fallback needs fs-verity is for its own entry to say.
func TestFallbackTarget(t *testing.T) {
	for options, want := range map[string]deployment.Target{
		"": {ID: testFallback, VerityOptional: true},
		"quiet composefs=" + string(testFallback):       {ID: testFallback},
		"composefs=?" + string(testFallback) + " quiet": {ID: testFallback, VerityOptional: true},
		"composefs=" + string(testID):                   {ID: testFallback, VerityOptional: true},
	} {
		got := fallbackTarget(deployment.Attempts{ID: testID, Fallback: testFallback, FallbackOptions: options}, deployment.Target{ID: testID, VerityOptional: true})
		if got != want {
			t.Errorf("%q: %+v; want %+v", options, got, want)
		}
	}
}
