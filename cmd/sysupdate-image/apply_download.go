package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// addDownload adds the flags that part fetching an update from booting it.
func (f *applyFlags) addDownload(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.downloadOnly, "download-only", false, "stage the image, but locked: no reboot boots it")
	cmd.Flags().BoolVar(&f.fromDownloaded, "from-downloaded", false, "unlock what is staged, and fetch nothing")
}

// checkDownload refuses what excludes these flags.
func (f *applyFlags) checkDownload(s *session, ref string) error {
	switch {
	case f.downloadOnly && f.fromDownloaded:
		return usageError{errors.New("--download-only and --from-downloaded cannot be combined")}
	case f.downloadOnly && (f.check || f.plan || f.reboot || f.kexec || f.softReboot != ""):
		return usageError{errors.New("--download-only cannot be combined with --check, --plan, --reboot, --soft-reboot or --kexec")}
	case f.fromDownloaded && (f.check || f.plan || f.force || ref != "" || len(f.reuse) > 0):
		return usageError{errors.New("--from-downloaded cannot be combined with REF, --check, --plan, --force or --reuse")}
	case (f.downloadOnly || f.fromDownloaded) && s.sysroot != "":
		return usageError{errors.New("--download-only and --from-downloaded change the running system: --sysroot cannot be used with them")}
	}
	return nil
}

// applyDownloaded is ApplyDownloaded with the arguments of Apply.
func applyDownloaded(m *update.Machine, ctx context.Context, o update.Options, _ update.Reporter) (update.Result, error) {
	return m.ApplyDownloaded(ctx, o)
}
