package ui

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/install"
)

// PrintExistingPlan prints what installing beside a system would do.
func (s *Screen) PrintExistingPlan(p install.ExistingPlan) error {
	s.printSignature(p.About.Signature, false)
	fmt.Fprintf(s.Out, "%s\n  manifest  %s\n", p.About.Reference, p.About.Digest)
	fmt.Fprintf(s.Out, "%s at %s\n", Name(p.Former), Name(p.Root))
	for _, r := range p.Room {
		fmt.Fprintf(s.Out, "  room      %s: %s needed, %s free\n", Name(r.Where), Size(r.Need), Size(r.Free))
	}
	for i, step := range steps(p) {
		fmt.Fprintf(s.Out, "  step %d    %s\n", i+1, Name(step))
	}
	fmt.Fprintf(s.Out, "  loader    %s\n", p.Loader)
	if args := slices.Concat(p.Rooted, p.Kargs); len(args) > 0 {
		fmt.Fprintf(s.Out, "  add       kernel arguments %s\n", Name(strings.Join(args, " ")))
	}
	for _, way := range wayBack(p) {
		fmt.Fprintf(s.Out, "  way back  %s\n", Name(way))
	}
	_, err := fmt.Fprintf(s.Out, "fs-verity: %s\nNothing was changed.\n", verityTexts[p.Verity])
	return err
}

// steps says in order what is done; the last has the new system boot.
func steps(p install.ExistingPlan) []string {
	at := func(name string) string { return path.Join(p.Root, name) }
	all := []string{
		"fetch " + p.About.Reference + " into " + at(deployment.RepositoryDir),
		"make a new /etc and /var in " + at(deployment.StateRoot),
	}
	for _, name := range p.Keep {
		all = append(all, "take over "+at("etc/"+name))
	}
	all = append(all, "write the kernel and a boot entry to "+p.ESP)
	if p.Menu != "" {
		all = append(all, "add an entry to GRUB's menu in "+at(p.Menu)+", which boots by default")
	}
	return all
}

// leaveMenu removes our lines from the file that follows.
const leaveMenu = `sed -i "/sysupdate-image: begin/,/sysupdate-image: end/d" `

// wayBack says how to boot the old system.
func wayBack(p install.ExistingPlan) []string {
	switch p.Loader {
	case deployment.GRUB:
		inNew := "sysupdate-image install boot-old"
		if p.OldBoot != "" { // which the new system does not mount
			inNew = "mount --mkdir UUID=" + p.OldBoot + " /run/old-boot && " + leaveMenu + "/run/old-" + p.Menu
		}
		return []string{
			"choose " + p.Former + " in GRUB's menu",
			"to make it the default again: '" + inNew + "' in the new system, in the old one '" + leaveMenu + "/" + p.Menu + "'",
		}
	case deployment.SystemdBoot:
		ways := []string{"choose " + p.Former + " in the menu of systemd-boot"}
		if p.First != "" {
			ways = append(ways, "to make it the default again: 'bootctl set-default "+p.First+"'")
		}
		return ways
	}
	return []string{"boot the kernel of " + p.Former + " as before"}
}

// PrintWayBack says how to come back to the system that is there.
func (s *Screen) PrintWayBack(p install.ExistingPlan) {
	s.Say("The way back to " + p.Former + ":")
	for _, way := range wayBack(p) {
		s.Say("  " + way)
	}
}

// PrintRemoveOldPlan prints what removing the old system removes, or would.
func (s *Screen) PrintRemoveOldPlan(p install.RemoveOldPlan, now bool) error {
	fmt.Fprintf(s.Out, "%s\n", Name(p.Former))
	for _, name := range p.Names {
		fmt.Fprintf(s.Out, "  remove    %s\n", Name("/sysroot/"+name))
	}
	for _, name := range p.Entries {
		fmt.Fprintf(s.Out, "  remove    boot entry %s\n", Name(name))
	}
	for _, name := range p.Kernels {
		fmt.Fprintf(s.Out, "  remove    %s on the boot partition\n", Name(name))
	}
	for _, name := range p.Kept {
		fmt.Fprintf(s.Out, "  keep      %s\n", Name("/sysroot/"+name))
	}
	if p.GRUB != "" {
		fmt.Fprintf(s.Out, "  keep      %s, with another %s\n", Name("/sysroot/"+path.Dir(p.GRUB)), path.Base(p.GRUB))
	}
	if now {
		return nil
	}
	_, err := fmt.Fprintf(s.Out, "Nothing was removed; --yes removes it.\n")
	return err
}

// PrintBootOld prints which system boots by default now: the old one, or the image beside it.
func (s *Screen) PrintBootOld(old bool) error {
	text := "The image boots by default"
	if old {
		text = "The old system boots by default"
	}
	_, err := fmt.Fprintln(s.Out, text)
	return err
}
