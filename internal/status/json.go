package status

import (
	"cmp"
	"runtime"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// The JSON has the shape of bootc's org.containers.bootc/v1, so that what reads
// that reads this too. What bootc has no place for is below "sysupdateImage".
type hostJSON struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   metadataJSON   `json:"metadata"`
	Spec       specJSON       `json:"spec"`
	Status     hostStatusJSON `json:"status"`
}

type metadataJSON struct {
	Name string `json:"name"`
}

type specJSON struct {
	Image     *imageReferenceJSON `json:"image"`
	BootOrder string              `json:"bootOrder"`
}

type imageReferenceJSON struct {
	Image     string `json:"image"`
	Transport string `json:"transport"`
}

type hostStatusJSON struct {
	Staged           *entryJSON    `json:"staged"`
	Booted           *entryJSON    `json:"booted"`
	Rollback         *entryJSON    `json:"rollback"`
	OtherDeployments []entryJSON   `json:"otherDeployments,omitempty"`
	RollbackQueued   bool          `json:"rollbackQueued"`
	Type             *string       `json:"type"`
	UsrOverlay       *Overlay      `json:"usrOverlay"`
	ReadOnly         bool          `json:"readOnly"`
	Extra            hostExtraJSON `json:"sysupdateImage"`
}

type hostExtraJSON struct {
	Next      deployment.ID `json:"next,omitempty"`   // deployment id
	Loader    string        `json:"loader,omitempty"` // with its version
	Var       string        `json:"varPartition,omitempty"`
	ESPs      []ESP         `json:"furtherESPs,omitempty"`
	Checked   *newestJSON   `json:"checked,omitempty"`
	LastMerge *LastMerge    `json:"lastMerge,omitempty"`
	Disk      *Disk         `json:"disk,omitempty"`
	Foreign   []Foreign     `json:"foreign,omitempty"`
	Notes     []string      `json:"notes,omitempty"`
	Problems  []string      `json:"problems,omitempty"`
}

// newestJSON is what the followed reference led to when it was last looked at.
type newestJSON struct {
	Time        string             `json:"time,omitempty"` // RFC 3339
	Image       imageReferenceJSON `json:"image"`
	ImageDigest string             `json:"imageDigest"`
	Version     string             `json:"version,omitempty"`
	Timestamp   string             `json:"timestamp,omitempty"` // when the image was made
	Available   bool               `json:"available"`           // it is an update
	FetchBytes  int64              `json:"fetchBytes"`
}

type entryJSON struct {
	Image             *imageJSON     `json:"image"`
	CachedUpdate      *imageJSON     `json:"cachedUpdate"`
	Incompatible      bool           `json:"incompatible"`
	Pinned            bool           `json:"pinned"`
	SoftRebootCapable bool           `json:"softRebootCapable"`
	DownloadOnly      bool           `json:"downloadOnly"`
	Store             *string        `json:"store"`
	Ostree            *struct{}      `json:"ostree"`
	Composefs         composefsJSON  `json:"composefs"`
	Extra             entryExtraJSON `json:"sysupdateImage"`
}

type imageJSON struct {
	Image        imageReferenceJSON `json:"image"`
	Version      *string            `json:"version"`
	Timestamp    *string            `json:"timestamp"`
	ImageDigest  string             `json:"imageDigest"`
	Architecture string             `json:"architecture"`
}

type composefsJSON struct {
	Verity               deployment.ID `json:"verity"`
	BootType             string        `json:"bootType"`
	Bootloader           string        `json:"bootloader"`
	BootDigest           *string       `json:"bootDigest"`
	MissingVerityAllowed bool          `json:"missingVerityAllowed"`
}

type entryExtraJSON struct {
	State     State  `json:"state"`
	Why       string `json:"why,omitempty"`
	Next      bool   `json:"next"`
	Title     string `json:"title,omitempty"`
	PinName   string `json:"pinName,omitempty"`
	Entry     string `json:"entry,omitempty"`
	Kernel    string `json:"kernel,omitempty"`
	Signature string `json:"signature,omitempty"` // how the image was checked
	Policy    string `json:"policy,omitempty"`    // file by which it was checked, if not the machine's
	TriesLeft *uint  `json:"triesLeft,omitempty"`
	TriesDone *uint  `json:"triesDone,omitempty"`
	Miscount  string `json:"miscount,omitempty"` // the loader does not count this boot
}

// JSON returns the status as a value that encoding/json makes a BootcHost of.
func (s Status) JSON() any {
	h := hostJSON{APIVersion: "org.containers.bootc/v1", Kind: "BootcHost", Metadata: metadataJSON{"host"}}
	h.Spec = specJSON{Image: s.tracked(), BootOrder: "default"}
	if s.RollbackQueued {
		h.Spec.BootOrder = "rollback"
	}
	h.Status.RollbackQueued, h.Status.UsrOverlay, h.Status.ReadOnly = s.RollbackQueued, s.UsrOverlay, s.ReadOnly
	h.Status.Extra = hostExtraJSON{
		Foreign: s.Foreign, Notes: s.Notes, Problems: s.Problems,
		Loader: s.Loader, Var: s.VarPartition, ESPs: s.ESPs, Checked: s.Newest.json(), LastMerge: s.LastMerge, Disk: s.Disk,
	}
	if next := s.Next(); next != nil {
		h.Status.Extra.Next = next.ID
	}
	if len(s.Deployments) > 0 && (s.Booted() != nil || !s.Running) {
		kind := "bootcHost"
		h.Status.Type = &kind
	}
	for _, d := range s.Deployments {
		e := d.json(s.Running)
		e.Composefs.Bootloader = s.bootcsLoader()
		if d.Booted && s.Newest != nil && s.Newest.ManifestDigest != d.Origin.ManifestDigest {
			e.CachedUpdate = s.Newest.image()
		}
		placed := false
		for _, place := range []struct {
			is bool
			at **entryJSON
		}{{d.Booted, &h.Status.Booted}, {d.Staged, &h.Status.Staged}, {d.Rollback, &h.Status.Rollback}} {
			if place.is {
				*place.at, placed = &e, true
			}
		}
		if !placed {
			h.Status.OtherDeployments = append(h.Status.OtherDeployments, e)
		}
	}
	return h
}

// tracked returns the image that the machine follows: what is staged may have
// switched to another.
func (s Status) tracked() *imageReferenceJSON {
	for _, is := range []func(Deployment) bool{
		func(d Deployment) bool { return d.Staged },
		func(d Deployment) bool { return d.Booted },
		func(d Deployment) bool { return d.Next },
	} {
		if d := s.find(is); d != nil && d.Origin.Reference != "" {
			ref := reference(d.Origin)
			return &ref
		}
	}
	return nil
}

func (d Deployment) json(running bool) entryJSON {
	e := entryJSON{
		DownloadOnly: d.Locked, SoftRebootCapable: d.SoftReboot,
		Pinned: d.Pinned,
		Composefs: composefsJSON{
			Verity: d.ID, BootType: "Bls",
			BootDigest: pointer(d.Origin.BootDigest), MissingVerityAllowed: d.VerityOptional,
		},
		Extra: entryExtraJSON{
			State: d.State, Why: d.Why, Next: d.Next, Title: d.Title, PinName: d.PinName, Entry: d.Entry, Kernel: d.Origin.Kernel,
			Signature: d.Origin.Signature, Policy: d.Origin.Policy,
		},
	}
	if d.Origin.BootType == deployment.BootUKI {
		e.Composefs.BootType = "Uki"
	}
	if d.Counted {
		e.Extra.TriesLeft, e.Extra.TriesDone, e.Extra.Miscount = &d.TriesLeft, &d.TriesDone, d.Miscount
	}
	if d.Origin.Reference != "" {
		e.Image = &imageJSON{
			Image: reference(d.Origin), Version: pointer(d.Origin.Version),
			Timestamp: pointer(d.Origin.Created), ImageDigest: d.Origin.ManifestDigest,
		}
		e.Image.Architecture = cmp.Or(d.Architecture, "unknown")
		if running && d.Architecture == "" { // the images of another machine may be for another architecture
			e.Image.Architecture = runtime.GOARCH
		}
	}
	return e
}

// reference returns an image reference as bootc splits it.
func reference(o deployment.Origin) imageReferenceJSON {
	ref := o.ImageReference()
	if name, ok := strings.CutPrefix(ref, "docker://"); ok {
		return imageReferenceJSON{Image: name, Transport: "registry"}
	}
	transport, name, ok := strings.Cut(ref, ":")
	if !ok {
		return imageReferenceJSON{Image: ref, Transport: "registry"}
	}
	return imageReferenceJSON{Image: name, Transport: transport}
}

// pointer returns nil, which is null in JSON, for "".
func pointer(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
