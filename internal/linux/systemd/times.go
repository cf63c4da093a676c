package systemd

import (
	"context"
	"fmt"
	"time"

	godbus "github.com/godbus/dbus/v5"
)

// Times are when the phases of this boot began, since the kernel did. What did not happen,
// or has not happened yet, is 0. See org.freedesktop.systemd1(5).
type Times struct {
	Firmware, Loader time.Duration // before the kernel
	// Initrd is when systemd started in the initramfs.
	Initrd, InitrdGeneratorsStart, InitrdGeneratorsFinish, InitrdUnitsStart, InitrdUnitsFinish time.Duration
	// Userspace is when systemd started in the system, and Finish when the boot was done.
	Userspace, GeneratorsStart, GeneratorsFinish, UnitsStart, UnitsFinish, Finish time.Duration
}

// BootTimes asks systemd for the times of this boot. Any user may.
func BootTimes(ctx context.Context) (Times, error) {
	properties, err := properties(ctx, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
	if err != nil {
		return Times{}, fmt.Errorf("cannot ask systemd for the times of this boot: %w", err)
	}
	at := func(name string) time.Duration { return micros(properties[name+"TimestampMonotonic"]) }
	return Times{
		Firmware: at("Firmware"), Loader: at("Loader"),
		Initrd:                at("InitRD"),
		InitrdGeneratorsStart: at("InitRDGeneratorsStart"), InitrdGeneratorsFinish: at("InitRDGeneratorsFinish"),
		InitrdUnitsStart: at("InitRDUnitsLoadStart"), InitrdUnitsFinish: at("InitRDUnitsLoadFinish"),
		Userspace:       at("Userspace"),
		GeneratorsStart: at("GeneratorsStart"), GeneratorsFinish: at("GeneratorsFinish"),
		UnitsStart: at("UnitsLoadStart"), UnitsFinish: at("UnitsLoadFinish"),
		Finish: at("Finish"),
	}, nil
}

// ActiveSince returns when a unit became active in this boot, since the kernel began, and 0
// if it is not active.
func ActiveSince(ctx context.Context, unit string) (time.Duration, error) {
	conn, err := godbus.ConnectSystemBus(godbus.WithContext(ctx))
	if err != nil {
		return 0, fmt.Errorf("cannot ask systemd for %s: %w", unit, err)
	}
	defer conn.Close()
	manager := conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
	var path godbus.ObjectPath
	if err := manager.CallWithContext(ctx, "org.freedesktop.systemd1.Manager.LoadUnit", 0, unit).Store(&path); err != nil {
		return 0, fmt.Errorf("cannot ask systemd for %s: %w", unit, err)
	}
	properties, err := properties(ctx, path, "org.freedesktop.systemd1.Unit")
	if err != nil {
		return 0, fmt.Errorf("cannot ask systemd for %s: %w", unit, err)
	}
	return micros(properties["ActiveEnterTimestampMonotonic"]), nil
}

func properties(ctx context.Context, object godbus.ObjectPath, interfaceName string) (map[string]godbus.Variant, error) {
	conn, err := godbus.ConnectSystemBus(godbus.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var all map[string]godbus.Variant
	call := conn.Object("org.freedesktop.systemd1", object).
		CallWithContext(ctx, "org.freedesktop.DBus.Properties.GetAll", 0, interfaceName)
	return all, call.Store(&all)
}

// micros returns a time in microseconds, the unit of all of systemd's.
func micros(v godbus.Variant) time.Duration {
	n, _ := v.Value().(uint64)
	return time.Duration(n) * time.Microsecond
}
