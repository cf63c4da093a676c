package update

import (
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// find returns the deployment that name stands for: its role (booted, staged,
// next or rollback), the name of its pin, or how its id begins.
func (v inventory) find(name string) (deployment.ID, error) {
	var id deployment.ID
	switch name {
	case deployment.WordBooted:
		id = v.booted
	case deployment.WordStaged:
		id = v.staged
	case deployment.WordNext:
		if id = v.staged; id == "" {
			id = v.next()
		}
	case deployment.WordRollback:
		f, err := v.rollbackTarget()
		if err != nil {
			return "", err
		}
		id = f.Target.ID
	default:
		return deployment.Match(name, v.known(), v.pinned)
	}
	if id == "" {
		return "", fmt.Errorf("no deployment is %s", name)
	}
	return id, nil
}
