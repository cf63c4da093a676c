package mutate

// An order is a piece of source in which something comes before something else,
// and the same with the order turned round, or with the detour left out that an
// order needs.
type order struct{ name, file, from, to string }

// orders are those that the programs rely on, one each.
var orders = []order{
	{
		name: "internal/linux/durable.syncRenamed: the directory alone, not what was renamed",
		file: "internal/linux/durable/durable.go",
		from: `if info.Mode().IsRegular() || info.IsDir() {`,
		to:   `if false && info.IsDir() {`,
	},
	{
		name: "internal/composefs/repo.publish: the link before what it leads to",
		file: "internal/composefs/repo/link.go",
		from: `	if err := r.Sync(); err != nil {
		return err
	}
	return r.makeLink(objectLink(d), name)
`,
		to: `	if err := r.makeLink(objectLink(d), name); err != nil {
		return err
	}
	return r.Sync()
`,
	},
	{
		name: "internal/composefs/repo.GC: objects before what leads to them",
		file: "internal/composefs/repo/gc.go",
		from: `		if err := r.removeLinks(ctx, report); err != nil {
			return Report{}, err
		}
`,
		to: `		if err := r.sweep(ctx, m.objects, &report, dryRun); err != nil {
			return Report{}, err
		}
		if err := r.removeLinks(ctx, report); err != nil {
			return Report{}, err
		}
`,
	},
	{
		name: "internal/machine/boot.commit: the entry is gone before its new name is there",
		file: "internal/machine/boot/stage.go",
		from: `	if err := p.writeEntry(name, content); err != nil {
		return err
	}
	if err := p.removeEntry(old); err != nil {
		return &LeftError{name, old, err}
	}
`,
		to: `	if err := p.removeEntry(old); err != nil {
		return &LeftError{name, old, err}
	}
	if err := p.writeEntry(name, content); err != nil {
		return err
	}
`,
	},
	{
		name: "internal/machine/boot.commit: the entry itself is renamed, not a copy",
		file: "internal/machine/boot/stage.go",
		from: `	if err := p.writeEntry(name, content); err != nil {
		return err
	}
	if err := p.removeEntry(old); err != nil {
		return &LeftError{name, old, err}
	}
`,
		to: `	if err := durable.Rename(p.fs, entriesDir+"/"+old, entriesDir+"/"+name); err != nil {
		return err
	}
`,
	},
	{
		name: "internal/machine/boot.stageEntry: the entry before the record that it is ours",
		file: "internal/machine/boot/stage.go",
		from: `	if err := p.noteEntry(n); err != nil {
		return "", err
	}
	name := n.String()
	if err := p.writeStaged(name, e); err != nil {
		return "", err
	}
`,
		to: `	name := n.String()
	if err := p.writeStaged(name, e); err != nil {
		return "", err
	}
	if err := p.sync(); err != nil {
		return "", err
	}
	if err := p.noteEntry(n); err != nil {
		return "", err
	}
`,
	},
	{
		name: "internal/update.stage: the record before the entry that it names",
		file: "internal/update/stage.go",
		from: `	return m.Boot.StageEntry(e)
}
`,
		to: `	early := deployment.Staged{ID: c.id, Entry: "sysupdate-image-000009-" + c.id.Short() + "+3-0.conf", BootID: bootID(), Etc: deployment.EtcMode(c.Mounts.Etc)}
	if m.Booted != "" {
		if err := m.writeRecord(early); err != nil {
			return "", err
		}
	}
	return m.Boot.StageEntry(e)
}
`,
	},
	{
		name: "internal/update.stage: the record before the state directory",
		file: "internal/update/stage.go",
		from: `	if err := m.writeState(ctx, c); err != nil {
		return "", fmt.Errorf("cannot write state of deployment: %w", err)
	}
	return m.Boot.StageEntry(e)
}
`,
		to: `	entry, err = m.Boot.StageEntry(e)
	if err == nil && m.Booted != "" {
		err = m.writeRecord(deployment.Staged{ID: c.id, Entry: entry, BootID: bootID(), Etc: deployment.EtcMode(c.Mounts.Etc)})
	}
	if err != nil {
		return "", err
	}
	return entry, m.writeState(ctx, c)
}
`,
	},
	{
		name: "internal/update.prune: the state before the boot entries",
		file: "internal/update/prune.go",
		from: `	if err := m.Boot.Prune(removal); err != nil {
		return report, err
	}
	// A crash may bring some of these back; the next prune removes them.
	for _, name := range report.Leftovers {
		if err := m.removeLeftover(ctx, name); err != nil {
			return report, fmt.Errorf("cannot prune state of deployments: %w", err)
		}
	}
`,
		to: `	for _, name := range report.Leftovers {
		if err := m.removeLeftover(ctx, name); err != nil {
			return report, fmt.Errorf("cannot prune state of deployments: %w", err)
		}
	}
	if err := m.Boot.Prune(removal); err != nil {
		return report, err
	}
`,
	},
	{
		name: "finalize.publish: the boot entry before /etc",
		file: "finalize/finalize.go",
		from: `	if err := m.carryEtc(plan, s.Root, objects); err != nil {
		return err
	}
`,
		to: `	defer m.carryEtc(plan, s.Root, objects)
`,
	},
	{
		name: "finalize.publish: the boot entry before the initramfs counts its boots",
		file: "finalize/finalize.go",
		from: `	if err := m.armAttempts(plan, s.Root, partition); err != nil {
		return err
	}
	return partition.Publish(plan.Entry)
`,
		to: `	if err := partition.Publish(plan.Entry); err != nil {
		return err
	}
	return m.armAttempts(plan, s.Root, partition)
`,
	},
}
