package disks

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// UML returns the path of a User Mode Linux kernel.
func UML(ctx context.Context) (string, error) {
	repository, err := Repository()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(repository, "test/uml/build"))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("cannot build User Mode Linux: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
