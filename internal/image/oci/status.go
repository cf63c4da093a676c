package oci

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
)

// maxAfter is the longest that a registry is waited for because it says so.
const maxAfter = time.Minute

// A statusError is an answer of a registry that is not what was asked for.
type statusError struct {
	status  int
	code    string        // why, as the registry says: "MANIFEST_UNKNOWN"
	message string        // the same in words
	after   time.Duration // when to ask again; 0 if it says nothing
}

// newStatusError reads the reason in the body of an answer.
func newStatusError(resp *http.Response) error {
	e := &statusError{status: resp.StatusCode, after: retryAfter(resp.Header.Get("Retry-After"))}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%w: %w", e, err)
	}
	var body struct {
		Errors []struct{ Code, Message string }
	}
	if json.Unmarshal(text, &body) == nil && len(body.Errors) > 0 {
		e.code = body.Errors[0].Code
		e.message = printable.Title(body.Errors[0].Message)
	}
	return e
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("HTTP status %d %s", e.status, strings.ToLower(http.StatusText(e.status)))
	if e.message != "" {
		return text + ": " + e.message
	}
	if e.code != "" {
		return text + ": " + printable.Title(e.code)
	}
	return text
}

// temporary reports whether it may help to ask again.
func (e *statusError) temporary() bool {
	return e.status >= 500 || e.status == http.StatusTooManyRequests
}

// retryAfter returns how long the header with that name says to wait: a number of
// seconds, or a date.
func retryAfter(header string) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxAfter)
	}
	if t, err := http.ParseTime(header); err == nil {
		return max(0, min(time.Until(t), maxAfter))
	}
	return 0
}
