package lint

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// A secretFile is one that has to be another on every machine, or that nobody else may have.
type secretFile struct {
	pattern string // in the terms of path.Match
	what    string
}

// homes begins a pattern for files in a home directory, wherever that is.
const homes = "~/"

// homeDirs are where home directories are, in the terms of path.Match.
var homeDirs = []string{"root", "home/*", "var/roothome", "var/home/*"}

// secretFiles are known by name. Empty ones are none, nor is a link.
var secretFiles = []secretFile{
	{"etc/machine-id", "the id of a machine"},
	{"var/lib/dbus/machine-id", "the id of a machine"},
	{"etc/ssh/ssh_host_*_key", "the key of an SSH server"},
	{"etc/dropbear/dropbear_*_host_key", "the key of an SSH server"},
	{"var/lib/systemd/random-seed", "the seed of random numbers"},
	{"var/lib/urandom/random-seed", "the seed of random numbers"},
	{"var/lib/random-seed", "the seed of random numbers"},
	{"boot/loader/random-seed", "the seed of random numbers"},
	{"boot/efi/loader/random-seed", "the seed of random numbers"},
	{"efi/loader/random-seed", "the seed of random numbers"},
	{"var/lib/systemd/credential.secret", "the key of systemd's credentials"},
	{"var/lib/NetworkManager/secret_key", "the key of NetworkManager's addresses"},
	{"var/lib/NetworkManager/NetworkManager-intern.conf", "the state of NetworkManager"},
	{"etc/iscsi/initiatorname.iscsi", "the name of an iSCSI initiator"},
	{"etc/nvme/hostid", "the id of an NVMe host"},
	{"etc/nvme/hostnqn", "the name of an NVMe host"},
	{"etc/krb5.keytab", "the keys of a Kerberos host"},
	{"etc/ssl/private/ssl-cert-snakeoil.key", "a private key made at installation"},
	{"etc/pki/tls/private/localhost.key", "a private key made at installation"},
	{"etc/wireguard/*.conf", "a WireGuard configuration with its private key"},
	{"etc/apt/auth.conf", "credentials of an archive of packages"},
	{"etc/apt/auth.conf.d/*.conf", "credentials of an archive of packages"},
	{"etc/pki/consumer/key.pem", "the key of a subscription"},
	{"etc/pki/entitlement/*-key.pem", "the key of a subscription"},
	{homes + ".ssh/*", "a private SSH key"},
	{homes + ".gnupg/private-keys-v1.d/*", "a private key of GnuPG"},
	{homes + ".docker/config.json", "credentials of registries"},
	{homes + ".config/containers/auth.json", "credentials of registries"},
	{homes + ".netrc", "credentials"},
	{homes + ".git-credentials", "credentials"},
	{homes + ".aws/credentials", "credentials"},
	{homes + ".kube/config", "credentials"},
	{homes + ".pypirc", "credentials"},
	{homes + ".*_history", "the commands of a shell"},
}

// publicSSH are files beside private SSH keys that others may have.
var publicSSH = []string{"allowed_signers", "authorized_keys", "authorized_keys2", "config", "environment", "known_hosts", "known_hosts.old", "rc"}

// uninitialized is how long a machine-id is that systemd replaces; see machine-id(5).
const uninitialized = uint64(len("uninitialized\n"))

// isSecret reports whether a file, named below the root, is one of secretFiles.
func isSecret(name string, n *tree.Node) bool { return secretOf(name, n) != "" }

// secretOf returns what kind of secret a file is, "" if none.
func secretOf(name string, n *tree.Node) string {
	if !n.IsRegular() || n.Size == 0 || strings.HasSuffix(name, ".pub") {
		return ""
	}
	if name == "etc/machine-id" && n.Size <= uninitialized {
		return ""
	}
	if dir, base := path.Split(name); path.Base(dir) == ".ssh" && slices.Contains(publicSSH, base) {
		return ""
	}
	for _, s := range secretFiles {
		if matches(s.pattern, name) {
			return s.what
		}
	}
	return ""
}

// matches reports whether a pattern of secretFiles has a name.
func matches(pattern, name string) bool {
	below, inHome := strings.CutPrefix(pattern, homes)
	if !inHome {
		ok, err := path.Match(pattern, name)
		return err == nil && ok
	}
	return slices.ContainsFunc(homeDirs, func(home string) bool { return matches(home+"/"+below, name) })
}

// secretDirs are the directories at the top that have secretFiles.
var secretDirs = []string{"boot", "efi", "etc", "home", "root", "var"}

// eachSecret calls visit for the secrets in a tree.
func eachSecret(root *tree.Node, visit func(name, what string)) {
	for _, dir := range secretDirs {
		top := root.Entry(dir)
		if top == nil || !top.IsDir() {
			continue
		}
		top.Walk(func(p string, n *tree.Node) {
			if what := secretOf(dir+p, n); what != "" {
				visit(dir+p, what)
			}
		})
	}
}

// SecretsIn returns the paths, below the root, of files that no image should have; root may
// be nil. It is for the trees that the lower layers of an image make, see Layer.
func SecretsIn(root *tree.Node) (paths []string) {
	if root != nil {
		eachSecret(root, func(name, _ string) { paths = append(paths, name) })
	}
	return paths
}

// checkSecrets finds secrets in the image, and in layers from which a later one only seems
// to have removed them.
func checkSecrets(_ context.Context, t *target) error {
	seen := make(map[string]bool)
	eachSecret(t.Root, func(name, what string) {
		seen[name] = true
		t.add(Finding{Path: "/" + name, What: what, Mend: howToHide(name)})
	})
	for _, l := range t.Layers {
		for _, name := range l.Secrets {
			if seen[name] {
				continue
			}
			seen[name] = true
			t.add(Finding{
				Path: "/" + name, What: fmt.Sprintf("removed by a later layer, but still in layer %s for everybody to read", l.Digest),
				Mend: "Remove the file in the same RUN that makes it, or squash the layers.",
			})
		}
	}
	return nil
}

// howToHide says how an image does without a secret.
func howToHide(name string) string {
	remove := "rm -f /" + name
	switch {
	case name == "etc/machine-id":
		remove = ": > /etc/machine-id"
	case slices.Contains([]string{"etc/ssh", "etc/dropbear"}, path.Dir(name)):
		return fmt.Sprintf("Add %q to the RUN that installs the server; have a unit make the key on the machine, as ssh-keygen -A does.", remove+"*")
	}
	return fmt.Sprintf("Add %q to the RUN that makes it.", remove)
}
