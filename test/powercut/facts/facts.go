// Package facts is what the guests of the power cut tests and the host tell each
// other: jobs, markers in the log, and what was found on a disk after a cut. It
// also says what may be found, which is decided on the host from these values
// alone.
package facts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/test/powercut/replay"
)

// Partitions of the disk, in order.
const (
	ESP    = iota // FAT, where the loader looks
	Root          // the physical root
	Marks         // no file system: markers
	Places        // how many there are
)

// A Job tells a guest what to do. It is on the disk with the serial "job".
type Job struct {
	FSType string // of the root partition
	// Record says to make the changes that are to be cut; else Cuts are checked.
	Record *Recording `json:",omitempty"`
	Check  *Check     `json:",omitempty"`
}

// A Recording says what to do while the log is kept.
type Recording struct {
	Images []string // references, to be installed and then applied in this order
	Seed   uint64   // of local edits
	// Neighbour says that another program runs which makes the kernel write out
	// what is dirty whenever a name appears, changes or vanishes.
	Neighbour bool
}

// A Check says at which cuts to look.
type Check struct {
	Cuts  []replay.Cut
	Areas []replay.Area
	// Recover are the cuts from which the machine is taken on: it boots what the
	// loader chooses, and is updated.
	Recover []Recovery `json:",omitempty"`
}

// A Recovery says how to take on from a cut.
type Recovery struct {
	Cut    int
	Images []string // to apply, one after the other: the one that was cut, and a newer one
}

// markSize is the size of a marker, which is one request to the disk.
const markSize = 16 << 10

var markMagic = []byte("sysupdate-image power cut marker\n")

// A Marker is written to the marker partition between two steps of a recording:
// it says what holds from then on, whatever is lost.
type Marker struct {
	Step string
	// Next are the deployments that may be the next to boot. None stands for no
	// entry at all, Any for any that is whole.
	Next []string
	// Staged is the deployment whose staged record must be there, with a boot
	// entry to publish.
	Staged string `json:",omitempty"`
	// Listed are the deployments that the loader must list, besides.
	Listed []string `json:",omitempty"`
	// Etc has the digests that the local changes to /etc of a deployment may have.
	Etc map[string][]string `json:",omitempty"`
	// Moving says that they become those of the next marker, Editing that they may
	// be anything while a user or another program changes them.
	Moving, Editing bool `json:",omitempty"`
	// Files have been synced: they have these digests. Paths begin with the
	// deployment.
	Files map[string]string `json:",omitempty"`
	// Var is how many lines have been synced in the log below /var.
	Var int
	// Attempts has what the record of a deployment's boots may be if a loader lists it: see
	// Deployment.
	Attempts map[string][]string `json:",omitempty"`
	// Images are deployments whose image was recorded in the repository, with
	// its manifest and layers.
	Images []string `json:",omitempty"`
}

// What Next may say besides deployments.
const (
	None = ""
	Any  = "*"
)

// Encode returns the marker as it is on the disk.
func (m Marker) Encode() ([]byte, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	data := append(bytes.Clone(markMagic), text...)
	if len(data) > markSize {
		return nil, fmt.Errorf("marker of %d bytes is too long", len(data))
	}
	return append(data, bytes.Repeat([]byte{'\n'}, markSize-len(data))...), nil
}

// ErrNoMarker says that something is not a marker.
var ErrNoMarker = errors.New("not a marker")

// ParseMarker reads what Encode returned.
func ParseMarker(data []byte) (Marker, error) {
	text, ok := bytes.CutPrefix(data, markMagic)
	if !ok {
		return Marker{}, ErrNoMarker
	}
	var m Marker
	if err := json.Unmarshal(bytes.TrimSpace(text), &m); err != nil {
		return Marker{}, fmt.Errorf("cannot read marker: %w", err)
	}
	return m, nil
}

// A Result is what a checking guest says, one in a line.
type Result struct {
	ESP  *ESPFacts      `json:",omitempty"`
	Root *RootFacts     `json:",omitempty"`
	Took *RecoverResult `json:",omitempty"`
	// Error says that the guest could not do what it should; Done is its last word.
	Error string `json:",omitempty"`
	Done  bool   `json:",omitempty"`
	Cuts  int    `json:",omitempty"`
}

// ESPFacts are what was found on the boot partition.
type ESPFacts struct {
	State   replay.State
	Error   string  `json:",omitempty"` // it cannot be mounted or read
	Loader  string  `json:",omitempty"` // what is wrong with the boot loader
	Listing string  `json:",omitempty"` // after fsck.vfat -a, why not everything can be listed
	Entries []Entry // in the order of boot.Partition.Entries
}

// An Entry is a file in the directory of boot entries.
type Entry struct {
	File   string
	Base   string `json:",omitempty"` // its name without tries and suffix
	ID     string `json:",omitempty"` // deployment that it boots
	Staged bool   `json:",omitempty"`
	Error  string `json:",omitempty"` // why no loader can boot it
	Kernel string `json:",omitempty"` // what is wrong with kernel or initramfs
}

// RootFacts are what was found on the root partition.
type RootFacts struct {
	State       replay.State
	Error       string `json:",omitempty"` // it cannot be mounted or read
	Deployments map[string]Deployment
	Staged      *Staged  `json:",omitempty"`
	Recorded    []string `json:",omitempty"` // entries that the machine has recorded as its own, by Base
	Var         int      // whole lines of the log below /var
	Problems    []string `json:",omitempty"` // of the repository, in what is named
	Tagged      []string `json:",omitempty"` // images named by a tag whose streams are whole
}

// A Staged is the staged record.
type Staged struct {
	Error, ID, Entry string
}

// A Deployment is a state directory, or an image in the repository.
type Deployment struct {
	Image string `json:",omitempty"` // what is wrong with image or objects
	State string `json:",omitempty"` // what is wrong with the state directory
	Etc   string `json:",omitempty"` // digest of the local changes
	// Attempts is the record of its boots: "" if it has none, NoTrial, or the tries left and
	// done, such as "2-1".
	Attempts string            `json:",omitempty"`
	Fallback string            `json:",omitempty"` // the deployment that the record names
	Damaged  string            `json:",omitempty"` // what is wrong with the record
	Files    map[string]string `json:",omitempty"` // and of each of them
}

// NoTrial says that a deployment with a record is not on trial.
const NoTrial = "good"

// A RecoverResult says how it went on after a cut.
type RecoverResult struct {
	Cut   int
	Error string `json:",omitempty"`
}
