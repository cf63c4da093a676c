package ui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/install"
	"github.com/sysupdate-image/sysupdate-image/internal/install/verify"
)

// verityTexts say what becomes of fs-verity.
var verityTexts = map[install.Verity]string{
	install.VerityNow:   "enabled while installing",
	install.VerityNever: "not available on this file system: the machine boots without it (composefs=?)",
	install.VerityLater: "not in this kernel: " + untilProtected,
	install.VerityFiles: "not without mounting the root: " + untilProtected,
	install.VerityFirst: "the first boot enables it for all files, and the next one requires it",
}

const untilProtected = "the machine boots without it (composefs=?), until 'sysupdate-image repo protect' there enables and requires it"

// verityPlans say what is to become of fs-verity, where the image has a part in that.
var verityPlans = map[install.Verity]string{
	install.VerityLater: "not in this kernel: " + byFirstBoot,
	install.VerityFiles: "not without mounting the root: " + byFirstBoot,
}

const byFirstBoot = "the first boot enables it for all files, and the next one requires it, if the image has sysupdate-image-protect.service"

// PrintDiskPlan prints what installing on a disk would do.
func (s *Screen) PrintDiskPlan(p install.DiskPlan) error {
	s.printSignature(p.About.Signature, false)
	fmt.Fprintf(s.Out, "%s\n  manifest  %s\n", p.About.Reference, p.About.Digest)
	fmt.Fprintf(s.Out, "%s, %s, sectors of %d bytes\n", p.Disk, Size(p.Layout.Size), p.Layout.Sector)
	for _, thing := range p.Lost {
		fmt.Fprintf(s.Out, "  lose      %s\n", Name(thing))
	}
	for i, part := range p.Layout.Partitions {
		encrypted := ""
		if part.LUKS != "" {
			encrypted = ", encrypted"
		}
		fmt.Fprintf(s.Out, "  partition %d  %-8s  %10s  %-5s  type %s%s\n", i+1, part.Role, Size(part.Size), part.FileSystem, part.Type, encrypted)
	}
	for _, program := range p.Programs {
		fmt.Fprintf(s.Out, "  run       %s\n", program)
	}
	fmt.Fprintf(s.Out, "  install   %s\n", p.About.Reference)
	fmt.Fprintf(s.Out, "  loader    %s\n", p.Loader)
	if args := slices.Concat(p.Rooted, p.Kargs); len(args) > 0 {
		fmt.Fprintf(s.Out, "  add       kernel arguments %s\n", Name(strings.Join(args, " ")))
	}
	_, err := fmt.Fprintf(s.Out, "fs-verity: %s\nNothing was changed.\n", cmp.Or(verityPlans[p.Verity], verityTexts[p.Verity]))
	return err
}

// PrintDiskResult prints what was installed on a disk. The last word is the deployment id.
func (s *Screen) PrintDiskResult(r install.DiskResult, quiet bool) error {
	if !quiet {
		fmt.Fprintf(s.Err, "fs-verity: %s\n", verityTexts[r.Verity])
	}
	return s.PrintResult(r.Result, quiet)
}

// PrintRecoveryKey shows the recovery key of an encrypted root, if it is not in a file.
func (s *Screen) PrintRecoveryKey(key string) {
	if key == "" {
		return
	}
	s.EndProgress()
	fmt.Fprintf(s.Err, "Recovery key, which is shown only now: %s\nKeep it off this machine. It opens the root when the TPM does not.\n", key)
}

// PrintVerify prints what was found on an installed disk, and whether it would boot.
func (s *Screen) PrintVerify(r verify.Report) error {
	for _, f := range r.Findings {
		verdict := "ok     "
		switch {
		case f.Unknown:
			verdict = "UNKNOWN"
		case f.Warning:
			verdict = "WARNING"
		case !f.OK:
			verdict = "FAILED "
		}
		fmt.Fprintf(s.Out, "  %s  %-30s  %s\n", verdict, f.What, printable.Text(f.Text))
	}
	if r.Problems()+r.Unknowns() > 0 {
		return nil
	}
	_, err := fmt.Fprintf(s.Out, "%s boots %s, deployment %s\n", r.Target, Name(r.Title), r.Next)
	return err
}

// VerifyVerdict returns an error if what was installed on a target would not boot, or if that is
// not known.
func VerifyVerdict(r verify.Report, target string) error {
	if n := r.Problems(); n > 0 {
		return fmt.Errorf("%s would not boot: %s", target, Count(n, "problem"))
	}
	if n := r.Unknowns(); n > 0 {
		return fmt.Errorf("cannot tell whether %s would boot: %s could not be checked", target, Count(n, "thing"))
	}
	return nil
}
