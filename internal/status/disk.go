package status

import (
	"context"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// A Disk is what the contents of files take on the root file system.
type Disk struct {
	Deployments []DiskUse `json:"deployments"`
	Shared      int64     `json:"sharedBytes"` // of objects that several deployments have
	// Prune is what prune would free, in bytes; nil if that could not be found out.
	Prune *int64 `json:"pruneBytes,omitempty"`
}

// A DiskUse is what one deployment takes.
type DiskUse struct {
	ID  deployment.ID `json:"deployment"`
	All int64         `json:"bytes"`    // of all its objects
	Own int64         `json:"ownBytes"` // of those that no other deployment has: what its removal would free
}

// A user is a deployment that has an object, or the fact that several do.
type user struct {
	first int // index of the first that has it
	more  bool
	bytes int64
}

// MeasureDisk returns what the deployments of a machine take. It reads all their images, which
// takes a second or so, and only root can.
func MeasureDisk(ctx context.Context, system *machine.System) (*Disk, error) {
	if system.Repository == nil {
		return nil, system.RepositoryErr
	}
	disk := &Disk{Deployments: []DiskUse{}}
	users := make(map[digest.Key]*user)
	for _, id := range system.State().Known() {
		use, found, err := measure(ctx, system.Repository, id, len(disk.Deployments), users)
		if err != nil {
			return nil, err
		}
		if found {
			disk.Deployments = append(disk.Deployments, use)
		}
	}
	for _, u := range users {
		if u.more {
			disk.Shared += u.bytes
		} else {
			disk.Deployments[u.first].Own += u.bytes
		}
	}
	return disk, nil
}

// measure returns what a deployment takes, without its own part, and notes the objects that it
// has.
func measure(ctx context.Context, r *repo.Repository, id deployment.ID, index int, users map[digest.Key]*user) (DiskUse, bool, error) {
	use := DiskUse{ID: id}
	if found, err := r.HasImage(string(id)); err != nil || !found {
		return use, false, err
	}
	image, err := r.OpenImage(string(id))
	if err != nil {
		return use, false, err
	}
	defer image.Close()
	seen := make(digest.Set)
	add := func(d digest.Digest, bytes int64) {
		seen.Add(d)
		use.All += bytes
		if u := users[d.Key()]; u != nil {
			u.more = true
		} else {
			users[d.Key()] = &user{first: index, bytes: bytes}
		}
	}
	var failed error
	err = erofs.EachObject(ctx, image, func(d digest.Digest) {
		if failed != nil || seen.Has(d) {
			return
		}
		if u := users[d.Key()]; u != nil {
			add(d, u.bytes)
			return
		}
		bytes, err := r.ObjectSize(d)
		failed = err
		add(d, bytes)
	})
	if err == nil {
		err = failed
	}
	if info, statErr := image.Stat(); statErr == nil {
		own, idErr := id.Digest()
		if idErr == nil {
			add(own, info.Size())
		}
	}
	return use, true, err
}

// text tells people what the disk is used for, a line each.
func (d Disk) text(s Status) []string {
	var lines []string
	for _, use := range d.Deployments {
		name := use.ID.Short()
		if found := s.find(func(of Deployment) bool { return of.ID == use.ID }); found != nil {
			name = found.Describe()
		}
		lines = append(lines, name+": "+size(use.All)+", of which "+size(use.Own)+" are its own")
	}
	if d.Prune != nil {
		lines = append(lines, "prune would free "+size(*d.Prune))
	}
	return lines
}
