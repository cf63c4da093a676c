package ui

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/carry"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/edit"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/cryptroot"
	"github.com/sysupdate-image/sysupdate-image/internal/image/initramfs/assemble"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/install"
	"github.com/sysupdate-image/sysupdate-image/internal/install/luks"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/repair"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// About is what a command is about, and the commands that an error advises.
type About struct {
	Sysroot    string // the directory of the machine; "" for the running one
	Repository string // the repository in place of the machine's; "" for that
}

// Advise adds to an error the next step for the administrator, where there is one. The commands
// that it names are about the same.
func Advise(err error, about About) error {
	for _, advice := range []func(error) string{adviseAlways, adviseOnDeployment, adviseOnImage} {
		if text := advice(err); text != "" {
			return fmt.Errorf("%w%s", err, about.put(text))
		}
	}
	return err
}

// ofNoMachine are advised commands that are about no installed machine.
var ofNoMachine = []string{"'sysupdate-image kargs add --addon ", "'sysupdate-image install to-disk"}

// put has the commands in a text be about a machine and a repository.
func (a About) put(text string) string {
	const fsck = "'sysupdate-image repo fsck "
	if a.Repository != "" {
		text = strings.ReplaceAll(text, fsck, fsck+"--repo "+quoted(a.Repository)+" ")
	}
	if a.Sysroot == "" || slices.ContainsFunc(ofNoMachine, func(c string) bool { return strings.Contains(text, c) }) {
		return text
	}
	return strings.ReplaceAll(text, "'sysupdate-image ", "'sysupdate-image --sysroot "+quoted(a.Sysroot)+" ")
}

// quoted returns the name of a directory as a shell takes it.
func quoted(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-+", r)
	}) {
		return strconv.Quote(name)
	}
	return name
}

const repairIt = "; repair it with 'sysupdate-image repo fsck --repair'"

// always is the advice that depends on nothing but the error.
var always = []struct {
	err  error
	text string
}{
	{assemble.ErrKernels, "; name one with --kernel-dir"},
	{boot.ErrRootUnknown, "; name it with --karg root=DEVICE"},
	{edit.ErrConflicts, "; choose the winning side with --etc-conflicts=keep or --etc-conflicts=new"},
	{update.ErrNoRootArg, "; add it with 'sysupdate-image kargs add root=UUID=UUID', and reboot"},
	{update.ErrNoESPs, ": add one with 'sysupdate-image install add-esp'"},
	{install.ErrDevice, "; install on a disk with 'sysupdate-image install to-disk'"},
	{install.ErrKeyNowhere, "; write it to a file with --recovery-key-file FILE"},
	{install.ErrOtherTPM, "; install with 'sysupdate-image install to-disk' there, or with --block-setup direct here"},
	{install.ErrNotLooked, "; leave out --ignore-image-config"},
	{install.ErrNotEncrypted, "; leave out --tpm2-pcrs and --recovery-key-file, or add --block-setup tpm2-luks"},
	{luks.ErrNoTPM, "; enable it in the firmware, or install with --block-setup direct"},
	{cryptroot.ErrNoSystemd, "; build it with dracut, and its modules crypt and tpm2-tss"},
	{install.ErrExists, "; replace it with --wipe"},
	{install.ErrNoEFI, ", unless it is masked: --karg systemd.mask=efi.automount"},
	{install.ErrNotEmpty, ", or beside a system with 'sysupdate-image install to-existing-root'"},
	{install.ErrNotBlock, "; name it with --via-loopback"},
	{oci.ErrPlainHTTP, "; allow it with --insecure-registry, or insecure = true in registries.conf(5)"},
	{repair.ErrImageDamaged, repairIt},
	{errFsck, repairIt},
	{system.ErrNotSealed, ", see 'sysupdate-image image digest --boot'"},
	{machine.ErrNoRollback, "; make one with 'sysupdate-image apply REF'"},
	{oci.ErrReference, "; name it as REGISTRY/NAME:TAG, or with docker://, oci:, oci-archive:, docker-archive: or dir:"},
	{update.ErrExtensions, "; 'systemd-sysext unmerge' takes them away"},
	{update.ErrBootcStaged, "; to replace it, use 'sysupdate-image apply'"},
	{update.ErrBootcUpdate, "; reboot into it, or drop it with 'sysupdate-image rollback booted'"},
	{update.ErrKargsOrder, "; remove one, and add it again to have it last"},
	{update.ErrResetWaits, "; 'sysupdate-image install reset --confirm' removes it"},
	{update.ErrStagedReset, "; reboot into it, or drop it with 'sysupdate-image rollback booted'"},
	{update.ErrNoRootHome, "; make it one in the image, such as to /var/roothome"},
	{update.ErrNothingStaged, "; fetch one with 'sysupdate-image apply --download-only'"},
	{update.ErrNothingTracked, "; name one: 'sysupdate-image apply REF'"},
	{install.ErrOwner, "; a user other than root needs lines in /etc/subuid and /etc/subgid, and newuidmap (package uidmap)"},
	{update.ErrVerityRequired, "; --allow-missing-verity gives that up"},
}

func adviseAlways(err error) string {
	for _, a := range always {
		if errors.Is(err, a.err) {
			return a.text
		}
	}
	return ""
}

// adviseOnDeployment returns what to do about an error that is about one deployment.
func adviseOnDeployment(err error) string {
	if held, ok := errors.AsType[*machine.HeldError](err); ok {
		return release(held)
	}
	if e, ok := errors.AsType[*machine.DirError](err); ok && !errors.Is(e, fs.ErrPermission) {
		return "; --sysroot names the directory where its root file system is mounted"
	}
	if _, ok := errors.AsType[*deployment.UnknownError](err); ok {
		return "; 'sysupdate-image status' lists the deployments"
	}
	if _, ok := errors.AsType[*deployment.DamagedImageError](err); ok {
		return repairIt
	}
	if _, ok := errors.AsType[*update.SealedKargsError](err); ok {
		return "; make one with 'sysupdate-image kargs add --addon FILE ARG...'"
	}
	if _, ok := errors.AsType[*update.LostEntriesError](err); ok {
		return " If it is, 'sysupdate-image apply --force REF' restores its entries"
	}
	if _, ok := errors.AsType[*install.NotEmptyError](err); ok {
		return "; all of this is lost with --wipe"
	}
	if e, ok := errors.AsType[*install.OldNeededError](err); ok {
		return "; keep it with --keep " + e.Name
	}
	if _, ok := errors.AsType[*install.OldFirstError](err); ok {
		return "; 'bootctl set-default \"sysupdate-image-*\"' changes that"
	}
	if _, ok := errors.AsType[*install.NotFirstError](err); ok {
		return "; 'bootctl set-default \"sysupdate-image-*\"' has it boot the new system"
	}
	if _, ok := errors.AsType[*install.RootDoubtError](err); ok {
		return "; if so, install with --karg root=..."
	}
	if s, ok := errors.AsType[*update.SupersededError](err); ok {
		return fmt.Sprintf("; make room with 'sysupdate-image rm %s'", s.ID.Short())
	}
	return ""
}

// release returns what to do before a deployment can be removed.
func release(held *machine.HeldError) string {
	switch held.Hold {
	case machine.HeldBooted:
		return "; boot another one first, see 'sysupdate-image rollback'"
	case machine.HeldStaged:
		return "; drop it with 'sysupdate-image rollback' to another one"
	case machine.HeldNext:
		return "; make another one next with 'sysupdate-image rollback' first"
	case machine.HeldPinned:
		name := held.PinName
		if name == "" {
			name = held.ID.Short()
		}
		return fmt.Sprintf("; unpin it with 'sysupdate-image unpin %s' first", name)
	}
	return ""
}

// adviseOnImage returns what to do about an image that was not applied or is not as
// expected, or about a file that was not reset.
func adviseOnImage(err error) string {
	if failed, ok := errors.AsType[*update.FailedHereError](err); ok {
		return fmt.Sprintf("; retry with 'sysupdate-image apply --force %s'", failed.Reference)
	}
	if refused, ok := errors.AsType[*update.RefusedError](err); ok {
		return fmt.Sprintf("; override with 'sysupdate-image apply %s'", refused.Reference)
	}
	if _, ok := errors.AsType[*update.LostPolicyError](err); ok {
		return "; return to the machine's policy with --policy /etc/containers/policy.json"
	}
	if _, ok := errors.AsType[*update.EtcConflictsError](err); ok {
		const aside = "/etc/" + carry.ConflictsDir
		return "\nMove these files away, or choose the winning side; the other one is moved to " + aside + ":" +
			"\n  --etc-conflicts=keep   keep the local versions" +
			"\n  --etc-conflicts=new    use the image's versions"
	}
	if _, ok := errors.AsType[*edit.AccountsError](err); ok {
		return "; --force resets it anyway"
	}
	if _, ok := errors.AsType[*update.SoftRebootError](err); ok {
		return "; --soft-reboot=auto leaves it to a reboot"
	}
	if mismatch, ok := errors.AsType[*canonical.Mismatch](err); ok {
		return compareWith(mismatch)
	}
	return ""
}

// compareWith returns the commands that show how the image that was sealed differs.
func compareWith(m *canonical.Mismatch) string {
	name, flags, theirs := m.Image, "", ""
	if name == "" {
		name = "IMAGE"
	}
	if m.Boot {
		flags, theirs = "--boot ", "--bootable "
	}
	return fmt.Sprintf("\nTo see the difference, dump the tree that was sealed, on the machine that has it, and compare:"+
		"\n  cfsctl --no-repo --hash %s create-dumpfile %sROOT > THEIRS"+
		"\n  sysupdate-image image diff %sTHEIRS %s", m.Want.Algorithm(), theirs, flags, name)
}

// AdviseArch adds to an error the flag that reads an image for another machine, where a
// command has it.
func AdviseArch(err error) error {
	other, ok := errors.AsType[*oci.OtherPlatformError](err)
	if !ok || other.Chosen {
		return err
	}
	for _, platform := range other.Offered {
		if arch, ok := strings.CutPrefix(platform, "linux/"); ok {
			return fmt.Errorf("%w; read it with --arch %s", err, arch)
		}
	}
	return err
}
