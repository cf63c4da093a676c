package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/schema"
)

// A hundred programs that ask for the status at once get it while an apply holds the machine,
// which waits for a registry that does not answer until all of them have; and while one changes
// what they look at.
func TestStatusDuringApply(t *testing.T) {
	dir := t.TempDir()
	makeMachines(t, dir)
	sys := filepath.Join(dir, "sys")
	want, err := schema.Read("../../docs/schema/status.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	asked, answer := make(chan bool, 1), make(chan bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case asked <- true:
		default:
		}
		<-answer
		w.WriteHeader(http.StatusNotFound)
	}))
	defer server.Close()
	waiting := make(chan int)
	go func() {
		waiting <- runQuietly(t.Context(), "--sysroot", sys, "apply", "--insecure-registry", strings.TrimPrefix(server.URL, "http://")+"/os:1")
	}()
	<-asked
	statusAtOnce(t, sys, want)
	close(answer)
	if code := <-waiting; code != exitFailed {
		t.Errorf("apply of an image that is not there: exit code %d; want %d", code, exitFailed)
	}

	done := make(chan int)
	go func() {
		done <- runQuietly(t.Context(), "--sysroot", sys, "apply", "oci:"+filepath.Join(dir, "os")+":3")
	}()
	for {
		statusAtOnce(t, sys, want)
		select {
		case code := <-done:
			if code != exitOK {
				t.Errorf("apply: exit code %d", code)
			}
			return
		default:
		}
	}
}

func runQuietly(ctx context.Context, args ...string) int {
	var out bytes.Buffer
	return run(ctx, host(), args, &out, &out)
}

// statusAtOnce asks for the status a hundred times at once, and wants all answers to be valid.
func statusAtOnce(t *testing.T, sysroot string, want schema.Schema) {
	t.Helper()
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			var out, stderr bytes.Buffer
			code := run(t.Context(), host(), []string{"--sysroot", sysroot, "status", "--json"}, &out, &stderr)
			if problems := want.Problems(out.String()); code != exitOK || len(problems) > 0 || stderr.Len() > 0 {
				t.Errorf("status: exit code %d, %q, %q\n%s", code, problems, stderr.String(), out.String())
			}
		})
	}
	all.Wait()
}
