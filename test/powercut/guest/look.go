package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/test/powercut/facts"
)

// readESP reads the boot partition as a loader would, and reads the kernels.
func readESP(f *facts.ESPFacts) error {
	p, err := boot.OpenDir(espDir)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := checkLoader(); err != nil {
		f.Loader = err.Error()
	}
	files, err := p.Entries()
	if err != nil {
		return err
	}
	for _, file := range files {
		e := facts.Entry{File: file.File, Base: file.Name.Base, ID: string(file.Target.ID), Staged: file.Staged}
		if file.Err != nil {
			e.Error = file.Err.Error()
		} else if err := checkKernel(file.Entry.Kernel()); err != nil {
			e.Kernel = err.Error()
		}
		f.Entries = append(f.Entries, e)
	}
	return nil
}

// checkLoader wants the loader to be whole where firmware looks for it, and under
// its own name.
func checkLoader() error {
	fallback, err := os.ReadFile(espDir + "/EFI/BOOT/BOOTX64.EFI")
	if err != nil {
		return err
	}
	own, err := os.ReadFile(espDir + "/EFI/systemd/systemd-bootx64.efi")
	if err == nil && (len(own) < 1<<10 || !bytes.Equal(own, fallback)) {
		err = errors.New("it is not whole")
	}
	return err
}

// checkKernel wants kernel and initramfs to have the digest by which their
// directory is called.
func checkKernel(files []string) error {
	h := sha256.New()
	for _, name := range files {
		data, err := os.ReadFile(espDir + "/" + name)
		if err != nil {
			return err
		}
		h.Write(data)
	}
	if got, want := hex.EncodeToString(h.Sum(nil)), path.Base(path.Dir(files[0])); got != want {
		return fmt.Errorf("kernel and initramfs %q have the digest %s", files, got)
	}
	return nil
}

// readRoot reads everything that matters on the root partition.
func readRoot(f *facts.RootFacts) error {
	if err := readVar(f); err != nil {
		return err
	}
	if err := readStaged(f); err != nil {
		return err
	}
	if err := readEntriesRecord(f); err != nil {
		return err
	}
	if err := readState(f); err != nil {
		return err
	}
	return readRepository(f)
}

// readVar counts the lines that are what they should be.
func readVar(f *facts.RootFacts) error {
	file, err := os.Open(filepath.Join(rootDir, deployment.SharedVar, varLog[len("/var"):]))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	for lines := bufio.NewReader(file); ; f.Var++ {
		line, err := lines.ReadString('\n')
		if err != nil || line != lineOf(f.Var) {
			return nil
		}
	}
}

func readStaged(f *facts.RootFacts) error {
	record, err := records.LoadStaged(os.DirFS(rootDir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, records.ErrDamaged):
		f.Staged = &facts.Staged{Error: err.Error()}
		return nil
	case err != nil:
		return err
	}
	f.Staged = &facts.Staged{ID: string(record.ID), Entry: record.Entry}
	return nil
}

// readEntriesRecord reads which entries the machine has recorded as its own.
func readEntriesRecord(f *facts.RootFacts) error {
	data, err := os.ReadFile(filepath.Join(rootDir, deployment.EntriesRecord))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	f.Recorded = strings.Fields(string(data))
	return err
}

// readState reads the state directories.
func readState(f *facts.RootFacts) error {
	list, err := os.ReadDir(filepath.Join(rootDir, deployment.DeployDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, d := range list {
		id, err := deployment.ParseID(d.Name())
		if err != nil {
			continue
		}
		var out facts.Deployment
		if out.Etc, out.Files, err = digestTree(filepath.Join(rootDir, id.EtcUpper())); err != nil {
			return err
		}
		if err := checkState(id); err != nil {
			out.State = err.Error()
		}
		readAttempts(id, &out)
		f.Deployments[string(id)] = out
	}
	return nil
}

// readAttempts reads the record of a deployment's boots.
func readAttempts(id deployment.ID, out *facts.Deployment) {
	a, err := records.LoadAttempts(os.DirFS(rootDir), id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err != nil:
		out.Damaged = err.Error()
		return
	}
	out.Fallback, out.Attempts = string(a.Fallback), facts.NoTrial
	if a.Trial {
		out.Attempts = fmt.Sprintf("%d-%d", a.Left, a.Done)
	}
}

// checkState wants what prepare-root and apply need.
func checkState(id deployment.ID) error {
	origin, err := records.LoadOrigin(os.DirFS(rootDir), id)
	if err != nil {
		return err
	}
	if origin.ManifestDigest == "" || origin.BootDigest == "" {
		return fmt.Errorf("origin is incomplete: %q", origin.Encode())
	}
	for _, dir := range []string{id.EtcDir(), deployment.SharedVar, id.Var()} {
		if info, err := os.Stat(filepath.Join(rootDir, dir)); err != nil || !info.IsDir() {
			return fmt.Errorf("%s is no directory: %w", dir, err)
		}
	}
	return nil
}

// readRepository reads every object, and says what is wrong with what is named.
func readRepository(f *facts.RootFacts) error {
	dir := filepath.Join(rootDir, deployment.RepositoryDir)
	repository, err := repo.Open(dir)
	if errors.Is(err, repo.ErrNotARepository) {
		return nil // every deployment misses its image then
	}
	if err != nil {
		return err
	}
	defer repository.Close()
	found, err := repository.Check(context.Background(), nil)
	if err != nil {
		return err
	}
	for _, p := range found.Problems {
		switch p.Flaw {
		case repo.LeftOver, repo.DamagedObject, repo.UnprotectedObject:
			// No matter as long as nothing names it, which is looked at next.
		default:
			f.Problems = append(f.Problems, p.String())
		}
	}
	streams, err := repository.Streams()
	if err != nil {
		return err
	}
	for _, name := range streams {
		if d, err := repository.StreamDigest(name); err != nil || !found.HasGood(d) {
			f.Problems = append(f.Problems, fmt.Sprintf("stream %s is damaged: %v", name, err))
		}
	}
	if f.Tagged, err = tagged(repository); err != nil {
		return err
	}
	for id, d := range f.Deployments {
		if err := checkImage(repository, found, id); err != nil {
			d.Image = err.Error()
			f.Deployments[id] = d
		}
	}
	return nil
}

// checkImage wants an image and all objects that it names to be whole.
func checkImage(repo *repo.Repository, found *repo.Check, id string) error {
	image, err := repo.OpenImage(id)
	if err != nil {
		return err
	}
	defer image.Close()
	info, err := image.Stat()
	if err != nil {
		return err
	}
	tree, err := erofs.Read(io.NewSectionReader(image, 0, info.Size()), info.Size())
	if err != nil {
		return err
	}
	for _, d := range tree.Objects() {
		if !found.HasGood(d) {
			return fmt.Errorf("object %s is missing or damaged", d)
		}
	}
	return nil
}

// tagged returns the images to which tags lead, by manifest and configuration.
func tagged(repo *repo.Repository) (ids []string, err error) {
	refs, err := repo.Refs()
	if err != nil {
		return nil, err
	}
	for _, stream := range refs {
		manifest, err := repo.OpenStream(stream)
		if err != nil {
			continue
		}
		for name := range manifest.NamedRefs() {
			config, ok := cutConfig(name)
			if !ok {
				continue
			}
			if s, err := repo.OpenStream("oci-config-" + config); err == nil {
				ids = append(ids, s.NamedRefs()["composefs.image.boot.v1"].String())
				s.Close()
			}
		}
		manifest.Close()
	}
	return ids, nil
}

func cutConfig(name string) (string, bool) {
	const prefix = "config:"
	if len(name) > len(prefix) && name[:len(prefix)] == prefix {
		return name[len(prefix):], true
	}
	return "", false
}
