package update

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// A kept is what a soft reboot keeps of a deployment, and so has to be the same in the one
// that it continues with.
type kept struct {
	kernel string           // digest of kernel and initramfs
	args   kcmdline.Cmdline // without those that name the deployment
	policy string           // digest of the SELinux policy, which is loaded once
}

// otherKernelWhy is the most frequent reason.
const otherKernelWhy = "its kernel or initramfs differs from the running one"

// whyNot says what of the next deployment differs, "" if nothing does.
func (k kept) whyNot(next kept) string {
	switch {
	case k.kernel == "":
		return "the kernel of the running deployment is not on record"
	case k.kernel != next.kernel:
		return otherKernelWhy
	case k.args.String() != next.args.String():
		return "its kernel arguments differ from the running ones" + differences(k.args, next.args)
	case k.policy != next.policy:
		return "its SELinux policy differs from the running one"
	}
	return ""
}

// differences returns which arguments only one of two command lines has.
func differences(a, b kcmdline.Cmdline) string {
	var only []string
	for _, side := range []struct {
		mark     string
		of, than kcmdline.Cmdline
	}{{"-", a, b}, {"+", b, a}} {
		for _, arg := range side.of {
			if !slices.Contains(side.than, arg) {
				only = append(only, side.mark+arg.String())
			}
		}
	}
	if len(only) == 0 {
		return " in their order"
	}
	return ": " + strings.Join(only, " ")
}

// keptNow returns what a soft reboot would keep of the running deployment.
func (m *Machine) keptNow() (kept, error) {
	o, err := m.readOrigin(m.Booted)
	if err != nil {
		return kept{}, err
	}
	options, err := m.optionsOf(m.Booted)
	if err == nil && (options == "" || o.BootType == deployment.BootUKI) {
		// What is in a unified kernel image, with its addons, is what the kernel got.
		options, err = m.runningOptions()
	}
	if err != nil {
		return kept{}, err
	}
	root, err := m.readPart(m.Booted, erofs.Paths("etc/selinux"))
	if err != nil {
		return kept{}, err
	}
	policy, err := policyOf(system.Of(root, m.Repository))
	return kept{o.BootDigest, unnamedArgs(options), policy}, err
}

// keptOf returns what a soft reboot would keep of a system in the form in which it boots,
// whose kernel command line, unless it is in a unified kernel image, is options.
func (m *Machine) keptOf(ctx context.Context, s *system.System, options string) (kept, error) {
	policy, err := policyOf(s)
	if err != nil {
		return kept{}, err
	}
	if u := s.Kernel.UKI; u != nil {
		return kept{u.BootDigest, unnamedArgs(u.Cmdline), policy}, nil
	}
	current, before, err := m.entryBefore()
	if err != nil {
		return kept{}, err
	}
	c := candidate{System: s}
	if c.dtb, err = m.deviceTree(ctx, c, current, before); err != nil {
		return kept{}, err
	}
	k := kept{args: unnamedArgs(options), policy: policy}
	err = c.withKernel(func(linux, initrd io.ReadSeeker, further []boot.File) (err error) {
		k.kernel, err = boot.KernelDigest(ctx, linux, initrd, further)
		return err
	})
	return k, err
}

// unnamedArgs returns the arguments of a command line that name no deployment.
func unnamedArgs(options string) kcmdline.Cmdline {
	return deployment.WithoutTarget(kcmdline.Parse(options))
}

// policyOf returns a digest of an image's SELinux policies and of what chooses between
// them, "" if it has neither.
func policyOf(s *system.System) (string, error) {
	dir := s.Tree.Lookup("etc/selinux")
	if dir == nil || !dir.IsDir() {
		return "", nil
	}
	h := sha256.New()
	note := func(name string, n *tree.Node) error {
		f, err := s.Open(n)
		if err != nil {
			return err
		}
		defer f.Close()
		content, err := bounded.ReadAll(f, limits.Contexts)
		if err == nil {
			fmt.Fprintf(h, "%s %d %x\n", name, len(content), sha256.Sum256(content))
		}
		return err
	}
	if config := dir.Entry("config"); config != nil && config.IsRegular() {
		if err := note("config", config); err != nil {
			return "", err
		}
	}
	for _, e := range dir.Entries() {
		policies := e.Node.Entry("policy")
		if policies == nil {
			continue
		}
		for _, p := range policies.Entries() {
			if !p.Node.IsRegular() {
				continue
			}
			if err := note(path.Join(e.Name, p.Name), p.Node); err != nil {
				return "", err
			}
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}
