package journal

import (
	"bytes"
	"net"
	"path/filepath"
	"testing"
)

func TestEncode(t *testing.T) {
	tests := []struct {
		entry Entry
		want  string
	}{
		{Entry{Priority: Notice, Message: "done"}, "MESSAGE=done\nPRIORITY=5\nSYSLOG_IDENTIFIER=test\n"},
		{
			Entry{Priority: Err, ID: "fc2e22bc6ee647b6b90729ab34a250b1", Message: "a\nb", Fields: []Field{{"PATH", "/etc/=x"}, {"EMPTY", ""}}},
			"MESSAGE\n\x03\x00\x00\x00\x00\x00\x00\x00a\nb\nPRIORITY=3\nSYSLOG_IDENTIFIER=test\n" +
				"MESSAGE_ID=fc2e22bc6ee647b6b90729ab34a250b1\nPATH=/etc/=x\nEMPTY=\n",
		},
	}
	for _, tt := range tests {
		if got := string(tt.entry.Encode("test")); got != tt.want {
			t.Errorf("Encode of %+v = %q; want %q", tt.entry, got, tt.want)
		}
	}
}

// What is sent arrives at once or, where nobody listens, as a line elsewhere.
func TestWrite(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "socket")
	listener, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	var elsewhere bytes.Buffer
	log := Log{Socket: socket, Identifier: "test", Else: &elsewhere}
	entry := Entry{Priority: Warning, Message: "two\nlines"}
	if !log.Write(entry) || elsewhere.Len() > 0 {
		t.Errorf("the entry went elsewhere: %q", elsewhere.String())
	}
	buffer := make([]byte, 1024)
	n, err := listener.Read(buffer)
	if err != nil || !bytes.Equal(buffer[:n], entry.Encode("test")) {
		t.Errorf("received %q, %v; want %q", buffer[:n], err, entry.Encode("test"))
	}

	listener.Close()
	for _, socket := range []string{socket, ""} {
		elsewhere.Reset()
		log.Socket = socket
		if log.Write(entry) || elsewhere.String() != "<4>two; lines\n" {
			t.Errorf("with the socket %q: elsewhere is %q", socket, elsewhere.String())
		}
	}
}
