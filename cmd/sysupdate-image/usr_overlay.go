package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func (s *session) usrOverlayCommand() *cobra.Command {
	var readOnly bool
	cmd := &cobra.Command{
		Use:     "usr-overlay",
		Aliases: []string{"usroverlay"},
		Short:   "Make /usr writable until the next boot",
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
