package boot

import (
	"bytes"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// Keys by which an entry of Type #1 names a unified kernel image.
const (
	ukiKey = "uki"
	efiKey = "efi" // any EFI program
)

// firstWithUKI is the version of systemd-boot that knows the key uki; older ones
// take an entry that has it for one that boots nothing.
const firstWithUKI = 258

// loaderMark is what systemd-boot has in it, followed by its version and " ####".
const loaderMark = "#### LoaderInfo: systemd-boot "

// UKIKey returns the key by which an entry is to name a unified kernel image:
// "uki" if every boot loader on the partition knows that, else "efi", which all
// know. Where the loader is on another partition, loaderInfo counts, which is
// the variable LoaderInfo of the Boot Loader Interface, "" if it is not known.
func (p *Partition) UKIKey(loaderInfo string) string {
	found := false
	for _, dir := range []string{"EFI/systemd", "EFI/BOOT"} {
		list, err := p.readDir(dir)
		if err != nil {
			return efiKey
		}
		for _, name := range list {
			if !strings.EqualFold(path.Ext(name), ".efi") {
				continue
			}
			found = true
			if p.loaderVersion(dir+"/"+name) < firstWithUKI {
				return efiKey
			}
		}
	}
	info, ok := strings.CutPrefix(loaderInfo, "systemd-boot ")
	if found || ok && leadingNumber(info) >= firstWithUKI {
		return ukiKey
	}
	return efiKey
}

// loaderVersion returns the version of a systemd-boot, 0 for anything else.
func (p *Partition) loaderVersion(name string) int {
	if info, err := p.root.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return 0
	}
	data, err := bounded.ReadRoot(p.root, name, limits.Loader)
	if err != nil {
		return 0
	}
	_, version, _ := bytes.Cut(data, []byte(loaderMark))
	return leadingNumber(string(version[:min(len(version), len("4294967295"))]))
}

// leadingNumber returns the number that s begins with, 0 if there is none.
func leadingNumber(s string) int {
	end := 0
	for end < len(s) && '0' <= s[end] && s[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(s[:end])
	if err != nil {
		return 0
	}
	return n
}

// LoaderInfo returns what the running machine's loader calls itself, "" if it
// does not say; root is the root of the running system.
func LoaderInfo(root fs.FS) string {
	info, err := bootcount.Text(root, "LoaderInfo")
	if err != nil {
		return ""
	}
	return info
}

// firstWithPreferred is the version of systemd-boot that knows LoaderEntryPreferred.
const firstWithPreferred = 260

// KnowsPreferred reports whether a loader, by what LoaderInfo returns, knows the setting
// that is like the default and skips entries that have used up their tries. One
// that does not say what it is may.
func KnowsPreferred(loaderInfo string) bool {
	version, ok := strings.CutPrefix(loaderInfo, "systemd-boot ")
	return !ok || leadingNumber(version) >= firstWithPreferred
}
