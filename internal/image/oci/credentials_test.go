package oci

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// TestCredentialErrors: an error that is due to credentials names the registry that they
// are for and the file that they come from, or would.
func TestCredentialErrors(t *testing.T) {
	locked := newRegistry(t)
	locked.answer(func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
		return true
	})
	refusing := newRegistry(t)
	refusing.answer(func(w http.ResponseWriter, req *http.Request) bool {
		if strings.HasPrefix(req.URL.Path, "/token") {
			http.Error(w, "no", http.StatusForbidden)
			return true
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+"http://"+req.Host+`/token"`)
		http.Error(w, "", http.StatusUnauthorized)
		return true
	})
	file := filepath.Join(t.TempDir(), "auth.json")
	for _, tt := range []struct {
		host, content, want string
	}{
		{locked.host(), `{}`, "refuses access to docker://HOST/os:1, no credentials for HOST in FILE"},
		{locked.host(), `{"auths":{"HOST":{"auth":"dTpw"}}}`, "refuses access to docker://HOST/os:1, the credentials for HOST in FILE are wrong, or do not suffice"},
		{refusing.host(), `{"auths":{"HOST":{"auth":"dTpw"}}}`, "the credentials for HOST in FILE are wrong, or do not suffice: token of HOST: HTTP status 403"},
		{locked.host(), `{"auths":{"HOST":{"auth":"%"}}}`, "cannot read credentials for HOST in FILE: illegal base64"},
		{locked.host(), `{"auths":`, "cannot read credentials for HOST in FILE: "},
		{locked.host(), `[]`, "cannot read credentials for HOST in FILE: "},
	} {
		names := strings.NewReplacer("HOST", tt.host, "FILE", file)
		write(t, file, []byte(names.Replace(tt.content)))
		opts := options(t)
		opts.AuthFile = file
		_, err := tryOpen(t, tt.host+"/os:1", opts)
		if want := names.Replace(tt.want); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v; want one with %q", tt.content, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "dTpw") {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
}
