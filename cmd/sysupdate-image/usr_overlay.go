package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

const aboutUsrOverlay = `Make /usr of the running system writable until the next boot, to try something out: what is
written there is kept in memory, over the image. Mounts below /usr stay as they are. A
reboot discards the changes; an update never contains them.

With --read-only the overlay is mounted, but stays read-only for the system. A program with
a mount namespace of its own can remount it there, and only it then sees /usr writable
while it changes files:

  unshare --mount sh -c 'mount -o remount,bind,rw /usr && …'

All others see the result at once. If there is an overlay already, it stays as it is.

status shows the overlay. This must be run as root.`

func (s *session) usrOverlayCommand() *cobra.Command {
	var readOnly bool
	cmd := &cobra.Command{
		Use:     "usr-overlay",
		Aliases: []string{"usroverlay"},
		Short:   "Make /usr writable until the next boot",
		Long:    aboutUsrOverlay,
		Args:    needArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if s.sysroot != "" {
				return usageError{errors.New("usr-overlay changes the running system: --sysroot cannot be used with it")}
			}
			overlay, err := update.OverlayUsr(s.host, readOnly, s.WarnOf)
			if err != nil {
				return err
			}
			return s.PrintUsrOverlay(overlay)
		},
	}
	cmd.Flags().BoolVar(&readOnly, "read-only", false, "only a program with its own mount namespace can make it writable, for itself")
	return cmd
}
