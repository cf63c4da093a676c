package update_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/edit"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	ocitest "github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// slowRegistry is a registry that answers requests for layers when it is let.
type slowRegistry struct {
	*ocitest.Registry
	front *httptest.Server
	layer string        // in the path of requests that wait
	asked chan struct{} // closed by the first of these
	let   chan struct{} // closed to answer them
}

func newSlowRegistry(t *testing.T) *slowRegistry {
	t.Helper()
	s := &slowRegistry{Registry: ocitest.NewRegistry(), layer: "/blobs/", asked: make(chan struct{}), let: make(chan struct{})}
	t.Cleanup(s.Registry.Close)
	var once sync.Once
	s.front = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, s.layer) {
			once.Do(func() { close(s.asked) })
			select {
			case <-s.let:
			case <-r.Context().Done():
			}
		}
		s.Config.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(s.front.Close)
	return s
}

func (s *slowRegistry) name(tag string) string {
	return strings.TrimPrefix(s.front.URL, "http://") + "/os:" + tag
}

// threeImages puts the images 1, 2 and 3 into an OCI layout.
func threeImages(t *testing.T) (layout string) {
	t.Helper()
	layout = t.TempDir()
	base := archive(t, "")
	for n, tag := range []string{"1", "2", "3"} {
		img := ocitest.Image{Layers: [][]byte{base, manyFiles(t, "file"+tag, n+1)}}
		if err := ocitest.WriteLayout(layout, tag, img); err != nil {
			t.Fatal(err)
		}
	}
	return layout
}

// TestRollbackWhileFetching goes back and forth while an image is fetched, even while
// its registry is asked for the manifest. Nothing is removed meanwhile, and in the end
// the image boots next.
func TestRollbackWhileFetching(t *testing.T) {
	for _, at := range []string{"/manifests/", "/blobs/"} {
		t.Run(at, func(t *testing.T) {
			dir, layout := t.TempDir(), threeImages(t)
			var ids [4]string
			for n, tag := range []string{"1", "2"} {
				result, err := apply(t.Context(), dir, "oci:"+layout+":"+tag)
				if err != nil {
					t.Fatal(err)
				}
				ids[n] = string(result.ID)
			}
			registry := newSlowRegistry(t)
			registry.layer = at
			if err := registry.Push(layout, "3"); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() {
				_, err := applyInsecurely(t.Context(), dir, registry.name("3"))
				done <- err
			}()
			<-registry.asked
			for _, want := range []string{ids[0], ids[1], ids[0]} {
				if got := rollback(t, dir); got != want {
					t.Errorf("rollback leads to %s; want %s", got, want)
				}
			}
			resetEtc(t, dir, deployment.ID(ids[0]))
			if _, err := update.Open(machine.Place{Dir: dir}, func(error) {}); !errors.Is(err, repo.ErrBusy) {
				t.Errorf("opened to remove something: error %v; want %v", err, repo.ErrBusy)
			}
			close(registry.let)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			m, err := update.Open(machine.Place{Dir: dir}, func(error) {})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if _, err := m.Prune(t.Context(), false); err != nil {
				t.Error(err)
			}
		})
	}
}

func applyInsecurely(ctx context.Context, dir, reference string) (update.Result, error) {
	m, err := update.Open(machine.Place{Dir: dir}, func(error) {})
	if err != nil {
		return update.Result{}, err
	}
	defer m.Close()
	o := update.Options{Reference: reference}
	o.Source.InsecureTLS = true
	return m.Apply(ctx, o, quiet{})
}

func rollback(t *testing.T, dir string) (id string) {
	t.Helper()
	m, err := update.OpenToSwitch(machine.Place{Dir: dir}, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	result, err := m.Rollback(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return string(result.ID)
}

// resetEtc makes a file in the /etc of the deployment that boots next, and removes it.
func resetEtc(t *testing.T, dir string, id deployment.ID) {
	t.Helper()
	file := filepath.Join(dir, id.EtcUpper(), "local")
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte("text"), 0o644)); err != nil {
		t.Fatal(err)
	}
	e, err := edit.Open(t.Context(), machine.Place{Dir: dir}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	steps, err := e.PlanReset(t.Context(), []string{"/etc/local"}, false)
	if err == nil {
		err = e.Apply(t.Context(), steps)
	}
	if _, statErr := os.Stat(file); err != nil || !errors.Is(statErr, os.ErrNotExist) {
		t.Errorf("etc reset: %v; the file: %v", err, statErr)
	}
}

// TestInterruptedFetch stops an apply whose registry does not answer: it ends at once,
// and keeps nobody from anything.
func TestInterruptedFetch(t *testing.T) {
	for _, at := range []string{"/v2/", "/manifests/", "/blobs/"} {
		dir, layout := t.TempDir(), threeImages(t)
		if _, err := apply(t.Context(), dir, "oci:"+layout+":1"); err != nil {
			t.Fatal(err)
		}
		registry := newSlowRegistry(t)
		registry.layer = at
		if err := registry.Push(layout, "2"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := applyInsecurely(ctx, dir, registry.name("2"))
			done <- err
		}()
		<-registry.asked
		cancel()
		begun := time.Now()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v; want %v", at, err, context.Canceled)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%s: it took %v to stop; want a second at most", at, took)
		}
		close(registry.let)
		if _, err := apply(t.Context(), dir, "oci:"+layout+":2"); err != nil {
			t.Errorf("%s: after that: %v", at, err)
		}
	}
}
