package update

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// TestOriginOfAnother: the origin of a deployment that is not followed stops an update
// only where it may be the one that names a signature policy.
func TestOriginOfAnother(t *testing.T) {
	b := newBench(t)
	one, two := deployment.ID(b.idOf("1")), deployment.ID(b.idOf("2")) // two is followed
	policy := filepath.Join(t.TempDir(), "policy.json")
	b.must(os.WriteFile(policy, []byte(`{"default": [{"type": "insecureAcceptAnything"}]}`), 0o644))
	tests := []struct {
		name   string
		age    time.Duration // of the origin of 1, before that of 2
		broken string        // what is in place of it
		change func(dir string, o *deployment.Origin)
		given  string
		policy string
		err    string
	}{
		{name: "as it is", age: time.Hour},
		{name: "older", age: time.Hour, broken: "[origin\n"},
		{name: "older, and a FIFO or the like", age: time.Hour, broken: "directory"},
		{name: "newer", age: -time.Hour, broken: "[origin\n", err: "cannot read the signature policy that an earlier run used: cannot read the origin of deployment " + one.Short()},
		{name: "newer, but there is a policy", age: -time.Hour, broken: "[origin\n", policy: policy,
			change: func(_ string, o *deployment.Origin) { o.Policy = policy }},
		{name: "newer, but one is given", age: -time.Hour, broken: "[origin\n", given: policy, policy: policy},
		{name: "older, where another program wrote the other", age: time.Hour, broken: "[origin\n",
			change: func(_ string, o *deployment.Origin) { o.Signature = "" }, err: "cannot read the signature policy that an earlier run used"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := b.copy()
			m := b.open(dir, nil)
			defer m.Close()
			o, err := m.readOrigin(two)
			b.must(err)
			if tt.change != nil {
				tt.change(dir, &o)
			}
			b.must(os.WriteFile(filepath.Join(dir, two.OriginFile()), o.Encode(), 0o644))
			at := filepath.Join(dir, one.OriginFile())
			switch tt.broken {
			case "":
			case "directory":
				b.must(errors.Join(os.Remove(at), os.Mkdir(at, 0o755)))
			default:
				b.must(os.WriteFile(at, []byte(tt.broken), 0o644))
			}
			when := time.Now().Add(-tt.age)
			b.must(os.Chtimes(at, when, when))
			given := b.options("3")
			given.Source.PolicyFile = tt.given
			got, err := m.underPolicy(given)
			if got.Source.PolicyFile != tt.policy && err == nil || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("policy %q, %v; want %q and the error %q", got.Source.PolicyFile, err, tt.policy, tt.err)
			}
			if _, err := m.Apply(t.Context(), given, silent{}); (err == nil) != (tt.err == "") {
				t.Errorf("Apply: %v; want the error %q", err, tt.err)
			}
		})
	}
}
