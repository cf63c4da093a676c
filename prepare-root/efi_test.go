package prepareroot

import "testing"

// The bits are those of The Boot Loader Interface of systemd.
func TestHasOneShot(t *testing.T) {
	const byDefault, oneShot, counting = 1 << 2, 1 << 3, 1 << 4
	for features, want := range map[byte]bool{0: false, byDefault: false, oneShot: true, counting | byDefault: false, counting | oneShot: true} {
		if got := hasOneShot([]byte{6, 0, 0, 0, features, 0, 0, 0, 0, 0, 0, 0}); got != want {
			t.Errorf("hasOneShot of %#b is %v; want %v", features, got, want)
		}
	}
	if hasOneShot([]byte{6, 0, 0, 0, oneShot}) {
		t.Error("a variable that is too short has it")
	}
}
