package health

import (
	"os"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

// What boots is not changed while a command changes it, nor the other way round.
func TestLock(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	command, err := sysroot.TryLock(root)
	if err != nil || command == nil {
		t.Fatal(command, err)
	}
	if locked, err := lock(root, 0); err == nil {
		t.Errorf("lock = %v while a command has it", locked)
	}
	command.Close()
	locked, err := lock(root, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer locked.Close()
	if command, err = sysroot.TryLock(root); command != nil || err != nil {
		t.Errorf("a command locks it as well: %v, %v", command, err)
	}
}
