package merge

import "strconv"

// Owners tell who owns files in another system that are taken over: the users and groups of the
// same names, whatever IDs they have there.
type Owners struct{ from, to map[string]*records }

// OwnersOf returns the Owners for files of a system with the accounts from in one with to.
func OwnersOf(from, to Accounts) Owners { return Owners{from.parse(), to.parse()} }

// User returns the ID of the user of the same name as one in the other system. It is root's, and
// ok is false, if it is somebody else's here. Without a name on either side, it stays what it is.
func (o Owners) User(id uint32) (own uint32, ok bool) { return o.find("passwd", id) }

// Group is User for groups.
func (o Owners) Group(id uint32) (own uint32, ok bool) { return o.find("group", id) }

func (o Owners) find(file string, id uint32) (uint32, bool) {
	text := strconv.FormatUint(uint64(id), 10)
	name, here := o.from[file].named(text), o.to[file].named(text)
	if id == 0 || name == here {
		return id, true
	}
	if name != "" {
		if own, err := strconv.ParseUint(identity(*o.to[file], name), 10, 32); err == nil {
			return uint32(own), true
		}
	}
	if here == "" {
		return id, true
	}
	return 0, false
}
