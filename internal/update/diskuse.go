package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/status"
)

// AddDisk adds to the status of a machine what its disk is used for, and what Prune would free, as
// far as this user can read that. What is in the way becomes a note or a problem of the status.
func AddDisk(ctx context.Context, at machine.Place, st *status.Status) {
	disk, err := measureDisk(ctx, at)
	switch {
	case errors.Is(err, fs.ErrPermission):
		st.Notes = append(st.Notes, "only root can see what the disk is used for")
	case errors.Is(err, repo.ErrNotARepository), errors.Is(err, fs.ErrNotExist):
	case err != nil:
		st.Problems = append(st.Problems, fmt.Sprintf("use of the disk: %v", err))
	default:
		st.Disk = disk
	}
}

func measureDisk(ctx context.Context, at machine.Place) (*status.Disk, error) {
	system, err := machine.Open(at, machine.ToRead)
	if err != nil {
		return nil, err
	}
	defer system.Close()
	disk, err := status.MeasureDisk(ctx, system)
	if err != nil {
		return nil, err
	}
	if report, err := PlanPrune(ctx, at, func(error) {}); err == nil {
		disk.Prune = &report.Repository.Bytes
	}
	return disk, nil
}
