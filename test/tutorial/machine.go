package main

import (
	"errors"
	"regexp"
	"strings"
)

// A machine is the console of the one that the tutorial boots.
type machine struct {
	*console
	boots    int // that are to come before somebody logs in
	loggedIn bool
}

var (
	// What the firmware says when it starts a boot loader.
	booting = regexp.MustCompile(`BdsDxe: starting Boot`)
	login   = regexp.MustCompile(`(?m)^\S+ login: `)
	shell   = regexp.MustCompile(`root@\S+:~# `)
	ready   = regexp.MustCompile(`(?m)^ready$`)
)

// logIn waits until the machine has booted, and logs in as root. Commands are then not
// echoed, and the kernel keeps its messages to itself, so that what commands answer can be
// told from both.
func (m *machine) logIn() error {
	for ; m.boots > 0; m.boots-- {
		if _, _, err := m.wait(booting); err != nil {
			return err
		}
	}
	if _, _, err := m.wait(login); err != nil {
		return err
	}
	if err := m.typeIn("root\n"); err != nil {
		return err
	}
	if _, _, err := m.wait(shell); err != nil {
		return err
	}
	if err := m.typeIn("dmesg --console-off; bind 'set enable-bracketed-paste off'; stty -echo cols 300; PS1=; echo; echo rea''dy\n"); err != nil {
		return err
	}
	_, _, err := m.wait(ready)
	m.loggedIn = err == nil
	return err
}

// block runs the commands of a block, a line each, and returns what they answer.
func (m *machine) block(b block) (string, error) {
	if b.where == inMachine+onceQuiet {
		// The update that fails has three boots, and then comes the one that goes back.
		m.boots = 4
	}
	if !m.loggedIn {
		if err := m.logIn(); err != nil {
			return "", err
		}
		// Somebody who types takes longer than units to settle.
		if out, err := m.run("systemctl is-system-running --wait"); err != nil {
			return out, err
		}
	}
	var all strings.Builder
	for command := range strings.Lines(b.text) {
		command = strings.TrimSpace(command)
		switch command {
		case "reboot":
			m.boots, m.loggedIn = 1, false
			return all.String(), m.typeIn(command + "\n")
		case "poweroff":
			if err := m.typeIn(command + "\n"); err != nil {
				return all.String(), err
			}
			if _, _, err := m.wait(regexp.MustCompile(`\z.`)); !errors.Is(err, errEnded) {
				return all.String(), err
			}
			return all.String(), nil
		}
		out, err := m.run(command)
		all.WriteString(strings.TrimRight(out, "\n") + "\n")
		if err != nil {
			return all.String(), err
		}
	}
	return all.String(), nil
}
