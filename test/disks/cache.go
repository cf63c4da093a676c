package disks

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// cacheDir returns the directory that test/images/build uses too.
func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(base, "sysupdate-image")
	return dir, os.MkdirAll(dir, 0o755)
}

// keyOf names the result of what the inputs say.
func keyOf(inputs ...string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(inputs, "\x00"))))[:20]
}

// kept is how many results of a kind stay, those that were used last.
const kept = 8

// cached returns the directory that build fills for a key. It calls build only
// when there is none, and a name appears only when its content is complete.
func cached(ctx context.Context, kind, key string, build func(ctx context.Context, dir string) error) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(cache, "."+kind+".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	dir := filepath.Join(cache, kind+"-"+key)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := complete(ctx, cache, dir, build); err != nil {
			return "", fmt.Errorf("cannot build %s: %w", kind, err)
		}
	}
	now := time.Now()
	if err := os.Chtimes(dir, now, now); err != nil {
		return "", err
	}
	return dir, prune(cache, kind)
}

// complete makes dir appear with what build puts into it.
func complete(ctx context.Context, cache, dir string, build func(ctx context.Context, dir string) error) error {
	work, err := os.MkdirTemp(cache, ".build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	result := filepath.Join(work, "result")
	if err := os.Mkdir(result, 0o755); err != nil {
		return err
	}
	if err := build(ctx, result); err != nil {
		return err
	}
	return os.Rename(result, dir)
}

// prune removes the results of a kind that were not used for the longest time.
func prune(cache, kind string) error {
	dirs, err := filepath.Glob(filepath.Join(cache, kind+"-*"))
	if err != nil {
		return err
	}
	used := make(map[string]time.Time)
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err == nil {
			used[dir] = info.ModTime()
		}
	}
	slices.SortFunc(dirs, func(a, b string) int { return used[b].Compare(used[a]) })
	for _, dir := range dirs[min(kept, len(dirs)):] {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// lock keeps others from building the same thing at the same time.
func lock(name string) (unlock func(), err error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("flock %s: %w", name, err)
	}
	return func() { f.Close() }, nil
}
