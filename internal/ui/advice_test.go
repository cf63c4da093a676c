package ui

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/edit"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/install"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// Advise appends the next step to the errors that have one, however they are wrapped.
func TestAdvise(t *testing.T) {
	id := deployment.ID(strings.Repeat("a", 128))
	for _, tt := range []struct {
		err  error
		want string // appended
	}{
		{errors.New("no space left on device"), ""},
		{&machine.HeldError{ID: id, Hold: machine.HeldPinned, PinName: "old"},
			"; unpin it with 'sysupdate-image unpin old' first"},
		{&machine.HeldError{ID: id, Hold: machine.HeldPinned}, "; unpin it with 'sysupdate-image unpin aaaaaaaaaaaa' first"},
		{&machine.HeldError{ID: id, Hold: machine.HeldBooted}, "; boot another one first, see 'sysupdate-image rollback'"},
		{&deployment.UnknownError{Name: "x"}, "; 'sysupdate-image status' lists the deployments"},
		{&deployment.DamagedImageError{ID: id}, "; repair it with 'sysupdate-image repo fsck --repair'"},
		{&update.FailedHereError{ID: id, Reference: "oci:os:1"}, "; retry with 'sysupdate-image apply --force oci:os:1'"},
		{&update.RefusedError{Reference: "oci:os:1"}, "; override with 'sysupdate-image apply oci:os:1'"},
		{&update.SupersededError{ID: id, Err: errors.New("no room")}, "; make room with 'sysupdate-image rm aaaaaaaaaaaa'"},
		{&update.LostEntriesError{ID: id, Where: "on /boot"},
			" If it is, 'sysupdate-image apply --force REF' restores its entries"},
		{update.ErrNothingTracked, "; name one: 'sysupdate-image apply REF'"},
		{update.ErrVerityRequired, "; --allow-missing-verity gives that up"},
		{boot.ErrRootUnknown, "; name it with --karg root=DEVICE"},
		{&install.RootDoubtError{Why: "x"}, "; if so, install with --karg root=..."},
		{oci.ErrPlainHTTP, "; allow it with --insecure-registry, or insecure = true in registries.conf(5)"},
		{&edit.AccountsError{Path: "/etc/passwd"}, "; --force resets it anyway"},
	} {
		err := fmt.Errorf("cannot do it: %w", tt.err)
		if got := Advise(err); got.Error() != err.Error()+tt.want || !errors.Is(got, tt.err) {
			t.Errorf("Advise(%v) = %v; want %q appended", err, got, tt.want)
		}
	}
}
