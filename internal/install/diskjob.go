package install

import (
	"context"

	"github.com/sysupdate-image/sysupdate-image/internal/install/device"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// A DiskJob is an installation on a disk, or on the image of one, that is ready to be carried
// out. The disk is open, and locked.
type DiskJob struct {
	Plan   DiskPlan
	disk   *device.Disk
	target *Target // nil for a disk
	done   bool
}

// PrepareDisk looks at an image and at the disk, or at the target if that is not nil, and refuses
// what cannot succeed. With onlyPlan, the job is not to be run. The caller closes the job.
func PrepareDisk(ctx context.Context, o DiskOptions, target *Target, onlyPlan bool, r update.Reporter, warn func(error)) (*DiskJob, error) {
	if err := checkDisk(o, target, onlyPlan); err != nil {
		return nil, err
	}
	img, err := look(ctx, o.Options, r)
	if err != nil {
		return nil, err
	}
	for _, w := range img.warnings(o) {
		warn(w)
	}
	job := &DiskJob{target: target}
	if target != nil {
		if o, err = target.begin(o, img); err != nil {
			target.drop()
			return nil, err
		}
	}
	if job.Plan, job.disk, err = planDisk(ctx, o, img); err != nil {
		job.Close()
		return nil, err
	}
	if job.Plan.Blocks == TPM2LUKS && !onlyPlan {
		if job.Plan.keyFile, err = o.Encryption.newKeyFile(); err != nil {
			job.Close()
			return nil, err
		}
	}
	return job, nil
}

// checkDisk refuses early what cannot succeed.
func checkDisk(o DiskOptions, target *Target, onlyPlan bool) error {
	switch {
	case target != nil:
		target.onlyPlan = onlyPlan
		return target.check(o.Wipe)
	case onlyPlan:
		return nil
	}
	return checkRights(o.Loopback)
}

// Run installs. A disk is labelled as unfinished until Run has succeeded; the image of one has
// its name only then.
func (j *DiskJob) Run(ctx context.Context, r update.Reporter, warn func(error)) (DiskResult, error) {
	result, err := j.Plan.toDisk(ctx, j.disk, r, warn)
	if err == nil && j.target != nil {
		err = j.target.finish(ctx, j.disk, r)
	}
	j.done = err == nil
	return result, err
}

// Close closes the disk, and removes the image of one that is not complete, and the file with the
// recovery key.
func (j *DiskJob) Close() {
	j.Plan.keyFile.close(j.done)
	if j.disk != nil {
		j.disk.Close()
	}
	if j.target != nil {
		j.target.drop()
	}
}
