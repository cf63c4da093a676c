package status

import (
	"fmt"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// A Foreign is the boot entry of a deployment that another system on the same boot
// partition has: nothing here belongs to it, and no command touches it.
type Foreign struct {
	ID    deployment.ID `json:"deployment,omitempty"` // "" if the entry is invalid
	Title string        `json:"title,omitempty"`
	Entry string        `json:"entry"` // file name
}

// noteForeign lists the entries of other systems, in the loader's order.
func (g *gatherer) noteForeign() {
	for _, f := range g.m.Files {
		if !f.Foreign {
			continue
		}
		foreign := Foreign{Title: f.Entry.Title, Entry: f.File}
		if t, err := f.Entry.Deployment(); err == nil {
			foreign.ID = t.ID
		}
		g.status.Foreign = append(g.status.Foreign, foreign)
	}
}

// whose says of the first entry in the loader's order, which boots none of the machine's
// deployments, what it is.
func whose(f boot.EntryFile) string {
	if f.Foreign {
		return "which belongs to another system"
	}
	return "which is not a deployment"
}

const foreignRole = "foreign"

// write writes what is known of the deployment of another system.
func (f Foreign) write(b *strings.Builder, width int) {
	details := "boot entry " + f.Entry + " of another system"
	if f.ID != "" {
		details = f.ID.Short() + ", " + details
	}
	fmt.Fprintf(b, "   %-*s  %s\n", width, foreignRole, printable.Title(f.Title))
	fmt.Fprintf(b, "%s%s\n", strings.Repeat(" ", width+5), details)
}
