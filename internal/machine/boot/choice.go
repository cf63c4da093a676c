package boot

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// Which entry the loader boots: the first in its order, unless a setting makes it another.
// The settings are those of loader.conf(5) and of the Boot Loader Interface.

// OneShot is the variable with the entry for the next boot only. The loader removes it.
const OneShot = "LoaderEntryOneShot"

// saved is the setting that stands for the entry that was booted last.
const saved = "@saved"

// A setting makes the loader boot the first entry whose id matches a pattern.
type setting struct {
	by, pattern string // by is what people call it
	assesses    bool   // it skips entries that have used up their tries
}

// Settings say what the loader was told to boot. The zero Settings are those of a loader that
// was told nothing.
type Settings struct {
	settings []setting // the strongest first
	version  int       // of systemd-boot, 0 if it is not known
	loader   string    // what booted the running machine calls itself, with its version
	listed   []string  // ids of what the loader listed when the running machine was booted
}

// Settings reads the loader's settings. running is the root of the running system, and nil for
// a machine that does not run: then only loader.conf is known. The error is that it cannot be
// read; the other settings are good.
func (p *Partition) Settings(running fs.FS) (Settings, error) {
	data, err := p.readSettings()
	r := settingsReader{running: running, conf: string(data)}
	r.loader = r.text("LoaderInfo")
	r.version = versionOfLoader(r.loader)
	r.variable(OneShot, false)
	if r.version == 0 || r.version >= firstWithPreferred {
		r.variable("LoaderEntryPreferred", true)
		r.inFile("preferred", true)
	}
	r.variable("LoaderEntryDefault", false)
	r.inFile("default", false)
	r.listed = strings.FieldsFunc(r.text("LoaderEntries"), func(c rune) bool { return c == 0 })
	return r.Settings, err
}

// Loader returns what the boot loader that has booted the running machine calls itself, with
// its version; "" if it does not tell.
func (s Settings) Loader() string { return s.loader }

// readSettings returns loader.conf, nothing if there is none.
func (p *Partition) readSettings() ([]byte, error) {
	if p.settingsErr != nil {
		return nil, p.settingsErr
	}
	data, err := bounded.ReadRoot(p.settings, "loader/loader.conf", limits.Text)
	if found, notFound := bounded.Found(err); !found {
		err = notFound
	}
	return data, err
}

// A settingsReader puts Settings together.
type settingsReader struct {
	Settings
	running fs.FS
	conf    string
}

func (r *settingsReader) add(by, pattern string, assesses bool) {
	if pattern == saved {
		pattern = r.text("LoaderEntryLastBooted")
	}
	if pattern != "" {
		r.settings = append(r.settings, setting{by, strings.ToLower(pattern), assesses})
	}
}

func (r *settingsReader) variable(name string, assesses bool) {
	r.add("EFI variable "+name, r.text(name), assesses)
}

func (r *settingsReader) inFile(key string, assesses bool) {
	r.add("loader.conf", lastSetting(r.conf, key), assesses)
}

// lastSetting returns the value of a key in loader.conf(5), where the last line counts; "" if it
// is not there.
func lastSetting(text, key string) (value string) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == key {
			value = strings.Trim(f[1], `"`)
		}
	}
	return value
}

// text returns the value of a variable, "" if there is none.
func (r *settingsReader) text(name string) string {
	if r.running == nil {
		return ""
	}
	text, err := bootcount.Text(r.running, name)
	if err != nil {
		return ""
	}
	return text
}

// A Choice is what the loader boots.
type Choice struct {
	Entry EntryFile // the zero entry if it is none of the files
	// ID is the entry's, or that of something else that the loader lists, such as another
	// system's loader. It is "" if there is nothing to boot.
	ID string
	// By names the setting that makes the loader boot this instead of the first entry, "" if
	// none does.
	By string
}

// String says which setting is the reason for what.
func (c Choice) String() string {
	what := c.Entry.File
	if what == "" {
		what = c.ID
	}
	return fmt.Sprintf("%s overrides what boots next: the loader boots %s", c.By, what)
}

// Choose returns which of the files, as Entries returns them, the loader boots.
func (s Settings) Choose(files []EntryFile) Choice {
	first, _ := Next(files)
	for _, set := range s.settings {
		c, ok := s.find(set, files)
		if !ok {
			continue
		}
		if c.Entry.File != first.File || c.Entry.File == "" {
			c.By = set.by
		}
		return c
	}
	if first.File == "" {
		return Choice{}
	}
	return Choice{Entry: first, ID: first.Name.ID()}
}

// find returns what a setting selects.
func (s Settings) find(set setting, files []EntryFile) (Choice, bool) {
	i := slices.IndexFunc(files, func(f EntryFile) bool {
		return f.Bootable() && !(set.assesses && f.Name.Exhausted()) && slices.ContainsFunc(s.idsOf(f), set.matches)
	})
	if i >= 0 {
		return Choice{Entry: files[i], ID: files[i].Name.ID()}, true
	}
	isElsewhere := func(id string) bool {
		_, err := bootentry.ParseName(id)
		// An entry of Type #1 would be among the files, if it were still there.
		return err != nil && set.matches(strings.ToLower(id))
	}
	if i := slices.IndexFunc(s.listed, isElsewhere); i >= 0 {
		return Choice{ID: s.listed[i]}, true
	}
	return Choice{}, false
}

func (set setting) matches(id string) bool {
	ok, err := path.Match(set.pattern, id)
	return err == nil && ok
}

// Versions of systemd-boot between which ids lost the tries: 257.7 has them, 257.13 does not.
const (
	lastWithTries     = 256
	firstWithoutTries = 259
)

// idsOf returns the ids that an entry may have to the loader.
func (s Settings) idsOf(f EntryFile) (ids []string) {
	if s.version == 0 || s.version > lastWithTries {
		ids = append(ids, f.Name.ID())
	}
	if s.version != 0 && s.version < firstWithoutTries {
		ids = append(ids, strings.ToLower(strings.TrimSuffix(f.File, stagedSuffix)))
	}
	return ids
}

// AfterPublishing returns the files as they will be once the staged entry with a name, as
// StageEntry returns it, is published.
func AfterPublishing(files []EntryFile, name string) []EntryFile {
	i := slices.IndexFunc(files, func(f EntryFile) bool {
		return f.Staged && strings.TrimSuffix(f.File, stagedSuffix) == strings.TrimSuffix(name, stagedSuffix)
	})
	if i < 0 {
		return files
	}
	published := files[i]
	published.File, published.Staged = strings.TrimSuffix(published.File, stagedSuffix), false
	return insertEntry(slices.Delete(slices.Clone(files), i, i+1), published)
}
