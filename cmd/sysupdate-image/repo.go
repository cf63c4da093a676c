package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

const aboutRepo = `Look after the repository, in which images, layers and the contents of files are kept:
that of this machine, of --sysroot, or --repo.`

func (s *session) repoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repo",
		Short: "Look after the repository",
		Long:  aboutRepo,
		Args:  needArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(s.repoImagesCommand(), s.repoGCCommand(), s.repoFsckCommand())
	return cmd
}

// A repository is an open repository with what it is there for.
type repository struct {
	*repo.Repository
	deployments []string // ids of images that a machine needs
	physical    *os.Root // root of the machine; nil where the repository is none of a machine's
	close       []func() error
}

// openRepository opens the repository that is meant, writable if that is asked
// for, and locks it.
func (s *session) openRepository(flag string, write bool) (*repository, error) {
	r := &repository{}
	if err := r.open(s, flag, write); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *repository) open(s *session, flag string, write bool) (err error) {
	path := s.repositoryPath(flag)
	if write && flag == "" && s.sysroot == "" {
		// The physical root of the running machine is mounted read-only.
		running, err := os.OpenRoot("/")
		if err != nil {
			return err
		}
		defer running.Close()
		physical, err := sysroot.OpenWritable(running)
		if err != nil {
			return err
		}
		r.close = append(r.close, physical.Close)
		path = filepath.Join(physical.Name(), deployment.RepositoryDir)
	}
	if r.Repository, err = repo.Open(path); err != nil {
		return s.noRepository(flag, err)
	}
	r.close = append(r.close, r.Repository.Close)
	unlock, err := r.Lock(write)
	if err != nil {
		return err
	}
	r.close = append(r.close, unlock)
	if filepath.Base(filepath.Clean(path)) != deployment.RepositoryDir {
		return nil
	}
	if r.physical, err = os.OpenRoot(filepath.Dir(filepath.Clean(path))); err != nil {
		return err
	}
	r.close = append(r.close, r.physical.Close)
	if r.deployments, err = deploymentsIn(r.physical); len(r.deployments) == 0 {
		r.physical = nil // of a machine that there is none of
	}
	return err
}

// Close lets go of the repository.
func (r *repository) Close() error {
	var errs []error
	for i := len(r.close) - 1; i >= 0; i-- {
		errs = append(errs, r.close[i]())
	}
	return errors.Join(errs...)
}

// deploymentsBeside returns the deployments of the machine whose repository is
// at path; a repository alone has none.
func deploymentsBeside(path string) ([]string, error) {
	if filepath.Base(filepath.Clean(path)) != deployment.RepositoryDir {
		return nil, nil
	}
	physical, err := os.OpenRoot(filepath.Dir(filepath.Clean(path)))
	if err != nil {
		return nil, err
	}
	defer physical.Close()
	return deploymentsIn(physical)
}

// deploymentsIn returns the deployments below a physical root, also one that is pinned
// and has lost its state.
func deploymentsIn(physical *os.Root) ([]string, error) {
	entries, err := fs.ReadDir(physical.FS(), deployment.DeployDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot tell which images are deployed: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if id, err := deployment.ParseID(e.Name()); err == nil {
			ids = append(ids, string(id))
		}
	}
	pins, err := deployment.Pins(physical.FS())
	for id := range pins {
		if !slices.Contains(ids, string(id)) {
			ids = append(ids, string(id))
		}
	}
	slices.Sort(ids)
	return ids, err
}

const aboutRepoImages = `List the composefs images in the repository: how their ids begin, format version, size,
and what keeps them from repo gc: a deployment, a name (image build --name), or a
container image that they were made of.`

// imageInfo is what repo images says of an image.
type imageInfo struct {
	ID            string   `json:"id"`
	FormatVersion int      `json:"formatVersion"`
	Size          int64    `json:"size"` // bytes of the image itself
	Deployed      bool     `json:"deployed"`
	Names         []string `json:"names,omitempty"`
	Containers    []string `json:"containerImages,omitempty"` // tags
	Error         string   `json:"error,omitempty"`
}

func (s *session) repoImagesCommand() *cobra.Command {
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "images",
		Short: "List the images in the repository",
		Long:  aboutRepoImages,
		Args:  needArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			repo, err := s.openStore(path)
			if err != nil {
				return err
			}
			defer repo.Close()
			deployed, err := deploymentsBeside(s.repositoryPath(path))
			if err != nil {
				return err
			}
			images, err := listImages(repo, deployed)
			if err != nil {
				return err
			}
			if asJSON {
				return s.printJSON(images)
			}
			return s.printImages(images)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, with whole ids")
	addRepositoryFlag(cmd, &path)
	return cmd
}

func listImages(repo *repo.Repository, deployed []string) ([]imageInfo, error) {
	ids, err := repo.Images()
	if err != nil {
		return nil, err
	}
	names, err := repo.ImageRefs()
	if err != nil {
		return nil, err
	}
	tags, err := tagsOfImages(repo)
	if err != nil {
		return nil, err
	}
	images := []imageInfo{}
	for _, id := range ids {
		i := imageInfo{ID: id, Containers: tags[id]}
		if err := i.measure(repo); err != nil {
			i.Error = err.Error()
		}
		for _, d := range deployed {
			i.Deployed = i.Deployed || d == id
		}
		for name, named := range names {
			if named == id {
				i.Names = append(i.Names, name)
			}
		}
		images = append(images, i)
	}
	return images, nil
}

func (i *imageInfo) measure(repo *repo.Repository) error {
	f, err := repo.OpenImage(i.ID)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	i.Size = info.Size()
	i.FormatVersion, err = erofs.VersionOf(f)
	return err
}

// tagsOfImages returns the tags of the container images that images were made
// of, by id: from tag to manifest to configuration to image.
func tagsOfImages(repo *repo.Repository) (map[string][]string, error) {
	refs, err := repo.Refs()
	if err != nil {
		return nil, err
	}
	streams, err := repo.Streams()
	if err != nil {
		return nil, err
	}
	byDigest := make(map[string]string)
	for _, name := range streams {
		if d, err := repo.StreamDigest(name); err == nil {
			byDigest[d.String()] = name
		}
	}
	tags := make(map[string][]string)
	for tag, manifest := range refs {
		for ref, config := range namedRefs(repo, manifest) {
			if !strings.HasPrefix(ref, "config:") {
				continue
			}
			for ref, image := range namedRefs(repo, byDigest[config]) {
				// One image can be both what boots and what does not.
				if strings.HasPrefix(ref, "composefs.image") && !slices.Contains(tags[image], tag) {
					tags[image] = append(tags[image], tag)
				}
			}
		}
	}
	return tags, nil
}

// namedRefs returns what a stream refers to, nothing if it cannot be read: repo
// fsck tells of that.
func namedRefs(repo *repo.Repository, stream string) map[string]string {
	s, err := repo.OpenStream(stream)
	if err != nil {
		return nil
	}
	defer s.Close()
	refs := make(map[string]string)
	for name, d := range s.NamedRefs() {
		refs[name] = d.String()
	}
	return refs
}

func (s *session) printImages(images []imageInfo) error {
	w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tFORMAT\tSIZE\tKEPT BY")
	for _, i := range images {
		if i.Error != "" {
			fmt.Fprintf(w, "%s\t\t\t%s\n", deployment.ID(i.ID).Short(), shown(i.Error))
			continue
		}
		var kept []string
		if i.Deployed {
			kept = append(kept, "deployment")
		}
		for _, name := range append(i.Names, i.Containers...) {
			kept = append(kept, shown(name))
		}
		if kept == nil {
			kept = []string{"nothing"}
		}
		fmt.Fprintf(w, "%s\tV%d\t%s\t%s\n", deployment.ID(i.ID).Short(), i.FormatVersion, size(i.Size), strings.Join(kept, ", "))
	}
	return w.Flush()
}
