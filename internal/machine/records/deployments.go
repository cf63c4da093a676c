package records

import (
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// LoadOrigin returns where a deployment came from.
func LoadOrigin(root fs.FS, id deployment.ID) (deployment.Origin, error) {
	return load(root, id.OriginFile(), limits.Record, deployment.ParseOrigin)
}

// StoreOrigin records where a deployment with a state directory came from. The record
// goes with that directory.
func StoreOrigin(changes durable.FS, id deployment.ID, o deployment.Origin) error {
	return durable.WriteFile(changes, id.OriginFile(), o.Encode())
}

// LoadEtcReport returns the report on how a deployment came to its /etc.
func LoadEtcReport(root fs.FS, id deployment.ID) (deployment.EtcReport, error) {
	return load(root, id.EtcReportFile(), limits.Report, func(data []byte) (deployment.EtcReport, error) {
		r, err := deployment.ParseEtcReport(data)
		if err == nil && r.To.ID != "" {
			err = checkID(r.To.ID, id)
		}
		return r, err
	})
}

// StoreEtcReport puts a report into the state directory of the deployment that it is
// about, and with which it goes. It does not sync the report: that takes time at
// shutdown, and the caller syncs the file system before it publishes the boot entry.
func StoreEtcReport(changes durable.FS, r deployment.EtcReport) error {
	return durable.WriteFile(durable.Unsynced(changes), r.To.ID.EtcReportFile(), r.Encode())
}

// LoadBootFailure returns why the last boot of a deployment failed.
func LoadBootFailure(root fs.FS, id deployment.ID) (deployment.BootFailure, error) {
	return load(root, id.BootFailureFile(), limits.Record, func(data []byte) (deployment.BootFailure, error) {
		f, err := deployment.ParseBootFailure(data)
		if err == nil {
			err = checkID(f.ID, id)
		}
		return f, err
	})
}

// LoadBootFailures returns all recorded boot failures, of removed deployments too. The
// map has those that could be read even if there is an error: broken has the errors of
// the others.
func LoadBootFailures(root fs.FS) (all map[deployment.ID]deployment.BootFailure, broken map[deployment.ID]error, err error) {
	list, err := readDir(root, deployment.BootFailuresDir)
	all, broken = make(map[deployment.ID]deployment.BootFailure), make(map[deployment.ID]error)
	for _, d := range list {
		name, ok := strings.CutSuffix(d.Name(), deployment.BootFailureSuffix)
		id, parseErr := deployment.ParseID(name)
		if !ok || parseErr != nil {
			continue
		}
		if f, err := LoadBootFailure(root, id); err == nil {
			all[id] = f
		} else if !errors.Is(err, fs.ErrNotExist) {
			broken[id] = err
		}
	}
	return all, broken, err
}

// StoreBootFailure records why the last boot of a deployment failed, for root alone.
func StoreBootFailure(changes durable.FS, f deployment.BootFailure) error {
	if err := durable.MkdirAll(changes, deployment.BootFailuresDir, 0o755); err != nil {
		return err
	}
	return durable.Write(changes, f.ID.BootFailureFile(), secret, func(w io.Writer) error {
		_, err := w.Write(f.Encode())
		return err
	})
}

// DropBootFailure removes the record of a failed boot, if there is one, and its journal.
func DropBootFailure(changes durable.FS, id deployment.ID) error {
	return errors.Join(durable.Remove(changes, id.BootJournalFile()), durable.Remove(changes, id.BootFailureFile()))
}

// LoadBootJournal returns the end of the journal of a deployment's failed boot.
func LoadBootJournal(root fs.FS, id deployment.ID) (deployment.BootJournal, error) {
	return load(root, id.BootJournalFile(), limits.Record, deployment.ParseBootJournal)
}

// StoreBootJournal keeps the end of the journal of a deployment's failed boot, for root
// alone: it has what the journal shows to few.
func StoreBootJournal(changes durable.FS, id deployment.ID, j deployment.BootJournal) error {
	if err := durable.MkdirAll(changes, deployment.BootFailuresDir, 0o755); err != nil {
		return err
	}
	return durable.Write(changes, id.BootJournalFile(), secret, func(w io.Writer) error {
		_, err := w.Write(j.Encode())
		return err
	})
}

// secret is the mode of records with the output of programs.
const secret = 0o600

// LoadPins returns the pinned deployments with the names of their pins, "" for a pin
// without one. A file whose content is not a name is such a pin too: a damaged pin
// still keeps its deployment.
func LoadPins(root fs.FS) (map[deployment.ID]string, error) {
	list, err := readDir(root, deployment.PinsDir)
	if err != nil {
		return nil, err
	}
	pins := make(map[deployment.ID]string)
	for _, d := range list {
		if id, err := deployment.ParseID(d.Name()); err == nil {
			pins[id] = pinName(root, id)
		}
	}
	return pins, nil
}

func pinName(root fs.FS, id deployment.ID) string {
	data, err := bounded.ReadFile(root, id.PinFile(), limits.Record)
	name := strings.TrimSuffix(string(data), "\n")
	if err != nil || deployment.CheckPinName(name) != nil {
		return ""
	}
	return name
}

// StorePin pins a deployment under a name, or without one if that is "".
func StorePin(changes durable.FS, id deployment.ID, name string) error {
	if err := durable.MkdirAll(changes, deployment.PinsDir, 0o755); err != nil {
		return err
	}
	if name != "" {
		name += "\n"
	}
	return durable.WriteFile(changes, id.PinFile(), []byte(name))
}

// DropPin removes the pin of a deployment, if it has one.
func DropPin(changes durable.FS, id deployment.ID) error {
	return durable.Remove(changes, id.PinFile())
}

// readDir lists a directory of records. A missing one has none.
func readDir(root fs.FS, name string) ([]fs.DirEntry, error) {
	list, err := fs.ReadDir(root, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return list, err
}
