package oci

import (
	"net/http"
	"strings"
)

// A challenge says how a registry wants to be asked, see RFC 9110, 11.6.1.
type challenge struct {
	scheme string // lower case; empty if it wants nothing
	params map[string]string
}

// challengeOf returns the first challenge of an answer that can be met.
func challengeOf(resp *http.Response) challenge {
	for _, text := range resp.Header.Values("WWW-Authenticate") {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
		c := challenge{strings.ToLower(scheme), parseParams(rest)}
		if c.scheme == "basic" || c.scheme == "bearer" {
			return c
		}
	}
	return challenge{}
}

// parseParams parses key=value or key="value", with commas between them.
func parseParams(s string) map[string]string {
	params := make(map[string]string)
	for {
		key, rest, ok := strings.Cut(s, "=")
		if !ok {
			return params
		}
		var value string
		value, s = cutValue(rest)
		params[strings.ToLower(strings.Trim(key, " \t,"))] = value
	}
}

// cutValue splits off a value, in which a backslash takes the meaning from what
// follows if it is quoted.
func cutValue(s string) (value, rest string) {
	s = strings.TrimLeft(s, " \t")
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, ",")
		return strings.TrimSpace(value), rest
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}
