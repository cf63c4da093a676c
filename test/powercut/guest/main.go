// Command guest is the first process of the machines in which power cuts are
// recorded and checked. It is no part of the product.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysupdate-image/sysupdate-image/test/powercut/facts"
)

func main() {
	if len(os.Args) > 3 && os.Args[1] == "enter" {
		fmt.Fprintln(os.Stderr, "guest:", enter(os.Args[2], os.Args[3:]))
		os.Exit(127)
	}
	out := &output{}
	err := run(out)
	if err != nil {
		fmt.Println("guest:", err)
		out.say(facts.Result{Error: err.Error()})
	}
	out.say(facts.Result{Done: true})
	unix.Sync()
	time.Sleep(100 * time.Millisecond) // the console is drained by then
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Println("guest: power off:", err)
	}
}

func run(out *output) error {
	debug.SetGCPercent(400)
	if err := mountSystem(); err != nil {
		return err
	}
	if err := loadModules(); err != nil {
		return err
	}
	if err := out.open(); err != nil {
		return err
	}
	disk, err := findDisk("job")
	if err != nil {
		return err
	}
	job, err := readJob(disk)
	if err != nil {
		return err
	}
	if job.Record != nil {
		return record(job)
	}
	return check(job, out)
}

func readJob(disk string) (facts.Job, error) {
	var job facts.Job
	f, err := os.Open(disk)
	if err != nil {
		return job, err
	}
	defer f.Close()
	return job, json.NewDecoder(f).Decode(&job)
}

// An output is where results go, one JSON document in a line.
type output struct{ port *os.File }

func (o *output) open() (err error) {
	name, err := findPort()
	if err != nil {
		return err
	}
	o.port, err = os.OpenFile(name, os.O_WRONLY, 0)
	return err
}

func (o *output) say(r facts.Result) {
	if o.port == nil {
		return
	}
	text, err := json.Marshal(r)
	if err == nil {
		_, err = o.port.Write(append(text, '\n'))
	}
	if err != nil {
		fmt.Println("guest: write result:", err)
	}
}
