package attempts

import (
	"io/fs"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

// OnTrial returns the boot entry of the running system whose boots are counted, by the loader
// or by the initramfs, with the tries that are left. byLoader reports whether the loader named
// the entry; without that its name is the deployment's id. The error is fs.ErrNotExist if
// nobody counts.
func OnTrial(running *os.Root) (entry bootcount.Entry, byLoader bool, err error) {
	entry, err = bootcount.Booted(running.FS())
	booted, a, recordErr := OfBooted(running)
	// After a soft reboot or a fallback the loader speaks of another deployment.
	if err == nil && booted != "" && !entry.Name.MayBoot(string(booted)) {
		entry, err = bootcount.Entry{}, fs.ErrNotExist
	}
	byLoader = err == nil
	if recordErr != nil || !a.Trial {
		return entry, byLoader, err
	}
	if !byLoader {
		entry = bootcount.Entry{Name: bootentry.Name{Base: string(booted)}}
	}
	entry.Name = Name(entry.Name, a)
	return entry, byLoader, nil
}

// OfBooted returns the deployment that is running, and its record.
func OfBooted(running *os.Root) (deployment.ID, deployment.Attempts, error) {
	booted, _, err := sysroot.Booted(running)
	if err != nil {
		return "", deployment.Attempts{}, err
	}
	physical, err := running.OpenRoot(deployment.SysrootDir[1:])
	if err != nil {
		return booted, deployment.Attempts{}, err
	}
	defer physical.Close()
	a, err := records.LoadAttempts(physical.FS(), booted)
	return booted, a, err
}
