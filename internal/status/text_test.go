package status

import (
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

func TestName(t *testing.T) {
	tests := []struct{ title, version, want string }{
		{"Example OS (2)", "2", "Example OS (2)"},
		{"Example OS (2)", "", "Example OS (2)"},
		{"Example OS 2 (Beta)", "2", "Example OS 2 (Beta)"},
		{"Example OS (2 (beta))", "2 (beta)", "Example OS (2 (beta))"},
		{"Example OS", "2", "Example OS (2)"},
		{"Example OS 12 (Beta)", "2", "Example OS 12 (Beta) (2)"},
		{"", "2", "2"},
		{"", "", "aaaaaaaaaaaa"},
		{"\x1b", "\x1b", "aaaaaaaaaaaa"},
	}
	for _, tt := range tests {
		d := Deployment{ID: "aaaaaaaaaaaaaaaa", Title: tt.title, Origin: deployment.Origin{Version: tt.version}}
		if got := d.name(); got != tt.want {
			t.Errorf("name of title %q and version %q = %q; want %q", tt.title, tt.version, got, tt.want)
		}
	}
}
