package update_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	ocitest "github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// TestCheckIsCheap: to find out that there is nothing new takes two requests to the registry,
// for apply as well, and one more to tell of what is new. None is for a layer.
func TestCheckIsCheap(t *testing.T) {
	dir, layout := t.TempDir(), threeImages(t)
	if _, err := apply(t.Context(), dir, "oci:"+layout+":1"); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var asked []string
	registry := ocitest.NewRegistry()
	t.Cleanup(registry.Close)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.Method+" "+r.URL.Path)
		mu.Unlock()
		registry.Config.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	for tag, available := range map[string]bool{"1": false, "2": true} {
		if err := registry.Push(layout, tag); err != nil {
			t.Fatal(err)
		}
		m, err := update.OpenToPlan(machine.Place{Dir: dir}, func(error) {})
		if err != nil {
			t.Fatal(err)
		}
		asked = nil
		u, err := m.Check(t.Context(), update.Options{
			Reference: strings.TrimPrefix(front.URL, "http://") + "/os:" + tag, Source: oci.Options{InsecureTLS: true},
		}, quiet{})
		m.Close()
		if err != nil || u.Available != available || u.FetchLayers != map[bool]int{true: 1}[available] {
			t.Errorf("image %s: %+v, %v; want an update: %t", tag, u, err, available)
		}
		if want := map[bool]int{false: 2, true: 3}[available]; len(asked) != want {
			t.Errorf("image %s: the registry was asked for %q; want %d requests", tag, asked, want)
		}
	}
	asked = nil
	if _, err := applyInsecurely(t.Context(), dir, strings.TrimPrefix(front.URL, "http://")+"/os:1"); err != nil || len(asked) != 2 {
		t.Errorf("apply of what is deployed: %v; the registry was asked for %q; want 2 requests", err, asked)
	}
}
