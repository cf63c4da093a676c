package deployment

import (
	"errors"
	"fmt"
	"strings"
)

// PinsDir has a file for each pinned deployment, named by its ID. That the file
// is there pins it; what is in it is the pin's name, if it has one. A pin is
// thus kept even where its content, or the deployment's origin, is lost.
const PinsDir = StateDir + "/pins"

// PinFile returns the file that pins the deployment.
func (id ID) PinFile() string { return PinsDir + "/" + string(id) }

// Words that stand for the deployment with that role wherever a deployment is
// named, so that no pin can have them as its name.
const (
	WordBooted   = "booted"
	WordStaged   = "staged"
	WordNext     = "next"
	WordRollback = "rollback"
)

// maxPinName bounds the name of a pin, so that it fits in a line of status.
const maxPinName = 64

// CheckPinName returns an error if a pin cannot have the name: it must not look like a
// role, an option or the beginning of an ID.
func CheckPinName(name string) error {
	switch {
	case name == "":
		return errors.New("a pin's name cannot be empty")
	case len(name) > maxPinName:
		return fmt.Errorf("pin name %q is longer than %d characters", name, maxPinName)
	case name == WordBooted || name == WordStaged || name == WordNext || name == WordRollback:
		return fmt.Errorf("pin name %q is reserved for a deployment's role", name)
	case strings.Trim(name, hexDigits) == "":
		return fmt.Errorf("pin name %q could be the beginning of a deployment id", name)
	case name[0] == '-' || name[0] == '.':
		return fmt.Errorf("pin name %q begins with %q", name, name[:1])
	}
	for _, r := range name {
		if !isNameRune(r) {
			return fmt.Errorf("pin name %q: want letters, digits, '.', '_' and '-'", name)
		}
	}
	return nil
}

const hexDigits = "0123456789abcdef"

func isNameRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-", r)
}

// minPrefix is how many characters of an ID must be given.
const minPrefix = 4

// An UnknownError reports that no deployment has a name.
type UnknownError struct{ Name string }

func (e *UnknownError) Error() string { return fmt.Sprintf("no deployment is called %q", e.Name) }

// Match returns the one of the deployments that text names: by the name of its
// pin, or by the first characters of its ID.
func Match(text string, ids []ID, pins map[ID]string) (ID, error) {
	var found []ID
	for _, id := range ids {
		if pins[id] == text && text != "" {
			return id, nil
		}
		if strings.HasPrefix(string(id), text) {
			found = append(found, id)
		}
	}
	switch {
	case strings.Trim(text, hexDigits) == "" && len(text) < minPrefix:
		return "", fmt.Errorf("%q is too short: want at least %d characters of a deployment id", text, minPrefix)
	case len(found) == 0:
		return "", &UnknownError{text}
	case len(found) > 1:
		return "", fmt.Errorf("%q is ambiguous: %d deployment ids begin with it", text, len(found))
	}
	return found[0], nil
}
