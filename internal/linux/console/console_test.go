package console

import (
	"io"
	"os"
	"syscall"
	"testing"
)

// A terminal that is full holds up neither the program nor the others.
func TestShow(t *testing.T) {
	full, _ := pipe(t)
	for {
		if _, err := syscall.Write(int(full.Fd()), make([]byte, 4096)); err != nil {
			break
		}
	}
	if err := syscall.SetNonblock(int(full.Fd()), true); err != nil {
		t.Fatal(err)
	}
	good, read := pipe(t)
	Terminals{full, good}.Show("This system cannot start")
	good.Close()
	if text, err := io.ReadAll(read); err != nil || string(text) != "This system cannot start" {
		t.Errorf("the second terminal has %q, %v", text, err)
	}
}

func TestOthers(t *testing.T) {
	if got := (Terminals{}).Others(); len(got) != 0 {
		t.Errorf("others of none: %v", got)
	}
	if got := (Terminals{os.Stdin, os.Stdout}).Others(); len(got) != 1 || got[0] != os.Stdin {
		t.Errorf("others of two: %v; want the first", got)
	}
}

// pipe returns the two ends of a pipe that does not wait for a reader.
func pipe(t *testing.T) (w, r *os.File) {
	t.Helper()
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_NONBLOCK|syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	r, w = os.NewFile(uintptr(ends[0]), "r"), os.NewFile(uintptr(ends[1]), "w")
	t.Cleanup(func() { r.Close(); w.Close() })
	return w, r
}
