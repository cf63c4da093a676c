// Package status tells what a machine boots: which deployments it has, which one is running,
// which is next, and how each has fared. It hides where all of this comes from, and copes
// with parts that cannot be read.
package status

import (
	"slices"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// A State says what is known of a deployment's boots.
type State string

// The states of a deployment.
const (
	Good    State = "good"    // it boots, or nobody has asked it to prove that
	Trying  State = "trying"  // on trial: it has boots left to reach boot-complete.target
	Failed  State = "failed"  // on trial, and used up its boots
	Staged  State = "staged"  // it is made the next when the machine goes down
	Broken  State = "broken"  // it has a boot entry that no loader can boot
	NoEntry State = "noEntry" // it has no boot entry
	Unknown State = "unknown" // the boot entries cannot be read
)

// A Deployment is what is known of one deployment.
type Deployment struct {
	ID     deployment.ID
	Origin deployment.Origin // zero where it cannot be read
	Title  string            // of the boot entry
	Entry  string            // file name of the boot entry, "" if there is none

	State     State
	Why       string // what is behind Failed and Broken, Staged for more than a boot, or Good with failed checks: one sentence
	Counted   bool   // the loader counts its boots
	TriesLeft uint
	TriesDone uint
	Miscount  string // how the loader shows that it did not count this boot, which is on trial; "" if it did

	Architecture string // of the image, in OCI's words; "" if it is not known

	Booted, Staged, Next, Rollback bool
	SoftReboot                     bool   // a soft reboot makes it the running one
	Locked                         bool   // staged, but not to be made the next
	Pinned                         bool   // stays until it is unpinned
	PinName                        string // "" if the pin has none
	VerityOptional                 bool
}

// Names returns all names that commands take for a deployment: that of its pin, its roles,
// and the beginning of its id.
func (d Deployment) Names() []string {
	var names []string
	for _, name := range []struct {
		word string
		has  bool
	}{
		{d.PinName, d.PinName != ""},
		{deployment.WordBooted, d.Booted}, {deployment.WordStaged, d.Staged},
		{deployment.WordNext, d.Next}, {deployment.WordRollback, d.Rollback},
		{d.ID.Short(), true},
	} {
		if name.has {
			names = append(names, name.word)
		}
	}
	return names
}

// A Status is what is known of a machine.
type Status struct {
	Running        bool         // it is the machine that this program runs on
	ReadOnly       bool         // the physical root is on a medium that cannot be written to
	UsrOverlay     *Overlay     // nil if nothing is mounted over /usr
	Deployments    []Deployment // booted, staged, next and rollback first
	Foreign        []Foreign    // deployments of other systems on the boot partition
	RollbackQueued bool         // a deployment other than the booted one is next, and none is staged
	Loader         string       // that has booted the running machine, or was installed, with its version; "" if it is not known
	VarPartition   string       // that /var is on; "" if it is on the root
	ESPs           []ESP        // further EFI system partitions
	Newest         *Newest      // what the followed reference led to, nil if it was not looked at since the boot
	LastMerge      *LastMerge   // how the booted deployment, or else the next one, came to its /etc; nil if that is not known
	Disk           *Disk        // nil unless it was measured
	Now            time.Time    // when this was so; zero leaves out how long ago something was
	Verbose        bool         // Text is to say more
	Notes          []string     // what a reader should know
	Problems       []string     // what is wrong or could not be read
}

// Of returns the status of a machine. The error says that its place is not a directory.
func Of(at machine.Place) (Status, error) {
	system, err := machine.Open(at, machine.ToRead)
	if err != nil {
		return Status{}, err
	}
	defer system.Close()
	s := Gather(system)
	s.Now = time.Now()
	return s, nil
}

// OnlyBooted returns the status without the deployments that are not running.
func (s Status) OnlyBooted() Status {
	s.Deployments = slices.DeleteFunc(slices.Clone(s.Deployments), func(d Deployment) bool { return !d.Booted })
	s.Foreign = nil
	return s
}

// find returns the first deployment that is, nil if there is none.
func (s Status) find(is func(Deployment) bool) *Deployment {
	for i := range s.Deployments {
		if is(s.Deployments[i]) {
			return &s.Deployments[i]
		}
	}
	return nil
}

// Booted returns the deployment that runs, nil if none does.
func (s Status) Booted() *Deployment {
	return s.find(func(d Deployment) bool { return d.Booted })
}

// Next returns the deployment that boots next, nil if that is not known.
func (s Status) Next() *Deployment {
	return s.find(func(d Deployment) bool { return d.Next })
}
