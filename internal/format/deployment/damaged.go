package deployment

import "fmt"

// A DamagedImageError reports that the composefs image of a deployment is missing from
// the repository, or cannot be read.
type DamagedImageError struct {
	ID  ID
	Err error // nil if the details are not known
}

func (e *DamagedImageError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("the image of deployment %s is missing or damaged", e.ID.Short())
	}
	return fmt.Sprintf("cannot read the image of deployment %s: %v", e.ID.Short(), e.Err)
}

func (e *DamagedImageError) Unwrap() error { return e.Err }
