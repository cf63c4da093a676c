package ui

import (
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/machine/esps"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// PrintESPPlan prints what adding an EFI system partition would write.
func (s *Screen) PrintESPPlan(p update.ESPPlan) error {
	fmt.Fprintf(s.Out, "%s, PARTUUID=%s\n", Name(p.Device), p.PartUUID)
	for _, path := range p.Writes {
		fmt.Fprintf(s.Out, "  write   %s\n", Name("/"+path))
	}
	for _, path := range p.Removes {
		fmt.Fprintf(s.Out, "  remove  %s\n", Name("/"+path))
	}
	s.noteOccupied(p.Occupied)
	_, err := fmt.Fprintf(s.Out, "  room    %s needed at most, %s free\nNothing was changed.\n", Size(p.Need), Size(p.Free))
	return err
}

// PrintAddedESP prints that an EFI system partition was added.
func (s *Screen) PrintAddedESP(p update.ESPPlan) error {
	s.noteOccupied(p.Occupied)
	_, err := fmt.Fprintf(s.Out, "%s boots the machine, too, and is kept equal; PARTUUID=%s\n", Name(p.Device), p.PartUUID)
	return err
}

// noteOccupied warns that firmware does not find the boot loader by itself.
func (s *Screen) noteOccupied(path string) {
	if path != "" {
		s.Warn(fmt.Sprintf("/%s is another boot loader there, and stays: firmware must be told to boot /EFI/systemd", path))
	}
}

// PrintRemovedESP prints that an EFI system partition is no longer kept equal.
func (s *Screen) PrintRemovedESP(c esps.Copy) error {
	if c.State == esps.Missing {
		_, err := fmt.Fprintf(s.Out, "The partition with PARTUUID=%s is missing, and is no longer expected\n", c.PartUUID)
		return err
	}
	_, err := fmt.Fprintf(s.Out, "%s no longer boots the machine\n", Name(c.Device))
	return err
}

// PrintESPs prints how EFI system partitions fared that were to be made equal.
func (s *Screen) PrintESPs(copies []esps.Copy) error {
	for _, c := range copies {
		if c.State != esps.Equal {
			continue // a warning has told
		}
		text := "is equal to the first"
		if len(c.Changed) > 0 {
			text = "is now equal to the first"
		}
		if _, err := fmt.Fprintf(s.Out, "%s %s\n", Name(c.Device), text); err != nil {
			return err
		}
	}
	return nil
}

// ESPVerdict returns an error if a partition that is there could not be made equal. One that is
// missing is no error: a disk that has died is what the others are for.
func ESPVerdict(copies []esps.Copy) error {
	failed := 0
	for _, c := range copies {
		if c.State == esps.Behind || c.State == esps.Unknown {
			failed++
		}
	}
	if failed == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d further EFI system partitions could not be made equal to the first", failed, len(copies))
}
