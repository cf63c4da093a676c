package finalize

import (
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
)

// A messageID is the MESSAGE_ID of what a program may wait for or count, and of
// what sysupdate-image.catalog explains to people.
type messageID string

// The outcomes that are told.
const (
	msgArmed         messageID = "de85f39f99064808b2815b97d7b73e81"
	msgRearmed       messageID = "32be5d0bbe9848f28599dc24314347fb"
	msgFinalized     messageID = "6658fc9695d5498d9f009460b1e4aba5"
	msgNothingStaged messageID = "c9b1f6a6527741e9ba4cbf2d42ba23f3"
	msgLocked        messageID = "3cbc24b355984ce1acbdc16ba2eef610"
	msgFailed        messageID = "c96aca95118e49439b8c90fbd8655e3f"
	msgConflicts     messageID = "e9c7b6f566cd4373b131f3c80b2b4039"
	msgBlessed       messageID = "335dfb452497461683a67e00525bc50d"
	msgGaveUp        messageID = "5f8cc4a1292442ec940d0323a48bfd18"
)

// Fields of the journal that messages have besides those of
// systemd.journal-fields(7); the catalog uses them.
const (
	fieldDeployment = "SYSUPDATE_IMAGE_DEPLOYMENT"
	fieldError      = "SYSUPDATE_IMAGE_ERROR"
	fieldPath       = "SYSUPDATE_IMAGE_PATH"
)

func about(id deployment.ID) journal.Field {
	return journal.Field{Name: fieldDeployment, Value: string(id)}
}

// identifier is what the journal calls the program.
const identifier = "sysupdate-image-finalize"

// tell tells an outcome.
func (m Machine) tell(id messageID, priority int, fields []journal.Field, format string, args ...any) {
	m.log.Write(journal.Entry{Priority: priority, ID: string(id), Message: fmt.Sprintf(format, args...), Fields: fields})
}

// tellFailure tells that the staged deployment was not finalized.
func (m Machine) tellFailure(err error) {
	m.tell(msgFailed, journal.Err, []journal.Field{{Name: fieldError, Value: err.Error()}}, "%v", err)
}

// logf tells what else is worth knowing.
func (m Machine) logf(priority int, format string, args ...any) {
	m.log.Write(journal.Entry{Priority: priority, Message: fmt.Sprintf(format, args...)})
}
