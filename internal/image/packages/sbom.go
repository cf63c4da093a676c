package packages

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// errSBOM reports that something is in neither of the formats that ParseSBOM reads.
var errSBOM = errors.New("an SBOM in neither SPDX nor CycloneDX as JSON")

// purlTypes are the types of package URLs that name packages of a package manager.
var purlTypes = map[string]string{"deb": "dpkg", "rpm": "rpm", "alpm": "pacman"}

// A bill is what is read of an SBOM in either format.
type bill struct {
	SPDXVersion string `json:"spdxVersion"`
	Packages    []struct {
		Refs []struct {
			Type    string `json:"referenceType"`
			Locator string `json:"referenceLocator"`
		} `json:"externalRefs"`
	} `json:"packages"`

	Format     string `json:"bomFormat"`
	Components []struct {
		PURL string `json:"purl"`
	} `json:"components"`
}

// ParseSBOM returns the lists of packages that an SBOM has: SPDX or CycloneDX, as JSON. Only
// what it names by package URLs of dpkg, pacman and rpm counts; names have no architecture. It
// is what somebody says of an image: nothing compares it with the image.
func ParseSBOM(data []byte) ([]List, error) {
	var b bill
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, err
	}
	var purls []string
	switch {
	case b.SPDXVersion != "":
		for _, p := range b.Packages {
			for _, ref := range p.Refs {
				if ref.Type == "purl" {
					purls = append(purls, ref.Locator)
				}
			}
		}
	case b.Format == "CycloneDX":
		for _, c := range b.Components {
			purls = append(purls, c.PURL)
		}
	default:
		return nil, errSBOM
	}
	return listsOf(purls), nil
}

// listsOf returns the packages that package URLs name, by their managers.
func listsOf(purls []string) (lists []List) {
	all := make(map[string][]Package)
	for _, text := range purls {
		if manager, p, ok := parsePURL(text); ok {
			all[manager] = append(all[manager], p)
		}
	}
	for _, manager := range []string{"dpkg", "pacman", "rpm"} {
		if list := all[manager]; len(list) > 0 {
			lists = append(lists, List{Manager: manager, Packages: sorted(list)})
		}
	}
	return lists
}

// sorted sorts packages as lists have them, each once.
func sorted(list []Package) []Package {
	slices.SortFunc(list, func(a, b Package) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version))
	})
	return slices.Compact(list)
}

// parsePURL reads a package URL: pkg:rpm/fedora/curl@7.50.3-1.fc25?arch=x86_64&epoch=1.
func parsePURL(text string) (manager string, p Package, ok bool) {
	rest, ok := strings.CutPrefix(text, "pkg:")
	if !ok {
		return "", p, false
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	name, version, _ := strings.Cut(rest, "@")
	kind, name, _ := strings.Cut(strings.Trim(name, "/"), "/")
	name = name[strings.LastIndexByte(name, '/')+1:]
	name, nameOK := unescape(name)
	version, versionOK := unescape(version)
	if !nameOK || !versionOK || name == "" || version == "" || purlTypes[kind] == "" {
		return "", p, false
	}
	for pair := range strings.SplitSeq(query, "&") {
		epoch, is := strings.CutPrefix(pair, "epoch=")
		if is && epoch != "" && epoch != "0" && !strings.Contains(version, ":") {
			version = epoch + ":" + version
		}
	}
	return purlTypes[kind], Package{Name: name, Version: version}, true
}

// unescape replaces %XX in a part of a URL by the byte.
func unescape(text string) (string, bool) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "%")
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		if len(after) < 2 {
			return "", false
		}
		code, err := hex.DecodeString(after[:2])
		if err != nil {
			return "", false
		}
		b.Write(code)
		text = after[2:]
	}
}

// CompareLists is Compare for lists of which one may be from an SBOM: architectures in names,
// and an epoch of zero, do not count.
func CompareLists(old, now []List) (diffs []ManagerDiff) {
	for _, manager := range []string{"dpkg", "pacman", "rpm"} {
		a, b := listOf(old, manager), listOf(now, manager)
		if a.Unread || b.Unread {
			continue
		}
		if changes := Diff(plain(a.Packages), plain(b.Packages)); len(changes) > 0 {
			diffs = append(diffs, ManagerDiff{manager, changes})
		}
	}
	return diffs
}

// plain returns packages by what every list has of them.
func plain(list []Package) (all []Package) {
	for _, p := range list {
		name, _, _ := strings.Cut(p.Name, ":")
		all = append(all, Package{Name: name, Version: strings.TrimPrefix(p.Version, "0:")})
	}
	return sorted(all)
}
