package oci

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.podman.io/image/v5/types"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// shortestToken is how long a token lasts at least, also one that does not say.
const shortestToken = time.Minute

// A bearer is a token that identifies the client to a registry.
type bearer struct {
	token   string
	expires time.Time
}

func (b bearer) valid() bool { return b.token != "" && time.Now().Before(b.expires) }

// newBearer gets a token from where the challenge says, for the scope that is
// needed, and the one that the challenge asks for.
func newBearer(ctx context.Context, client *http.Client, agent string, c challenge, scope string, auth types.DockerAuthConfig) (bearer, error) {
	realm, err := url.Parse(c.params["realm"])
	if err != nil || realm.Host == "" {
		return bearer{}, fmt.Errorf("the registry names no valid server for tokens: %q", c.params["realm"])
	}
	params := url.Values{}
	if service := c.params["service"]; service != "" {
		params.Set("service", service)
	}
	params.Set("scope", scope)
	if other := c.params["scope"]; other != "" && other != scope {
		params.Add("scope", other)
	}
	request, err := tokenRequest(ctx, realm, params, auth)
	if err != nil {
		return bearer{}, err
	}
	request.Header.Set("User-Agent", agent)
	resp, err := client.Do(request)
	if err != nil {
		return bearer{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return bearer{}, fmt.Errorf("token of %s: %w", realm.Host, newStatusError(resp))
	}
	b, err := readBearer(resp.Body)
	if err != nil {
		return bearer{}, fmt.Errorf("token of %s: %w", realm.Host, err)
	}
	return b, nil
}

// tokenRequest returns the request for a token: by OAuth 2 with an identity token,
// otherwise with a name and a password if there are any.
func tokenRequest(ctx context.Context, realm *url.URL, params url.Values, auth types.DockerAuthConfig) (*http.Request, error) {
	if auth.IdentityToken != "" {
		params.Set("grant_type", "refresh_token")
		params.Set("refresh_token", auth.IdentityToken)
		params.Set("client_id", "sysupdate-image")
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, realm.String(), strings.NewReader(params.Encode()))
		if err == nil {
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		return request, err
	}
	at := *realm
	query := at.Query()
	for key, values := range params {
		query[key] = values
	}
	if auth.Username != "" {
		query.Set("account", auth.Username)
	}
	at.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err == nil && auth.Username != "" && auth.Password != "" {
		request.SetBasicAuth(auth.Username, auth.Password)
	}
	return request, err
}

func readBearer(r io.Reader) (bearer, error) {
	text, err := io.ReadAll(limits.Token.Reader(r))
	if err != nil {
		return bearer{}, err
	}
	var answer struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"` // seconds
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return bearer{}, fmt.Errorf("%w, in %s", err, startOf(text))
	}
	b := bearer{answer.Token, time.Now().Add(max(shortestToken, time.Duration(min(answer.ExpiresIn, 1<<20))*time.Second))}
	if b.token == "" {
		b.token = answer.AccessToken
	}
	if b.token == "" {
		return bearer{}, fmt.Errorf("the answer has none: %s", startOf(text))
	}
	return b, nil
}
