package oci

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage/pkg/configfile"
)

// What Image.Signature says, if the policy is that of the machine. SignatureNotRequired
// has the name of another policy's file in place of policy.json.
const (
	Signed               = "signed"                     // as the policy demands
	SignatureNotRequired = "not required (policy.json)" // the policy accepts the image unsigned
	NoSignaturePolicy    = "none (no policy)"           // there is no policy: every image is accepted
)

// checkPolicy refuses an image that containers-policy.json(5) does not allow, and
// returns what Image.Signature is to say of one that is allowed.
// image is one manifest, whose digest the signatures are on; nothing else of
// the image has been read yet.
func checkPolicy(ctx context.Context, sys *types.SystemContext, ref Reference, image types.UnparsedImage) (string, error) {
	policy, err := loadPolicy(sys)
	if err != nil {
		return "", fmt.Errorf("cannot read the signature policy: %w", err)
	}
	verdict := verdict(policy, sys.SignaturePolicyPath, ref)
	if ref.signed && verdict != Signed {
		return "", fmt.Errorf("%s must be signed, but the signature policy accepts it unsigned: see containers-policy.json(5)", ref)
	}
	if policy == nil {
		return verdict, nil
	}
	if err := checkKeys(requirements(policy, ref.image)); err != nil {
		return "", fmt.Errorf("cannot read a key of the signature policy: %w", err)
	}
	pc, err := signature.NewPolicyContext(policy)
	if err != nil {
		return "", err
	}
	defer pc.Destroy()
	if ok, err := pc.IsRunningImageAllowed(ctx, image); !ok {
		if err == nil {
			err = errors.New("no reason given")
		}
		return "", fmt.Errorf("the signature policy refuses %s: %w", ref, err)
	}
	return verdict, nil
}

// verdict returns what Image.Signature says of an image that policy, from file,
// allows.
func verdict(policy *signature.Policy, file string, ref Reference) string {
	switch {
	case policy == nil:
		return NoSignaturePolicy
	case !acceptsAnything(policy, ref.image):
		return Signed
	case file != "":
		return "not required (" + file + ")"
	}
	return SignatureNotRequired
}

// loadPolicy reads the policy file that sys names or the machine has. It returns
// nil for a machine without one: bootc's and podman's packages always install one.
func loadPolicy(sys *types.SystemContext) (*signature.Policy, error) {
	if sys.SignaturePolicyPath != "" {
		if err := checkTrustFile(sys.SignaturePolicyPath); err != nil {
			return nil, err
		}
		return signature.DefaultPolicy(sys)
	}
	paths, err := configfile.GetSearchPaths(&configfile.File{
		Name: "policy", Extension: "json", DoNotLoadDropInFiles: true, EnvironmentName: "CONTAINERS_POLICY_JSON",
		RootForImplicitAbsolutePaths: sys.RootForImplicitAbsolutePaths,
	})
	if err != nil {
		return nil, err
	}
	for _, path := range paths.MainFiles {
		if err := checkDangling(path); err != nil {
			return nil, err
		}
	}
	if err := checkConfig(paths, ""); err != nil {
		return nil, err
	}
	policy, err := signature.DefaultPolicy(sys)
	if errors.Is(err, configfile.ErrConfigFileNotFound) {
		return nil, nil
	}
	return policy, err
}

// acceptsAnything reports whether policy demands nothing of ref.
func acceptsAnything(policy *signature.Policy, ref types.ImageReference) bool {
	anything := signature.NewPRInsecureAcceptAnything()
	for _, r := range requirements(policy, ref) {
		if !reflect.DeepEqual(r, anything) {
			return false
		}
	}
	return true
}

// requirements returns what policy demands of ref: the entry of its most
// specific scope, see containers-policy.json(5).
func requirements(policy *signature.Policy, ref types.ImageReference) signature.PolicyRequirements {
	scopes := policy.Transports[ref.Transport().Name()]
	names := append([]string{ref.PolicyConfigurationIdentity()}, ref.PolicyConfigurationNamespaces()...)
	for _, name := range append(names, "") {
		if found, ok := scopes[name]; ok {
			return found
		}
	}
	return policy.Default
}
