package repair_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/repair"
)

// said returns what a report says of its problems.
func said(r repair.Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		b.WriteString(f.String() + " (" + f.Remedy + f.Why + ")\n")
	}
	return b.String()
}

// rewrite makes a file's content that which change makes of it.
func rewrite(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The old file may be protected, or in use.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

func flip(data []byte) []byte { data[len(data)/2] ^= 1; return data }
func half(data []byte) []byte { return data[:len(data)/2] }

var damages = map[string]struct {
	damage func(m *machine)
	remedy string
}{
	"flipped bit in a file":            {func(m *machine) { rewrite(m.t, m.content(), flip) }, "fetches a layer again from docker://"},
	"truncated file":                   {func(m *machine) { rewrite(m.t, m.content(), half) }, "fetches a layer again from docker://"},
	"deleted file":                     {func(m *machine) { remove(m.t, m.content()) }, "fetches a layer again from docker://"},
	"flipped bit in the image":         {func(m *machine) { rewrite(m.t, m.image(), flip) }, "builds the image again"},
	"deleted image":                    {func(m *machine) { remove(m.t, m.image()) }, "builds it again"},
	"flipped bit in a layer":           {func(m *machine) { rewrite(m.t, m.layer(), flip) }, "fetches a layer again from docker://"},
	"truncated layer":                  {func(m *machine) { rewrite(m.t, m.layer(), half) }, "fetches a layer again from docker://"},
	"deleted layer":                    {func(m *machine) { remove(m.t, m.layer()) }, "fetches a layer again from docker://"},
	"flipped bit in the manifest":      {func(m *machine) { rewrite(m.t, m.stream("manifest", ""), flip) }, "asks docker://"},
	"deleted configuration":            {func(m *machine) { remove(m.t, m.stream("config", "")) }, "asks docker://"},
	"deleted file and damaged image":   {func(m *machine) { remove(m.t, m.content()); rewrite(m.t, m.image(), flip) }, "fetches a layer again"},
	"deleted layer and file":           {func(m *machine) { remove(m.t, m.content()); remove(m.t, m.layer()) }, "fetches a layer again"},
	"forgotten layer and deleted file": {func(m *machine) { m.forget(); remove(m.t, m.content()) }, "fetches layers again from docker://"},
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// layer returns the file of the layer that has the file.
func (m *machine) layer() string { return m.stream("layer", m.upper()) }

// upper returns the diff_id of the layer that has the file.
func (m *machine) upper() string {
	repo, err := repo.Open(filepath.Join(m.dir, "composefs"))
	if err != nil {
		m.t.Fatal(err)
	}
	defer repo.Close()
	names, err := repo.Streams()
	if err != nil {
		m.t.Fatal(err)
	}
	for _, name := range names {
		id, ok := strings.CutPrefix(name, "oci-layer-")
		s, err := repo.OpenStream(name)
		if err != nil {
			m.t.Fatal(err)
		}
		one := len(slices.Collect(s.ObjectRefs())) == 1
		s.Close()
		if ok && one {
			return id
		}
	}
	m.t.Fatal("no layer has one object")
	return ""
}

// damage has the registry damage the layer with a diff_id.
func (m *machine) damage(diffID string) {
	ref, err := oci.ParseReference(m.origin.Reference)
	if err != nil {
		m.t.Fatal(err)
	}
	img, err := oci.Open(m.t.Context(), ref, insecure)
	if err != nil {
		m.t.Fatal(err)
	}
	defer img.Close()
	for _, l := range img.Layers {
		if l.DiffID.String() == diffID {
			m.registry.Damage(l.Digest.String())
		}
	}
}

// forget removes all layers from the repository, as if it had never had them.
func (m *machine) forget() {
	links, err := filepath.Glob(filepath.Join(m.dir, "composefs/streams/oci-layer-*"))
	if err != nil || len(links) != 2 {
		m.t.Fatalf("there are %q, %v; want two layers", links, err)
	}
	for _, link := range links {
		target, err := filepath.EvalSymlinks(link)
		if err != nil {
			m.t.Fatal(err)
		}
		remove(m.t, target)
		remove(m.t, link)
	}
}

// TestRefetch repairs every kind of damage, with the tag meanwhile on another
// image, and finds everything whole afterwards, as another program does.
func TestRefetch(t *testing.T) {
	for name, tt := range damages {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.push("1", layerOf(t, append(system, "usr/other"), nil))
			if r := m.fsck(repair.Options{}); len(r.Findings) > 0 {
				t.Fatalf("before anything was damaged:\n%s", said(r))
			}
			tt.damage(m)
			before := m.fsck(repair.Options{})
			if got := said(before); before.Left() == 0 || !strings.Contains(got, tt.remedy) {
				t.Errorf("after the damage:\n%swant problems, and %q", got, tt.remedy)
			}
			if r := m.fsck(repair.Options{Repair: true}); r.Left() > 0 || len(r.Findings) < len(before.Findings) {
				t.Errorf("repaired:\n%s%d are left of %d; want none", said(r), r.Left(), len(before.Findings))
			}
			if r := m.fsck(repair.Options{}); len(r.Findings) > 0 {
				t.Errorf("after it was repaired:\n%s", said(r))
			}
			if got, err := os.ReadFile(m.content()); string(got) != file || err != nil {
				t.Errorf("the file is %q, %v", got, err)
			}
		})
	}
}

// TestRefetchOffline cannot repair anything, says so, and leaves what is there to
// the next that can.
func TestRefetchOffline(t *testing.T) {
	tests := map[string]struct {
		prepare func(m *machine)
		options repair.Options
		want    string
	}{
		"asked to be":         {func(*machine) {}, repair.Options{Offline: true}, "nothing was fetched: offline"},
		"registry is gone":    {func(m *machine) { m.registry.Close() }, repair.Options{}, "nothing can be fetched from docker://"},
		"image is gone":       {func(m *machine) { m.registry.Hide("/manifests/") }, repair.Options{}, "no such image"},
		"layers are gone":     {func(m *machine) { m.registry.Hide("/blobs/") }, repair.Options{}, "nothing can be fetched from docker://"},
		"layer comes damaged": {func(m *machine) { m.damage(m.upper()) }, repair.Options{}, "has a wrong digest"},
		"invalid origin":      {func(m *machine) { m.origin.Reference = "NOT A REFERENCE" }, repair.Options{}, "NOT A REFERENCE"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			origin := m.origin
			rewrite(t, m.content(), half)
			tt.prepare(m)
			tt.options.Repair = true
			r := m.fsck(tt.options)
			if got := said(r); r.Left() == 0 || !strings.Contains(got, tt.want) {
				t.Errorf("repaired:\n%swant problems that are left, and %q", got, tt.want)
			}
			if name == "registry is gone" {
				return
			}
			m.registry.Hide("")
			m.registry.Damage("")
			m.origin = origin
			if r := m.fsck(repair.Options{Repair: true}); r.Left() > 0 {
				t.Errorf("repaired once the registry has it:\n%s", said(r))
			}
		})
	}
}

// TestRefetchByTag has a registry that has the layer still, but in another image.
func TestRefetchByTag(t *testing.T) {
	m := newMachine(t)
	rewrite(t, m.content(), flip)
	m.push("1", layerOf(t, append(system, "usr/other"), nil), layerOf(t, []string{"usr/file"}, map[string]string{"usr/file": file}))
	m.registry.Hide(m.origin.ManifestDigest)
	if r := m.fsck(repair.Options{Repair: true}); r.Left() > 0 {
		t.Errorf("repaired:\n%s", said(r))
	}
}

// TestUnneeded removes a damaged object that nothing needs.
func TestUnneeded(t *testing.T) {
	m := newMachine(t)
	repo, err := repo.Open(filepath.Join(m.dir, "composefs"))
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	if _, err := repo.PutObject([]byte(strings.Repeat("garbage ", 100))); err != nil {
		t.Fatal(err)
	}
	rewrite(t, m.path(func(_, content string) bool { return strings.HasPrefix(content, "garbage") }), half)
	if got := said(m.fsck(repair.Options{})); !strings.Contains(got, "removes it: nothing needs it") {
		t.Errorf("found:\n%s", got)
	}
	if r := m.fsck(repair.Options{Repair: true, Offline: true}); r.Left() > 0 {
		t.Errorf("repaired:\n%s", said(r))
	}
}
