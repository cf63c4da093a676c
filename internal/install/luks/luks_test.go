package luks

import (
	"strings"
	"testing"
)

func TestCheckPCRs(t *testing.T) {
	for list, ok := range map[string]bool{
		"": true, "7": true, "0+7+23": true,
		"24": false, "+": false, "7+": false, "7,14": false, "-1": false, "seven": false, "7 --wipe-slot=all": false,
	} {
		if err := CheckPCRs(list); (err == nil) != ok {
			t.Errorf("CheckPCRs(%q) = %v; want valid: %t", list, err, ok)
		}
	}
}

func TestCommands(t *testing.T) {
	v := Volume{Device: "/dev/x1", UUID: "01234567-89ab-4cde-8f01-23456789abcd", PCRs: "7"}
	var all []string
	for _, c := range v.Commands() {
		all = append(all, c.String())
	}
	text := strings.Join(all, "\n")
	for _, want := range []string{"--uuid=" + v.UUID, "--tpm2-pcrs=7 --wipe-slot=password /dev/x1", "--recovery-key /dev/x1", "close --deferred sysupdate-image-install-01234567"} {
		if !strings.Contains(text, want) {
			t.Errorf("the commands have no %q:\n%s", want, text)
		}
	}
}
