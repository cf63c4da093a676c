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

// checkPolicy refuses an image that containers-policy.json(5) does not allow.
// image is one manifest, whose digest the signatures are on; nothing else of
// the image has been read yet.
func checkPolicy(ctx context.Context, sys *types.SystemContext, ref Reference, image types.UnparsedImage) error {
	policy, err := loadPolicy(sys)
	if err != nil {
		return fmt.Errorf("cannot read the signature policy: %w", err)
	}
	if ref.signed && acceptsAnything(policy, ref.image) {
		return fmt.Errorf("%s must be signed, but the signature policy accepts it unsigned: see containers-policy.json(5)", ref)
	}
	pc, err := signature.NewPolicyContext(policy)
	if err != nil {
		return err
	}
	defer pc.Destroy()
	if ok, err := pc.IsRunningImageAllowed(ctx, image); !ok {
		if err == nil {
			err = errors.New("no reason given")
		}
		return fmt.Errorf("the signature policy refuses %s: %w", ref, err)
	}
	return nil
}

// loadPolicy reads the policy file that sys names or the machine has. A machine
// without one is a machine whose administrator wants no signatures: bootc's
// and podman's packages always install one.
func loadPolicy(sys *types.SystemContext) (*signature.Policy, error) {
	policy, err := signature.DefaultPolicy(sys)
	if sys.SignaturePolicyPath == "" && errors.Is(err, configfile.ErrConfigFileNotFound) {
		return &signature.Policy{
			Default: signature.PolicyRequirements{signature.NewPRInsecureAcceptAnything()},
		}, nil
	}
	return policy, err
}

// acceptsAnything says whether policy demands nothing of ref.
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
