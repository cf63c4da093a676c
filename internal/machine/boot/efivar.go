package boot

import (
	"encoding/binary"
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
)

// Features of a boot loader, bits of the variable LoaderFeatures of the Boot
// Loader Interface.
const (
	featureBootCounting = 1 << 4
	featureXBOOTLDR     = 1 << 5
)

// loaderFeatures returns what the loader says that it can do. known is false for a loader
// that does not say: it was not started by EFI, or does not have the Boot Loader
// Interface.
func loaderFeatures(root fs.FS) (features uint64, known bool, err error) {
	value, err := bootcount.Variable(root, "LoaderFeatures")
	if found, err := bounded.Found(err); !found || err != nil {
		return 0, false, err
	}
	if len(value) != 8 {
		return 0, false, nil
	}
	return binary.LittleEndian.Uint64(value), true, nil
}
