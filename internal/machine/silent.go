package machine

import "github.com/sysupdate-image/sysupdate-image/internal/format/deployment"

// WhySilent tells in half a sentence why the boots of a deployment failed of which none has
// recorded a reason, as far as the count of the initramfs tells; "" if it does not.
func (s State) WhySilent(id deployment.ID) string {
	a, ok := s.Attempts[id]
	switch {
	case !ok || !a.Trial:
		return ""
	case a.Done == 0: // an initramfs that is not ours does not count
		return "it never reached the initramfs, or not as far as prepare-root"
	}
	return a.Why()
}
