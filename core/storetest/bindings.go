package storetest

import (
	"fmt"
	"maps"
	"time"

	"github.com/hostbond/hostbond/core"
)

var bindingRules = []rule{
	{
		name:  "counts",
		text:  stated("Bindings counts the installed installations of the app by the app-wide secret that they are bound to."),
		check: bindingsCounts,
	},
	{
		name:  "several",
		text:  stated("An installation counts for each of its usable bindings, be it all 8 that a row may have."),
		check: bindingsSeveral,
	},
	{
		name:  "usable only",
		text:  stated("A retired or revoked binding counts for nothing."),
		check: bindingsUsable,
	},
	{
		name:  "own secrets",
		text:  stated("A secret of the tenant's own counts for nothing, be it the same as an app-wide one or unreadable."),
		check: bindingsOwnSecrets,
	},
	{
		name:  "installed only",
		text:  stated("An installation that is not installed counts for nothing."),
		check: bindingsInstalled,
	},
	{
		name:  "changes",
		text:  stated("Bindings follows every Put and Delete; one that is in conflict changes no count."),
		check: bindingsChanges,
	},
	{
		name:  "own rows only",
		text:  stated("Bindings counts no installation of another app."),
		check: bindingsOwnRows,
	},
	{
		name:  "none",
		text:  stated("Bindings of an app without bindings returns an empty map and no error."),
		check: bindingsNone,
	},
	{
		name:  "at once",
		text:  stated("Installations that are put and deleted at once are counted as if it was done one by one."),
		check: bindingsAtOnce,
	},
}

// Secrets of the app, the same for all sites.
const (
	olderAppSecret = "the older app-wide secret"
	newerAppSecret = "the newer app-wide secret"
)

func (t *trial) binding(state core.SecretState, secret string) core.StoredSecret {
	t.Helper()
	s := core.StoredSecret{Fingerprint: t.secret(secret).Fingerprint(), State: state, OfferedAt: noon, Bound: true}
	if state != core.Usable {
		s.RetiredAt = noon.Add(time.Hour)
	}
	return s
}

// bound returns an installation that is yet to be put, with usable bindings to the secrets and with none of its own.
func (t *trial) bound(clientKey string, secrets ...string) *core.Installation {
	t.Helper()
	i := t.installation(clientKey)
	i.Secrets = nil
	for _, secret := range secrets {
		i.Secrets = append(i.Secrets, t.binding(core.Usable, secret))
	}
	return i
}

func (t *trial) bindings(appKey string) map[core.Fingerprint]int {
	t.Helper()
	counts, err := t.store.Bindings(t.Context(), appKey)
	if err != nil {
		t.Fatalf("Bindings: got error %v, want none", err)
	}
	return counts
}

// wantBindings checks the counts, which are given by the secrets themselves.
func (t *trial) wantBindings(appKey string, counts map[string]int) {
	t.Helper()
	want := make(map[core.Fingerprint]int)
	for secret, n := range counts {
		want[t.secret(secret).Fingerprint()] = n
	}
	if got := t.bindings(appKey); !maps.Equal(got, want) {
		t.Errorf("Bindings: got %v, want %v", got, want)
	}
}

func bindingsCounts(t *trial) {
	t.put(t.bound("a", olderAppSecret))
	t.put(t.bound("b", newerAppSecret))
	t.put(t.bound("c", newerAppSecret))
	t.wantBindings(t.app, map[string]int{olderAppSecret: 1, newerAppSecret: 2})
}

func bindingsSeveral(t *trial) {
	t.put(t.bound("a", olderAppSecret, newerAppSecret))
	t.put(t.bound("b", newerAppSecret, olderAppSecret))
	t.put(t.bound("c", newerAppSecret))
	counts := map[string]int{olderAppSecret: 2, newerAppSecret: 3}
	t.wantBindings(t.app, counts)

	var secrets []string
	for n := range 8 {
		secrets = append(secrets, fmt.Sprint("app-wide secret number ", n))
		counts[secrets[n]] = 1
	}
	t.put(t.bound("d", secrets...))
	t.wantBindings(t.app, counts)
}

func bindingsUsable(t *trial) {
	for clientKey, state := range map[string]core.SecretState{"a": core.Retired, "b": core.Revoked} {
		i := t.bound(clientKey)
		i.Secrets = append(i.Secrets, t.binding(state, olderAppSecret))
		t.put(i)
	}
	t.wantBindings(t.app, nil)

	i := t.bound("c", newerAppSecret)
	i.Secrets = append(i.Secrets, t.binding(core.Retired, olderAppSecret))
	t.put(i)
	t.wantBindings(t.app, map[string]int{newerAppSecret: 1})
}

func bindingsOwnSecrets(t *trial) {
	stored := t.installation("a")
	value := t.secret(newerAppSecret)
	stored.Secrets = append(stored.Secrets, core.StoredSecret{
		Fingerprint: value.Fingerprint(), State: core.Usable, OfferedAt: noon, Value: value,
	})
	t.put(stored)

	unreadable := t.installation("b")
	unreadable.Secrets[0].Value, unreadable.Secrets[0].Sealed = core.Secret{}, []byte("what the store could not open")
	t.put(unreadable)
	t.wantBindings(t.app, nil)

	stored = t.installation("c")
	stored.Secrets = append(stored.Secrets, t.binding(core.Usable, newerAppSecret))
	t.put(stored)
	t.wantBindings(t.app, map[string]int{newerAppSecret: 1})
}

func bindingsInstalled(t *trial) {
	gone := t.bound("a", newerAppSecret)
	gone.State = core.Uninstalled
	t.put(gone)
	t.wantBindings(t.app, nil)
	t.put(t.bound("b", newerAppSecret))
	t.wantBindings(t.app, map[string]int{newerAppSecret: 1})
}

func bindingsChanges(t *trial) {
	first := t.put(t.bound("a", olderAppSecret))
	t.wantBindings(t.app, map[string]int{olderAppSecret: 1})

	row := first.Clone()
	row.Secrets = append(row.Secrets, t.binding(core.Usable, newerAppSecret))
	row = t.put(row)
	t.wantBindings(t.app, map[string]int{olderAppSecret: 1, newerAppSecret: 1})

	_, err := t.store.Put(t.Context(), first)
	t.wantError(err, core.ErrConflict, "Put at an older revision")
	t.wantError(t.store.Delete(t.Context(), row.Key, first.Revision), core.ErrConflict, "Delete at an older revision")
	t.wantBindings(t.app, map[string]int{olderAppSecret: 1, newerAppSecret: 1})

	row.Secrets[0] = t.binding(core.Retired, olderAppSecret)
	row = t.put(row)
	t.wantBindings(t.app, map[string]int{newerAppSecret: 1})

	row.State = core.Uninstalled
	row = t.put(row)
	t.wantBindings(t.app, nil)

	row.State = core.Installed
	row = t.put(row)
	t.wantBindings(t.app, map[string]int{newerAppSecret: 1})

	t.delete(row)
	t.wantBindings(t.app, nil)

	row = t.put(t.bound("a", olderAppSecret))
	t.wantBindings(t.app, map[string]int{olderAppSecret: 1})

	row.Secrets = t.installation("a").Secrets
	t.put(row)
	t.wantBindings(t.app, nil)
}

func bindingsOwnRows(t *trial) {
	t.put(t.bound("a", newerAppSecret))
	for n, app := range []string{t.app + "x", t.app[:len(t.app)-1], "a" + t.app} {
		other := t.bound(fmt.Sprint("row ", n), newerAppSecret)
		other.Key.AppKey = app
		t.put(other)
	}
	t.wantBindings(t.app, map[string]int{newerAppSecret: 1})
}

func bindingsNone(t *trial) {
	t.wantBindings(t.app, nil)
	t.putAll("a", "b")
	t.wantBindings(t.app, nil)
}

func bindingsAtOnce(t *trial) {
	for round := range rounds {
		clientKey := func(rival int) string { return fmt.Sprint("round ", round, " rival ", rival) }
		var gone [rivals]*core.Installation
		for rival := 0; rival < rivals; rival += 2 {
			gone[rival] = t.put(t.bound(clientKey(rival), olderAppSecret))
		}
		var errs [rivals]error
		together(rivals, func(rival int) {
			if rival%2 == 0 {
				errs[rival] = t.store.Delete(t.Context(), gone[rival].Key, gone[rival].Revision)
			} else {
				_, errs[rival] = t.store.Put(t.Context(), t.bound(clientKey(rival), newerAppSecret))
			}
		})
		for _, err := range errs {
			if err != nil {
				t.Fatalf("Put and Delete of different rows at once: got error %v, want none", err)
			}
		}
		t.wantBindings(t.app, map[string]int{newerAppSecret: (round + 1) * rivals / 2})
	}
}
