package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// Claim finds the entries that belong to the machine although no record has them: those of
// versions that kept none, also of an older deployment that was booted since. They have the
// form of our names, their deployments have state here, and they boot this root file system.
// From then on they are the machine's, and the next Record or new entry records them.
//
// An entry whose root is unclear is claimed only if there is no record yet and nothing
// hints at another system. If something does, no record is written until the root is clear.
func (p *Partition) Claim() error {
	if p.machine == nil {
		return nil
	}
	_, exists, err := p.readRecord()
	var found []EntryFile
	if err == nil {
		found, err = p.unrecorded()
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil // nothing can be changed, then
	}
	if err != nil {
		return fmt.Errorf("cannot tell which system owns the boot entries: %w", err)
	}
	if exists && len(found) == 0 {
		return nil
	}
	e, err := p.evidence()
	if err != nil {
		return fmt.Errorf("cannot tell which system owns the boot entries: %w", err)
	}
	all := e.sort(found)
	p.claimed, p.claiming = all.ours, !exists
	switch {
	case exists:
	case !all.shared():
		p.claimed = append(p.claimed, all.unclear...)
	case len(all.ours)+len(all.theirs) == 0:
		p.claiming = false
	}
	return nil
}

// unrecorded returns the entries of our form that no record has, and whose deployments have
// state here.
func (p *Partition) unrecorded() ([]EntryFile, error) {
	have, _, err := p.readRecord()
	if err != nil {
		return nil, err
	}
	names, err := p.readDir(entriesDir)
	if err != nil {
		return nil, err
	}
	var found []EntryFile
	for _, name := range names {
		f := p.readEntry(name)
		_, id, ours := parseBase(f.Name.Base)
		if !ours || slices.Contains(have, f.Name.Base) {
			continue
		}
		if f.Target.ID != "" {
			id = string(f.Target.ID)
		}
		here, err := p.hasState(id)
		if err != nil {
			return nil, err
		}
		if here {
			found = append(found, f)
		}
	}
	return found, nil
}

// hasState reports whether a deployment whose ID begins so has a state directory.
func (p *Partition) hasState(prefix string) (bool, error) {
	dir, err := p.machine.Open(deployment.DeployDir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	begins := func(name string) bool { return strings.HasPrefix(name, prefix) }
	return prefix != "" && slices.ContainsFunc(names, begins), err
}

// A verdict says whether an entry boots the machine's root.
type verdict int

const (
	unclear verdict = iota
	isOurs
	isTheirs
)

// A sorting is the names of entries by verdict, and by which arguments those that are not
// another's find their roots.
type sorting struct {
	ours, theirs, unclear []string
	ourArgs, unclearArgs  []rootArgs
}

// sort judges entries.
func (e evidence) sort(files []EntryFile) (s sorting) {
	for _, f := range files {
		args := rootArgsOf(f.Entry.Options)
		switch e.judge(f) {
		case isOurs:
			s.ours, s.ourArgs = append(s.ours, f.Name.Base), append(s.ourArgs, args)
		case isTheirs:
			s.theirs = append(s.theirs, f.Name.Base)
		default:
			s.unclear = append(s.unclear, f.Name.Base)
			if f.Entry.IsKernel() {
				s.unclearArgs = append(s.unclearArgs, args)
			}
		}
	}
	return s
}

// shared reports whether something hints at another system: its entries, or different
// arguments.
func (s sorting) shared() bool {
	known := s.ourArgs
	if len(known) == 0 {
		known = s.unclearArgs[:min(1, len(s.unclearArgs))]
	}
	return len(s.theirs) > 0 ||
		slices.ContainsFunc(s.unclearArgs, func(args rootArgs) bool { return !slices.Contains(known, args) })
}

// Evidence is what is known of the machine's root, and tells which entries boot it.
type evidence struct {
	running   *rootArgs // by which the running system found it
	names     []string  // what root= may call it, as rootName returns it; none if it is not known
	subvolume string    // the option by which btrfs mounts it, "" for other file systems
	unnamed   verdict   // on an entry without root=
	booted    func(EntryFile) bool
}

// evidence returns what is known of the machine's root.
func (p *Partition) evidence() (evidence, error) {
	if p.host == nil {
		return evidence{running: p.rootArgs, booted: p.isBooted}, nil
	}
	dir := deployment.SysrootDir
	if p.rootArgs == nil {
		dir = p.machine.Name()
	}
	m := machine{root: p.host}
	loader, err := m.deviceUnder(p)
	if err != nil {
		return evidence{}, err
	}
	e, err := m.evidence(dir, loader, runtime.GOARCH)
	e.running, e.booted = p.rootArgs, p.isBooted
	return e, err
}

// evidence returns what is known of the root that is mounted at dir, on a machine whose boot
// partition is on the block device loader, "" if it is on none.
func (m machine) evidence(dir, loader, arch string) (evidence, error) {
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if found, err := bounded.Found(err); !found || err != nil {
		return evidence{}, err
	}
	mount, ok, err := m.mountAt(abs)
	if err != nil || !ok || mount.Root != "/" && mount.Type != "btrfs" {
		return evidence{}, err
	}
	device, err := m.deviceOf(mount)
	if errors.Is(err, errNoDevice) {
		return evidence{}, nil
	}
	if err != nil {
		return evidence{}, err
	}
	lower, err := m.beneath(device, 0)
	if err != nil {
		return evidence{}, err
	}
	var e evidence
	if mount.Type == "btrfs" {
		e.subvolume = subvolume(mount)
	}
	if e.names, err = m.namesOf(device, lower); err == nil {
		e.unnamed, err = m.judgeUnnamed(device, lower, loader, arch)
	}
	return e, err
}

// judgeUnnamed decides on an entry without root=, for a root on a device.
func (m machine) judgeUnnamed(device string, lower []string, loader, arch string) (verdict, error) {
	switch {
	case loader == "" || len(lower) != 1:
		return unclear, nil
	case m.discoverableFrom(loader, device, lower, arch):
		return isOurs, nil
	}
	disk, err := m.diskOf(lower[0])
	other, errOther := m.diskOf(loader)
	if err = errors.Join(err, errOther); err != nil || disk == other {
		return unclear, err
	}
	return isTheirs, nil
}

// deviceUnder returns the block device of a partition, "" if it is on none.
func (m machine) deviceUnder(p *Partition) (string, error) {
	stat, err := sys.Statx(p.dir, "")
	if err != nil {
		return "", err
	}
	device, err := m.resolve("sys/dev/block", fmt.Sprintf("%d:%d", stat.DevMajor, stat.DevMinor))
	if found, err := bounded.Found(err); !found || err != nil {
		return "", err
	}
	return path.Base(device), nil
}

// udevLinks are directories of links to block devices, and what root= calls the same.
var udevLinks = []struct{ dir, key string }{
	{"/dev/disk/by-uuid/", "UUID="},
	{"/dev/disk/by-partuuid/", "PARTUUID="},
	{"/dev/disk/by-label/", "LABEL="},
	{"/dev/disk/by-partlabel/", "PARTLABEL="},
}

// namesOf returns what root= may call a block device, or what is below it.
func (m machine) namesOf(device string, lower []string) ([]string, error) {
	names := []string{"/dev/" + device, m.deviceName(device)}
	if uuid, err := m.uuidOf(device); err == nil { // else it is none that is known here
		names = append(names, "UUID="+uuid)
	}
	for _, l := range udevLinks {
		links, err := m.names(l.dir)
		if _, err := bounded.Found(err); err != nil {
			return nil, err
		}
		for _, link := range links {
			target, err := m.resolve(l.dir, link)
			if _, err := bounded.Found(err); err != nil {
				return nil, err
			}
			if base := path.Base(target); base == device || slices.Contains(lower, base) {
				names = append(names, rootName(l.key+link))
			}
		}
	}
	return names, nil
}

// rootName returns the value of root= in one of the forms that namesOf returns.
func rootName(root string) string {
	for _, l := range udevLinks {
		if name, ok := strings.CutPrefix(root, l.dir); ok {
			root = l.key + name
		}
		if name, ok := strings.CutPrefix(root, l.key); ok && strings.HasSuffix(l.key, "UUID=") {
			return l.key + strings.ToLower(strings.Trim(name, `"`))
		}
	}
	return root
}

// judge decides on an entry. A unified kernel image has its arguments in itself and in
// addons, so nothing is known of it.
func (e evidence) judge(f EntryFile) verdict {
	args := rootArgsOf(f.Entry.Options)
	switch {
	case e.booted != nil && e.booted(f):
		return isOurs
	case !f.Entry.IsKernel(): // or it cannot be read
		return unclear
	case e.running != nil && args == *e.running:
		return isOurs
	case args.root == "":
		return e.unnamed
	case len(e.names) == 0:
		return unclear
	}
	name := rootName(args.root)
	if !slices.Contains(e.names, name) {
		return e.judgeOther(name)
	}
	if e.subvolume == "" {
		return isOurs
	}
	for option := range strings.SplitSeq(args.flags, ",") {
		switch {
		case option == e.subvolume || strings.Replace(option, "subvol=/", "subvol=", 1) == e.subvolume:
			return isOurs
		case strings.HasPrefix(option, "subvol=") && strings.HasPrefix(e.subvolume, "subvol="):
			return isTheirs
		}
	}
	return unclear
}

// judgeOther decides on an entry whose root= is not a known name of the root: it is
// another system's if a name of the same kind is known.
func (e evidence) judgeOther(name string) verdict {
	for _, key := range []string{"UUID=", "PARTUUID="} {
		known := slices.ContainsFunc(e.names, func(n string) bool { return strings.HasPrefix(n, key) })
		if strings.HasPrefix(name, key) && known {
			return isTheirs
		}
	}
	return unclear
}
