package ui

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/edit"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/install"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/repair"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// An advised is an error with the next step that Advise appends.
type advised struct {
	err  error
	want string
}

// advisedErrors returns one of each kind that is advised on by its type.
func advisedErrors() []advised {
	id := deployment.ID(strings.Repeat("a", 128))
	want, err := digest.FromBytes(digest.SHA512, make([]byte, 64))
	if err != nil {
		panic(err)
	}
	return []advised{
		{errors.New("no space left on device"), ""},
		{&machine.HeldError{ID: id, Hold: machine.HeldPinned, PinName: "old"},
			"; unpin it with 'sysupdate-image unpin old' first"},
		{&machine.HeldError{ID: id, Hold: machine.HeldPinned}, "; unpin it with 'sysupdate-image unpin aaaaaaaaaaaa' first"},
		{&machine.HeldError{ID: id, Hold: machine.HeldBooted}, "; boot another one first, see 'sysupdate-image rollback'"},
		{&machine.DirError{Dir: "/x", Err: fs.ErrNotExist}, "; --sysroot names the directory where its root file system is mounted"},
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
		{&machine.HeldError{ID: id, Hold: machine.HeldStaged}, "; drop it with 'sysupdate-image rollback' to another one"},
		{&machine.HeldError{ID: id, Hold: machine.HeldNext}, "; make another one next with 'sysupdate-image rollback' first"},
		{&update.SealedKargsError{ID: id}, "; make one with 'sysupdate-image kargs add --addon FILE ARG...'"},
		{&install.NotFirstError{First: "old.conf"}, "; 'bootctl set-default \"sysupdate-image-*\"' has it boot the new system"},
		{&install.OldNeededError{Name: "srv", By: "the mount at /data"}, "; keep it with --keep srv"},
		{&install.OldFirstError{Entry: "old.conf"}, "; 'bootctl set-default \"sysupdate-image-*\"' changes that"},
		{&install.NotEmptyError{Disk: "/dev/sda"}, "; all of this is lost with --wipe"},
		{&update.LostPolicyError{Err: errors.New("gone")}, "; return to the machine's policy with --policy /etc/containers/policy.json"},
		{&update.SoftRebootError{Why: "x"}, "; --soft-reboot=auto leaves it to a reboot"},
		{&update.EtcConflictsError{}, "\nMove these files away, or choose the winning side; the other one is moved to /etc/.conflicts:" +
			"\n  --etc-conflicts=keep   keep the local versions\n  --etc-conflicts=new    use the image's versions"},
		{&canonical.Mismatch{Image: "x", Want: want}, "\nTo see the difference, dump the tree that was sealed, on the machine that has it, and compare:" +
			"\n  cfsctl --no-repo --hash sha512 create-dumpfile ROOT > THEIRS\n  sysupdate-image image diff THEIRS x"},
	}
}

// Advise appends the next step to the errors that have one, however they are wrapped.
func TestAdvise(t *testing.T) {
	for _, tt := range advisedErrors() {
		err := fmt.Errorf("cannot do it: %w", tt.err)
		if got := Advise(err, About{}); got.Error() != err.Error()+tt.want || !errors.Is(got, tt.err) {
			t.Errorf("Advise(%v) = %v; want %q appended", err, got, tt.want)
		}
	}
}

// The commands that an advice names are for the machine that the error is about.
func TestAdviseElsewhere(t *testing.T) {
	for _, tt := range []struct {
		err   error
		about About
		want  string
	}{
		{update.ErrNothingTracked, About{}, "'sysupdate-image apply REF'"},
		{update.ErrNothingTracked, About{Sysroot: "/mnt", Repository: "r"}, "'sysupdate-image --sysroot /mnt apply REF'"},
		{update.ErrNothingTracked, About{Sysroot: "a b"}, `'sysupdate-image --sysroot "a b" apply REF'`},
		{repair.ErrImageDamaged, About{Repository: "a b"}, `'sysupdate-image repo fsck --repo "a b" --repair'`},
	} {
		if got := Advise(tt.err, tt.about).Error(); !strings.HasSuffix(got, tt.want) {
			t.Errorf("Advise(%v, %+v) = %q; want %q at the end", tt.err, tt.about, got, tt.want)
		}
	}
}
