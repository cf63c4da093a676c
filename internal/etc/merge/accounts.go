package merge

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// AccountFiles are the files with records, relative to /etc: those of users and groups.
var AccountFiles = []string{"passwd", "group", "shadow", "gshadow", "subuid", "subgid"}

// Accounts are the contents of AccountFiles by their names. A file that is missing has none.
type Accounts map[string][]byte

// People have IDs in this range; see login.defs(5). All others belong to packages.
const (
	firstPerson = 1000
	lastPerson  = 59999
)

// A Person is a user who was taken over.
type Person struct {
	Name, Home string
	Group      string // ID of the primary one
}

// TakeOver returns the account files of an image with the people of another system and their
// groups, whose memberships and passwords they keep, and root's password. Of a user that
// both have, only the password is taken. Warnings tell of memberships that are lost.
func (image Accounts) TakeOver(other Accounts) (all Accounts, people []Person, warnings []string, err error) {
	t := takeover{image: image.parse(), other: other.parse()}
	if err := t.users(); err != nil {
		return nil, nil, nil, err
	}
	if err := t.groups(); err != nil {
		return nil, nil, nil, err
	}
	t.memberships()
	t.passwords()
	for _, file := range []string{"subuid", "subgid"} {
		for _, p := range t.people {
			t.take(file, p.Name)
		}
	}
	all = Accounts{}
	for name, file := range t.image {
		all[name] = file.encode()
	}
	return all, t.people, t.warnings, nil
}

func (a Accounts) parse() map[string]*records {
	files := make(map[string]*records)
	for _, name := range AccountFiles {
		r := parseRecords(a[name])
		files[name] = &r
	}
	return files
}

// A takeover is one run of TakeOver. The files of image become those with both.
type takeover struct {
	image, other map[string]*records
	people       []Person
	warnings     []string
}

// take gives to a file of the image what the other has under a key, in the place of what it
// has there.
func (t *takeover) take(file, key string) {
	lines, ok := t.other[file].lines[key]
	if !ok {
		return
	}
	r := t.image[file]
	if _, ok := r.lines[key]; !ok {
		r.keys = append(r.keys, key)
	}
	r.lines[key] = slices.Clone(lines)
}

func (t *takeover) users() error {
	for _, name := range t.other["passwd"].keys {
		if !isPerson(*t.other["passwd"], name) {
			continue
		}
		f := fields(t.other["passwd"].lines[name][0])
		if len(f) != 7 {
			return fmt.Errorf("cannot take over user %q: its line in passwd has %d fields", name, len(f))
		}
		if err := t.checkUser(name, f[2], f[3]); err != nil {
			return fmt.Errorf("cannot take over user %q: %w", name, err)
		}
		if _, ok := t.image["passwd"].lines[name]; !ok {
			t.take("passwd", name)
		}
		if f = fields(t.image["passwd"].lines[name][0]); len(f) == 7 {
			t.people = append(t.people, Person{Name: name, Home: f[5], Group: f[3]})
		}
	}
	return nil
}

// checkUser refuses a user who would be another one in the image, or there in no group.
func (t *takeover) checkUser(name, id, group string) error {
	if _, ok := t.image["passwd"].lines[name]; ok {
		if !isPerson(*t.image["passwd"], name) {
			return fmt.Errorf("the image has a system user of that name, with ID %s", identity(*t.image["passwd"], name))
		}
		return nil
	}
	if has := t.image["passwd"].named(id); has != "" {
		return fmt.Errorf("the image has %q with the same ID %s", has, id)
	}
	return t.checkGroup(group)
}

// checkGroup refuses a primary group that is neither in the image nor taken over.
func (t *takeover) checkGroup(id string) error {
	name := t.other["group"].named(id)
	has := identity(*t.image["group"], name)
	switch {
	case name != "" && has != "" && has != id:
		return fmt.Errorf("the image has their group %q with another ID, %s", name, has)
	case has == "" && !isPerson(*t.other["group"], name):
		return fmt.Errorf("the image does not have its group, with ID %s", id)
	}
	return nil
}

func (t *takeover) groups() error {
	for _, name := range t.other["group"].keys {
		if _, ok := t.image["group"].lines[name]; ok || !isPerson(*t.other["group"], name) {
			continue
		}
		id := identity(*t.other["group"], name)
		if has := t.image["group"].named(id); has != "" {
			return fmt.Errorf("cannot take over group %q: the image has %q with the same ID %s", name, has, id)
		}
		t.take("group", name)
		t.take("gshadow", name)
	}
	return nil
}

// memberships adds those who were taken over to the groups of the image that they were in.
func (t *takeover) memberships() {
	for _, name := range t.other["group"].keys {
		in := t.membersOf(name)
		if len(in) == 0 {
			continue
		}
		if _, ok := t.image["group"].lines[name]; !ok {
			t.warnings = append(t.warnings, fmt.Sprintf("the image has no group %s, in which %s was", name, strings.Join(in, ", ")))
			continue
		}
		for _, file := range []string{"group", "gshadow"} {
			t.image[file].addMembers(name, 3, in)
		}
	}
}

// membersOf returns the people in a group of the other system.
func (t *takeover) membersOf(group string) (in []string) {
	lines := t.other["group"].lines[group]
	if len(lines) == 0 {
		return nil
	}
	f := fields(lines[0])
	if len(f) < 4 {
		return nil
	}
	for _, name := range members(f[3]) {
		if slices.ContainsFunc(t.people, func(p Person) bool { return p.Name == name }) {
			in = append(in, name)
		}
	}
	return in
}

// addMembers adds names to the list that is a field of a record.
func (r *records) addMembers(key string, field int, names []string) {
	lines := r.lines[key]
	if len(lines) == 0 {
		return
	}
	f := fields(lines[0])
	if len(f) <= field {
		return
	}
	f[field] = strings.Join(mergeList(nil, members(f[field]), names), ",")
	r.lines[key] = append([]string{strings.Join(f, ":") + "\n"}, lines[1:]...)
}

// passwords takes over those of people, and root's if it has one.
func (t *takeover) passwords() {
	for _, p := range t.people {
		t.take("shadow", p.Name)
	}
	if lines := t.other["shadow"].lines["root"]; len(lines) > 0 {
		if f := fields(lines[0]); len(f) > 1 && f[1] != "" && !strings.ContainsAny(f[1][:1], "!*") {
			t.take("shadow", "root")
		}
	}
}

// named returns the name with an ID, "" if there is none.
func (r records) named(id string) string {
	i := slices.IndexFunc(r.keys, func(key string) bool { return identity(r, key) == id })
	if i < 0 {
		return ""
	}
	return r.keys[i]
}

// isPerson reports whether a record has an ID of a person, or of their group.
func isPerson(r records, key string) bool {
	id, err := strconv.Atoi(identity(r, key))
	return err == nil && id >= firstPerson && id <= lastPerson
}
