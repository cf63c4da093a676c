package machine

import (
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

func TestWhySilent(t *testing.T) {
	const id = deployment.ID("a")
	for want, attempts := range map[string]map[deployment.ID]deployment.Attempts{
		"": {"b": {AttemptsCount: deployment.AttemptsCount{Trial: true}}},
		"it never reached the initramfs, or not as far as prepare-root":            {id: {AttemptsCount: deployment.AttemptsCount{Trial: true, Left: 3}}},
		"it left the initramfs, but did not get as far as to record why it failed": {id: {AttemptsCount: deployment.AttemptsCount{Trial: true, Done: 3}}},
		"it failed in the initramfs: no image":                                     {id: {AttemptsCount: deployment.AttemptsCount{Trial: true, Done: 3, Failures: 3, Reason: "no image"}}},
	} {
		if got := (State{Attempts: attempts}).WhySilent(id); got != want {
			t.Errorf("WhySilent with %+v is %q; want %q", attempts, got, want)
		}
	}
	blessed := State{Attempts: map[deployment.ID]deployment.Attempts{id: {AttemptsCount: deployment.AttemptsCount{Failures: 2}}}}
	if got := blessed.WhySilent(id); got != "" {
		t.Errorf("WhySilent of a blessed deployment is %q; want nothing", got)
	}
}
