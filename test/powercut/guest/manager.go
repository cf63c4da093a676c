package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/godbus/dbus/v5"
)

// managerSocket is where systemd's private socket is, for root.
const managerSocket = "/run/systemd/private"

// A manager is what systemd is to who stages a deployment: it starts a unit when
// asked over its private socket. The one unit there is does nothing when it is
// started; what it does when it is stopped, the recording does at that time.
type manager struct {
	mu    sync.Mutex
	conns []net.Conn
	jobs  uint32

	serial uint32
}

func startManager(socket string) error {
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	m := &manager{}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go m.serve(conn)
		}
	}()
	return nil
}

// serve speaks D-Bus: first who the caller is, in lines, then messages.
func (m *manager) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	if b, err := in.ReadByte(); err != nil || b != 0 {
		return
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		answer := "ERROR\r\n"
		switch {
		case line == "AUTH":
			answer = "REJECTED EXTERNAL\r\n"
		case strings.HasPrefix(line, "AUTH EXTERNAL"):
			answer = "OK 0123456789abcdef0123456789abcdef\r\n"
		case line == "NEGOTIATE_UNIX_FD":
			answer = "ERROR not here\r\n"
		}
		if line == "BEGIN" {
			break
		}
		if _, err := conn.Write([]byte(answer)); err != nil {
			return
		}
	}
	m.mu.Lock()
	m.conns = append(m.conns, conn)
	m.mu.Unlock()
	for {
		msg, err := dbus.DecodeMessage(in)
		if err != nil {
			return
		}
		if msg.Type == dbus.TypeMethodCall {
			m.answer(conn, msg)
		}
	}
}

func (m *manager) answer(conn net.Conn, call *dbus.Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	member, _ := call.Headers[dbus.FieldMember].Value().(string)
	reply := &dbus.Message{Type: dbus.TypeMethodReply, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldReplySerial: dbus.MakeVariant(call.Serial()),
	}}
	if member != "StartUnit" {
		m.send(conn, reply)
		return
	}
	m.jobs++
	job := dbus.ObjectPath(fmt.Sprintf("/org/freedesktop/systemd1/job/%d", m.jobs))
	reply.Body = []any{job}
	reply.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(job))
	m.send(conn, reply)
	signal := &dbus.Message{Type: dbus.TypeSignal, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldPath:      dbus.MakeVariant(dbus.ObjectPath("/org/freedesktop/systemd1")),
		dbus.FieldInterface: dbus.MakeVariant("org.freedesktop.systemd1.Manager"),
		dbus.FieldMember:    dbus.MakeVariant("JobRemoved"),
	}}
	signal.Body = []any{m.jobs, job, call.Body[0], "done"}
	signal.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(signal.Body...))
	for _, c := range m.conns {
		m.send(c, signal) // whoever is gone does not mind
	}
}

// send gives a message the next serial number, which D-Bus wants and the library
// keeps for itself, and sends it.
func (m *manager) send(conn net.Conn, msg *dbus.Message) {
	var buf bytes.Buffer
	if err := msg.EncodeTo(&buf, binary.LittleEndian); err != nil {
		fmt.Println("guest: D-Bus:", err)
		return
	}
	m.serial++
	binary.LittleEndian.PutUint32(buf.Bytes()[8:], m.serial)
	_, _ = conn.Write(buf.Bytes())
}
