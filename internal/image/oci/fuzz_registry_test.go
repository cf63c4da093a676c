package oci

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"unicode/utf8"
)

// FuzzChallenge reads what a registry says in the headers of an answer.
func FuzzChallenge(f *testing.F) {
	f.Add(`Bearer realm="https://a.example/token",service="a",scope="repository:os:pull"`, "120")
	f.Add(`basic realm=x, a="\\"b", =, "`, "Wed, 21 Oct 2026 07:28:00 GMT")
	f.Add(" bearer\t=,=\"", "-1")
	f.Fuzz(func(t *testing.T, header, after string) {
		c := challengeOf(&http.Response{Header: http.Header{"Www-Authenticate": {header}}})
		if c.scheme != "" && c.scheme != "basic" && c.scheme != "bearer" {
			t.Errorf("scheme %q cannot be met", c.scheme)
		}
		size := 0
		for key, value := range c.params {
			size += len(key) + len(value)
		}
		if size > 2*len(header) { // lower case may take more bytes
			t.Errorf("%d bytes of parameters from %q", size, header)
		}
		if wait := retryAfter(after); wait < 0 || wait > maxAfter {
			t.Errorf("retryAfter(%q) = %v", after, wait)
		}
	})
}

// FuzzAnswer reads the body of an answer that is an error, and the same as a token.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no\u0007"}]}`))
	f.Add([]byte(`{"token":"a","expires_in":-9223372036854775808}`))
	f.Add([]byte(`{"access_token":"b","expires_in":99999999999}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		err := newStatusError(&http.Response{StatusCode: 404, Body: io.NopCloser(bytes.NewReader(body))})
		if text := err.Error(); !utf8.ValidString(text) || bytes.ContainsAny([]byte(text), "\a\x1b\n") {
			t.Errorf("%q is not to be printed", text)
		}
		if b, err := readBearer(bytes.NewReader(body)); err == nil && (b.token == "" || !b.valid()) {
			t.Errorf("token %+v of %q cannot be used", b, body)
		}
	})
}
