package merge

import "testing"

func TestOwners(t *testing.T) {
	o := OwnersOf(
		Accounts{"passwd": []byte("root:x:0:0::/:\nsshd:x:990:990::/:\nweb:x:33:33::/:\ngone:x:50:50::/:\n"), "group": []byte("root:x:0:\nkeys:x:999:\n")},
		Accounts{"passwd": []byte("root:x:0:0::/:\nsshd:x:880:880::/:\nchrony:x:990:1::/:\nweb:x:33:33::/:\n"), "group": []byte("root:x:0:\ncups:x:999:\n")},
	)
	for _, tt := range []struct {
		id, want uint32
		ok       bool
		find     func(uint32) (uint32, bool)
	}{
		{0, 0, true, o.User}, {33, 33, true, o.User}, {990, 880, true, o.User}, {880, 0, false, o.User},
		{50, 50, true, o.User}, {4711, 4711, true, o.User}, {999, 0, false, o.Group}, {990, 990, true, o.Group},
	} {
		if got, ok := tt.find(tt.id); got != tt.want || ok != tt.ok {
			t.Errorf("%d: %d, %t; want %d, %t", tt.id, got, ok, tt.want, tt.ok)
		}
	}
}
