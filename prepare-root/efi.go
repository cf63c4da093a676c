package prepareroot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"unicode/utf16"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// isSealed reports whether the kernel was started with a signed kernel command line: by the
// stub of a unified kernel image, which says so in a variable that nobody can take away. If
// the variables cannot be read on a machine with EFI, that has to be assumed.
func isSealed(root fs.FS) bool {
	if hasEFI(root) {
		dir, err := openVariables()
		if err != nil {
			return true
		}
		defer dir.Close()
		_, err = dir.Stat(path.Base(bootcount.VariableFile("StubInfo")))
		return !errors.Is(err, fs.ErrNotExist)
	}
	return false
}

func hasEFI(root fs.FS) bool {
	_, err := fs.Stat(root, path.Dir(bootcount.EFIVars))
	found, err := bounded.Found(err)
	return found || err != nil
}

// openVariables opens the firmware's variables, which an initramfs need not have mounted. The
// mount goes with the directory.
func openVariables() (*os.Root, error) {
	mounted, err := sys.Detached("efivarfs", sys.NoSuid|sys.NoDev|sys.NoExec)
	if err != nil {
		return nil, err
	}
	defer mounted.Close()
	return os.OpenRoot(procPath(mounted))
}

// featureOneShot is the bit of LoaderFeatures for LoaderEntryOneShot.
const featureOneShot = 1 << 3

// hasOneShot reports whether the variable LoaderFeatures, as efivarfs shows it, has that bit.
func hasOneShot(features []byte) bool {
	return len(features) == 12 && binary.LittleEndian.Uint64(features[4:])&featureOneShot != 0
}

// setOneShot has the boot loader boot an entry once, at the next boot. The error says that it
// has no such setting, or that this one could not be written.
func setOneShot(entry string) error {
	dir, err := openVariables()
	if err != nil {
		return fmt.Errorf("cannot tell the boot loader which entry to boot: %w", err)
	}
	defer dir.Close()
	features, err := bounded.ReadRoot(dir, path.Base(bootcount.VariableFile("LoaderFeatures")), limits.Record)
	if err != nil || !hasOneShot(features) {
		return errors.New("the boot loader cannot be told which entry to boot: it has no LoaderEntryOneShot")
	}
	name := path.Base(bootcount.VariableFile("LoaderEntryOneShot"))
	if err := unprotect(dir, name); err != nil {
		return err
	}
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("cannot tell the boot loader which entry to boot: %w", err)
	}
	_, err = f.Write(oneShot(entry)) // in one call: the firmware takes a variable as a whole
	return errors.Join(err, f.Close())
}

// unprotect makes a variable that exists one that can be changed: the kernel protects all
// that it does not know.
func unprotect(dir *os.Root, name string) error {
	f, err := dir.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return sys.SetProtection(f, sys.Protection{})
}

// oneShot returns the variable as efivarfs takes it: its attributes, which have it survive a
// reboot, and the text in UTF-16.
func oneShot(entry string) []byte {
	const nonVolatile, bootService, runtime = 1, 2, 4
	data := binary.LittleEndian.AppendUint32(nil, nonVolatile|bootService|runtime)
	for _, unit := range utf16.Encode([]rune(entry + "\x00")) {
		data = binary.LittleEndian.AppendUint16(data, unit)
	}
	return data
}
