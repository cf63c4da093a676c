package health

import (
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
)

// A messageID is the MESSAGE_ID of what a program may wait for or count, and of what
// sysupdate-image.catalog explains to people.
type messageID string

// The outcomes that are told.
const (
	msgBootFailed messageID = "0f91be29760946c3a3a3cc2798a2d936"
	msgFellBack   messageID = "4669369b2aaa45578d7e83473826f32b"
)

// Fields of the journal that messages have besides those of
// systemd.journal-fields(7); the catalog uses them.
const (
	fieldDeployment = "SYSUPDATE_IMAGE_DEPLOYMENT"
	fieldError      = "SYSUPDATE_IMAGE_ERROR"
)

// identifier is what the journal calls the program.
const identifier = "sysupdate-image-health"

func (m Machine) tellBootFailed(id deployment.ID, why string) {
	m.log.Write(journal.Entry{
		Priority: journal.Err, ID: string(msgBootFailed),
		Message: fmt.Sprintf("deployment %s did not boot completely: %s", id.Short(), why),
		Fields:  []journal.Field{{Name: fieldDeployment, Value: string(id)}, {Name: fieldError, Value: why}},
	})
}

func (m Machine) tellFellBack(spent deployment.ID, why string) {
	m.log.Write(journal.Entry{
		Priority: journal.Warning, ID: string(msgFellBack),
		Message: fmt.Sprintf("deployment %s is not booted any more, this one is: %s", spent.Short(), why),
		Fields:  []journal.Field{{Name: fieldDeployment, Value: string(spent)}, {Name: fieldError, Value: why}},
	})
}

// logf tells what else is worth knowing.
func (m Machine) logf(priority int, format string, args ...any) {
	m.log.Write(journal.Entry{Priority: priority, Message: fmt.Sprintf(format, args...)})
}
