package durabletest

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A Killing kills a program at random moments: the test binary, as Child has it.
type Killing struct {
	// Times is how many moments are tried: few, as each run has others, and a fifth of them
	// with -short. SYSUPDATE_IMAGE_TEST_KILLS in the environment sets another number.
	Times int
	// Prepare returns a directory with the same in it each time. What it has
	// returned before is not needed any more.
	Prepare func(t *testing.T) string
	// Command returns the program that changes the directory.
	Command func(dir string) *exec.Cmd
	// Again does the same in this process.
	Again func(dir string) error
	// State describes the directory, without what no two runs have in common.
	State func(t *testing.T, dir string) string
}

// childEnv has the arguments of a program that is to be killed.
const childEnv = "SYSUPDATE_IMAGE_TEST_CHILD"

const begun = "begun"

// Child returns the test binary as a program with these arguments, none of which
// has a space: its TestChild is to call ChildArgs.
func Child(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childEnv+"="+strings.Join(args, " "))
	return cmd
}

// ChildArgs returns the arguments that Child was given, and none in a test that runs
// for itself. The moments to be killed at begin when it returns some.
func ChildArgs() []string {
	args := strings.Fields(os.Getenv(childEnv))
	if len(args) > 0 {
		fmt.Println(begun)
	}
	return args
}

// Run kills the program so many times, each time in a fresh directory, within the time
// that it takes undisturbed. Doing the same again must get through, and
// leave what is left when nothing has happened. It logs the seed, which
// SYSUPDATE_IMAGE_TEST_SEED sets.
func (k Killing) Run(t *testing.T) {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("SYSUPDATE_IMAGE_TEST_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &seed); err != nil {
			t.Fatalf("SYSUPDATE_IMAGE_TEST_SEED=%s: %v", text, err)
		}
	}
	if testing.Short() {
		k.Times /= 5
	}
	if text := os.Getenv("SYSUPDATE_IMAGE_TEST_KILLS"); text != "" {
		if _, err := fmt.Sscan(text, &k.Times); err != nil {
			t.Fatalf("SYSUPDATE_IMAGE_TEST_KILLS=%s: %v", text, err)
		}
	}
	random := rand.New(rand.NewPCG(seed, 0))
	dir := k.Prepare(t)
	took := k.kill(t, dir, time.Hour)
	want := k.State(t, dir)
	t.Logf("undisturbed it takes %v; SYSUPDATE_IMAGE_TEST_SEED=%d", took, seed)
	for n := range k.Times {
		after := time.Duration(random.Int64N(int64(took)))
		dir := k.Prepare(t)
		k.kill(t, dir, after)
		left := k.State(t, dir)
		if err := k.Again(dir); err != nil {
			t.Fatalf("killed %d, after %v: again: %v; there was\n%s", n, after, err, left)
		}
		if got := k.State(t, dir); got != want {
			t.Fatalf("killed %d, after %v and again, there is\n%swant\n%sbefore it was\n%s", n, after, got, want, left)
		}
	}
}

// kill runs the program, kills it so long after it has begun, and returns how
// long it took.
func (k Killing) kill(t *testing.T, dir string, after time.Duration) time.Duration {
	t.Helper()
	cmd := k.Command(dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for line := ""; line != begun+"\n"; {
		if line, err = lines.ReadString('\n'); err != nil {
			t.Fatalf("%s: it never began: %v: %s", cmd, err, line)
		}
	}
	begin := time.Now()
	killer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) // it may have got through
	rest, _ := io.ReadAll(lines)
	err = cmd.Wait()
	if killer.Stop() && err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, rest)
	}
	return time.Since(begin)
}
