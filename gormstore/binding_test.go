package gormstore

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hostbond/hostbond/core"
	"gorm.io/gorm/schema"
)

// bindings returns bindings in the state, to as many app-wide secrets.
func bindings(t *testing.T, state core.SecretState, count int) (list []core.StoredSecret) {
	t.Helper()
	for n := range count {
		f := newSecret(t, fmt.Sprint("app-wide secret number ", n)).Fingerprint()
		list = append(list, core.StoredSecret{Fingerprint: f, State: state, Bound: true})
	}
	return list
}

func TestAnInstallationNeedsItsUsableBindings(t *testing.T) {
	t.Parallel()
	own := usable(newSecret(t, "a secret of its own"))
	unreadable := core.StoredSecret{Fingerprint: own.Fingerprint, State: core.Usable, Sealed: []byte("sealed")}
	three := bindings(t, core.Usable, 3)
	retired, revoked := bindings(t, core.Retired, 3), bindings(t, core.Revoked, 3)
	for _, c := range []struct {
		name    string
		state   core.State
		secrets []core.StoredSecret
		want    []core.StoredSecret
	}{
		{"no secret", core.Installed, nil, nil},
		{"its own secret", core.Installed, []core.StoredSecret{own}, nil},
		{"its own secret, which does not open", core.Installed, []core.StoredSecret{unreadable}, nil},
		{"a binding", core.Installed, three[:1], three[:1]},
		{"a binding and its own secret", core.Installed, []core.StoredSecret{three[0], own}, three[:1]},
		{"several bindings", core.Installed, three, three},
		{"retired bindings", core.Installed, retired, nil},
		{"revoked bindings", core.Installed, revoked, nil},
		{"a binding of many", core.Installed, []core.StoredSecret{retired[0], three[1], revoked[2]}, three[1:2]},
		{"not installed", core.Uninstalled, three, nil},
	} {
		var want []string
		for _, secret := range c.want {
			want = append(want, string(secret.Fingerprint))
		}
		slices.Sort(want)
		got := needed(&core.Installation{State: c.state, Secrets: c.secrets})
		switch {
		case got == nil && want != nil:
			t.Errorf("%s: got NULL, want %q", c.name, want)
		case got != nil && string(*got) != strings.Join(want, ","):
			t.Errorf("%s: got %s, want %q", c.name, *got, want)
		}
	}
}

func TestTheColumnBindingsHasRoomForTheNewestOnes(t *testing.T) {
	t.Parallel()
	all := bindings(t, core.Usable, 100)
	got := string(*needed(&core.Installation{State: core.Installed, Secrets: all}))
	for n, secret := range all {
		if counted, newest := strings.Contains(got, string(secret.Fingerprint)), n >= len(all)-maxNeeded; counted != newest {
			t.Errorf("binding %d of %d: got counted %t, want %t", n, len(all), counted, newest)
		}
	}
	model, err := schema.Parse(&installationRow{}, new(sync.Map), schema.NamingStrategy{})
	if err != nil {
		t.Fatal(err)
	}
	if size := model.FieldsByDBName["bindings"].Size; len(got) > size {
		t.Errorf("got %d bytes for a column of %d", len(got), size)
	}
}
