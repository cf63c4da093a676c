package update

// A messageID is the MESSAGE_ID of what a program may wait for or count, and of what
// sysupdate-image.catalog explains to people.
type messageID string

// The outcome that is told.
const msgRolledBack messageID = "bcf23bfa1f52449285ec11f09e022656"
