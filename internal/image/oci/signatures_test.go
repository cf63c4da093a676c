package oci

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestSignaturesWithToken has a registry that wants tokens, without a known certificate,
// and signatures of its images elsewhere.
func TestSignaturesWithToken(t *testing.T) {
	im := newImage(t, "amd64", archives(t)[1:2], nil)
	r := newRegistry(t)
	r.push(t, im, "os", "v1")
	server := httptest.NewUnstartedServer(r.Config.Handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	tokens := 0
	r.answer(func(w http.ResponseWriter, req *http.Request) bool {
		switch {
		case req.URL.Path == "/token":
			tokens++
			io.WriteString(w, `{"token": "right"}`)
		case req.Header.Get("Authorization") != "Bearer right":
			w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer realm=%q", server.URL+"/token"))
			w.WriteHeader(http.StatusUnauthorized)
		default:
			return false
		}
		return true
	})
	right, wrong := newKey(t), newKey(t)
	var public bytes.Buffer
	if err := right.Serialize(&public); err != nil {
		t.Fatal(err)
	}
	name := server.Listener.Addr().String() + "/os"
	opts := options(t)
	opts.InsecureTLS = true
	lookaside := t.TempDir()
	writeBelow(t, opts.Root, "etc/containers/registries.d/test.yaml", "default-docker:\n  lookaside: file://"+lookaside+"\n")
	writeBelow(t, opts.Root, "etc/containers/policy.json", string(encode(t, map[string]any{"default": []any{map[string]any{
		"type": "signedBy", "keyType": "GPGKeys", "keyData": base64.StdEncoding.EncodeToString(public.Bytes()),
	}}})))
	file := "os@" + strings.Replace(string(im.digest()), ":", "=", 1) + "/signature-1"
	if _, err := tryOpen(t, name+":v1", opts); err == nil || !strings.Contains(err.Error(), "the signature policy refuses") {
		t.Errorf("without a signature: error %v; want that the policy refuses it", err)
	}
	writeBelow(t, lookaside, file, string(signImage(t, wrong, im, name+":v1")))
	if _, err := tryOpen(t, name+":v1", opts); err == nil || !strings.Contains(err.Error(), "the signature policy refuses") {
		t.Errorf("signed by another: error %v; want that the policy refuses it", err)
	}
	writeBelow(t, lookaside, file, string(signImage(t, right, im, name+":v1")))
	if got := mustOpen(t, name+":v1", opts); got.Signature != Signed {
		t.Errorf("Signature is %q; want %q", got.Signature, Signed)
	}
	if tokens != 3 {
		t.Errorf("%d tokens were asked for; want one for each, and none by the library", tokens)
	}
}
