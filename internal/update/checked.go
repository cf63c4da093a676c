package update

import (
	"fmt"
	"os"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// noteChecked records which image the reference that the running machine follows leads to, for
// status. Only root can, and nothing depends on it.
func (m *Machine) noteChecked(img *oci.Image) {
	if m.Booted == "" || os.Geteuid() != 0 {
		return
	}
	c := deployment.Checked{
		Time: time.Now().UTC().Format(time.RFC3339), Reference: img.Reference.String(), ManifestDigest: img.ManifestDigest,
		Version:      printable.Title(img.Config.Config.Labels["org.opencontainers.image.version"]),
		Architecture: img.Config.Architecture, FetchBytes: bytesOf(missing(img, m.Repository)),
	}
	if img.Config.Created != nil {
		c.Created = img.Config.Created.UTC().Format(time.RFC3339)
	}
	if err := records.StoreChecked(durable.Unsynced(durable.OS(m.Host)), c); err != nil {
		m.warn(fmt.Errorf("cannot record what was found: %w", err))
	}
}
