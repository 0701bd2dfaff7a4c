package requirements

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

func TestR03TheCallbackThatBringsANewSecretIsSignedWithTheOldOne(t *testing.T) {
	play(t, func(w *world) {
		site := w.installed(unsigned)
		old, before := site.Secret(), w.row(site)

		change := site.Callback(fakehost.Installed)
		forged := change.Clone()
		forged.Token.Key = []byte(change.Secret)
		w.denies(core.ReasonBadSignature, "signed with the secret that it brings")(forged.Post(w.Context()))
		w.unchanged(site, before)

		w.accepts(change.Send(w.Context()))
		w.holds(site, own(old, core.Usable), own(change.Secret, core.Usable))
		w.serves(site, "the first page with the new secret")
		w.settles(site)
		w.holds(site, own(old, core.Retired), own(change.Secret, core.Usable))
		late := site.Callback(fakehost.Installed)
		late.Token.Key = []byte(old)
		w.pass(second)
		w.denies(core.ReasonRetired, "signed with a secret that the site has left behind")(late.Post(w.Context()))
	}, symmetric)
}

// installs are the two protocols: Atlassian signs installs, or the site does.
var installs = map[string]struct {
	configure func(*core.Config)
	site      func(*fakehost.Config)
	signed    bool // by Atlassian
}{
	"Atlassian signs installs": {func(*core.Config) {}, func(*fakehost.Config) {}, true},
	"the site signs installs":  {symmetric, unsigned, false},
}

func TestR04AnIgnoredUninstallAndAnInstallRehearseANewSecret(t *testing.T) {
	for name, protocol := range installs {
		for _, heard := range []bool{false, true} {
			t.Run(name+", uninstall heard: "+strconv.FormatBool(heard), func(t *testing.T) {
				play(t, func(w *world) {
					site := w.installed(protocol.site)
					w.settles(site)
					old := site.Secret()
					if !heard {
						site.LoseNextCall()
					}
					if _, err := site.Uninstall(w.Context()); heard != (err == nil) {
						t.Fatalf("uninstalled: %v, want it heard: %t", err, heard)
					}
					w.told()
					w.accepts(site.Install(w.Context()))
					want := map[bool]core.Outcome{false: core.OutcomeUpdated, true: core.OutcomeReinstalled}[heard]
					if c := w.change(); c.Outcome != want || !c.SecretChanged() {
						t.Errorf("got %s, another secret: %t; want %s, and another secret", c.Outcome, c.SecretChanged(), want)
					}
					if site.Secret() == old || w.row(site).Newest() != fingerprint(site.Secret()) {
						t.Error("the app is on another secret than the site, or on the old one")
					}
					w.serves(site, "a page with the new secret")
				}, protocol.configure)
			})
		}
	}
}

func TestR07TheAppWorksBeforeAndAfterTheSecretChanges(t *testing.T) {
	play(t, func(w *world) {
		site := w.installed()
		for _, when := range []string{"before the secret changes", "after it has changed", "after the site has settled"} {
			w.serves(site, "a page "+when)
			w.lets(site, "a webhook "+when)(site.Webhook(w.Context(), "/panel", []byte("{}")))
			w.lets(site, "a call of the front end "+when)(site.Do(w.Context(), http.MethodGet, "/api/me", site.ContextToken(), nil))
			if when == "before the secret changes" {
				w.accepts(site.Rotate(w.Context()))
			}
			w.settles(site)
		}
	})
}

func TestR10AfterAReinstallTheSecretHasChangedAndTheOldOneEnds(t *testing.T) {
	for name, protocol := range installs {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				site := w.installed(protocol.site)
				old, before := site.Secret(), w.row(site)
				site.LoseNextCall()
				if _, err := site.Uninstall(w.Context()); !errors.Is(err, fakehost.ErrNoAnswer) {
					t.Fatalf("got %v, want the uninstall to be lost", err)
				}
				w.accepts(site.Install(w.Context()))
				after := w.row(site)
				if before.Newest() != fingerprint(old) || after.Newest() != fingerprint(site.Secret()) ||
					after.SecretVersion != before.SecretVersion+1 {
					t.Errorf("the database went from %s to %s, version %d to %d; want the site's secrets, and the version to grow by one",
						before.Newest().Short(), after.Newest().Short(), before.SecretVersion, after.SecretVersion)
				}
				w.serves(site, "a page with the new secret")
				w.lets(site, "the old one while the site could still go back to it")(w.asks(site, old))
				w.settles(site)
				w.pass(second)
				w.denies(core.ReasonRetired, "the old secret, after the site has settled")(w.asks(site, old))
				w.serves(site, "nothing has changed for the site")
				w.holds(site, own(old, core.Retired), own(site.Secret(), core.Usable))
			}, protocol.configure)
		})
	}
}

func TestR16WhatWasDerivedFromASecretCanBeDroppedWithIt(t *testing.T) {
	play(t, func(w *world) {
		site := w.installed()
		old := site.Secret()
		derived := map[core.Fingerprint]bool{fingerprint(old): true} // access tokens, by the secret that they were got with
		w.told()
		ahead, err := site.ContextToken().Sign()
		if err != nil {
			t.Fatal(err)
		}
		w.accepts(site.Rotate(w.Context()))
		_, changes := w.told()
		for _, change := range changes {
			delete(derived, change.Old)
			derived[change.New] = true
		}
		if len(derived) != 1 || !derived[fingerprint(site.Secret())] {
			t.Errorf("the app has access tokens of %d secrets, want those of the new one alone", len(derived))
		}

		w.lets(site, "a context token of before, in its life")(w.bears("/api/me", ahead))
		long := site.ContextToken()
		long.Claims["exp"] = time.Now().Add(50 * time.Minute).Unix()
		long.Key = []byte(old)
		late, err := long.Sign()
		if err != nil {
			t.Fatal(err)
		}
		w.lets(site, "one that lives longer, while the site could still be on the old secret")(w.bears("/api/me", late))
		w.settles(site)
		w.pass(second)
		w.denies(core.ReasonRetired, "it has not expired, but the site has settled on another secret")(
			w.bears("/api/me", late))
	})
}

func TestR20ASiteThatMissedTheAnswerIsServedAndKnown(t *testing.T) {
	play(t, func(w *world) {
		site := w.installed()
		w.settles(site)
		old := site.Secret()
		lost := site.Callback(fakehost.Installed)
		w.loses(site, lost)
		w.holds(site, own(old, core.Usable), own(lost.Secret, core.Usable))
		w.serves(site, "the app has the new secret, and the site is on the old one")
		w.settles(site)
		w.holds(site, own(old, core.Usable), own(lost.Secret, core.Usable))
		if row := w.row(site); row.Run.Fingerprint != fingerprint(old) || row.Newest() != fingerprint(lost.Secret) {
			t.Errorf("the site signs with %s and the newest is %s, want the row to tell that it is on the one before",
				row.Run.Fingerprint.Short(), row.Newest().Short())
		}
		status := w.status(site)
		if status.OnTarget || status.Straggler != core.StragglerWentBack || status.SignsWith != fingerprint(old) {
			t.Errorf("got %+v, want the site to be told as one that went back", status)
		}
	})
}

func TestR24TheAppIsToldOnceOfEachChange(t *testing.T) {
	type told struct {
		core.SecretChange
		stored int64 // the version in the database when the app was told
	}
	var mu sync.Mutex
	var tellings []told
	var broken *brokenStore
	play(t, func(w *world) {
		tell := func(ctx context.Context, change core.SecretChange) {
			row, err := w.store.Get(ctx, change.Key)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			tellings = append(tellings, told{change, row.SecretVersion})
		}
		first := w.replica(func(c *core.Config) {
			c.OnSecretChanged = tell
			broken = &brokenStore{Store: c.Store}
			c.Store = broken
		})
		other := w.replica(func(c *core.Config) { c.OnSecretChanged = tell })
		w.app = first
		site := w.installed()
		key := w.row(site).Key
		versions := []core.Fingerprint{"", fingerprint(site.Secret())}

		rotation := site.Callback(fakehost.Installed)
		w.accepts(rotation.Send(w.Context()))
		versions = append(versions, fingerprint(rotation.Secret))
		w.accepts(rotation.Post(w.on(other))) // delivered again, and to another replica

		lost := site.Callback(fakehost.Installed)
		w.loses(site, lost)
		versions = append(versions, fingerprint(lost.Secret))
		w.pass(second)

		broken.noPut.Store(true)
		w.refuses(http.StatusServiceUnavailable, core.ReasonStore, "the database is down")(site.Rotate(w.Context()))
		broken.noPut.Store(false)
		w.pass(second)
		w.accepts(site.Rotate(w.on(other)))
		versions = append(versions, fingerprint(site.Secret()))

		var want []told
		for n := 1; n < len(versions); n++ {
			change := core.SecretChange{Key: key, Old: versions[n-1], New: versions[n], Version: int64(n)}
			want = append(want, told{change, int64(n)})
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(tellings, want) {
			t.Errorf("the app was told %+v, want each change once, when it was in the database: %+v", tellings, want)
		}
	})
}

func TestR24TheAppIsToldOfAChangeThatOnlyTokensShow(t *testing.T) {
	play(t, func(w *world) {
		site := w.site()
		w.offers(site, appSecret1)
		w.settles(site)
		w.deploy(appWide(appSecret2, appSecret1))
		w.told()
		for range 3 {
			w.lets(site, "Atlassian has changed over without a callback")(w.asks(site, appSecret2))
			w.pass(second)
		}
		changes, secrets := w.told()
		want := core.SecretChange{Key: w.row(site).Key, Old: fingerprint(appSecret1), New: fingerprint(appSecret2), Version: 2}
		if len(changes) != 0 || len(secrets) != 1 || secrets[0] != want {
			t.Errorf("got changes %+v and changes of the secret %+v, want none and %+v", changes, secrets, want)
		}
	}, appWide(appSecret1))
}

func TestR25APageThatWasMadeBeforeTheChangeOpensForItsWholeLife(t *testing.T) {
	const life = 15 * time.Minute // the longest that has been seen
	longLived := func(c *fakehost.Config) { c.TokenLife = life }
	t.Run("it opens until it expires, though the site is on the new secret", func(t *testing.T) {
		play(t, func(w *world) {
			site := w.installed(longLived)
			w.settles(site)
			made := time.Now()
			page, err := site.PageURL("/panel")
			if err != nil {
				t.Fatal(err)
			}
			w.accepts(site.Rotate(w.Context()))
			for time.Now().Before(made.Add(life - time.Minute)) {
				w.serves(site, "a page with the new secret")
				w.lets(site, "made before the change, and not expired")(w.opens(page))
				w.pass(time.Minute)
			}
			w.pass(time.Until(made.Add(life)) - second)
			w.lets(site, "in the last second of its life")(w.opens(page))
			w.pass(time.Minute)
			w.denies(core.ReasonExpired, "a minute after its life")(w.opens(page))
		})
	})
	t.Run("it does not if the old secret was revoked", func(t *testing.T) {
		play(t, func(w *world) {
			site := w.installed(longLived)
			old := site.Secret()
			page, err := site.PageURL("/panel")
			if err != nil {
				t.Fatal(err)
			}
			w.accepts(site.Rotate(w.Context()))
			if err := w.app.RevokeFor(w.Context(), site.ClientKey(), fingerprint(old), "no page of before may open"); err != nil {
				t.Fatal(err)
			}
			w.denies(core.ReasonRevoked, "the secret that signed it was revoked")(w.opens(page))
			w.serves(site, "a page with the new secret")
		})
	})
}

func TestR27AnUpdateIsNoRotation(t *testing.T) {
	play(t, func(w *world) {
		site := w.installed()
		before := w.row(site)
		w.told()
		update := site.Callback(fakehost.Installed).Offer(site.Secret())
		update.Payload["pluginsVersion"] = "1001.1.0"
		w.accepts(update.Send(w.Context()))
		changes, secrets := w.told()
		if len(changes) != 1 || changes[0].Outcome != core.OutcomeUpdated || changes[0].SecretChanged() || len(secrets) != 0 {
			t.Errorf("got changes %+v and changes of the secret %+v, want one update and no change of the secret", changes, secrets)
		}
		row := w.row(site)
		if row.SecretVersion != before.SecretVersion || row.Newest() != before.Newest() || row.Site.PluginsVersion != "1001.1.0" {
			t.Errorf("got secret %s, version %d, of plugins version %s; want %s and %d as before, and the new plugins version",
				row.Newest().Short(), row.SecretVersion, row.Site.PluginsVersion, before.Newest().Short(), before.SecretVersion)
		}
		w.holds(site, own(site.Secret(), core.Usable))
	})
	t.Run("nor is the step from a stored copy to a binding", func(t *testing.T) {
		play(t, func(w *world) {
			site := w.installed() // with a secret of its own
			old := w.offers(site, appSecret1)
			w.settles(site)
			w.holds(site, own(old, core.Retired), own(appSecret1, core.Usable)) // the same for all, and stored for each
			w.deploy(appWide(appSecret1))
			before := w.row(site)
			w.told()
			w.moves(1, 1)(w.app.AdoptAppSecret(w.Context(), core.Batch{}))
			w.holds(site, own(old, core.Retired), binding(appSecret1, core.Usable)) // not stored
			changes, secrets := w.told()
			if row := w.row(site); row.SecretVersion != before.SecretVersion || len(changes) != 0 || len(secrets) != 0 {
				t.Errorf("got version %d, changes %+v and changes of the secret %+v, want version %d and none",
					row.SecretVersion, changes, secrets, before.SecretVersion)
			}
			w.serves(site, "with the secret that it had")
		})
	})
}

func TestR28TheAppWideSecretIsSwappedByARollingDeployment(t *testing.T) {
	play(t, func(w *world) {
		replicas := []*replica{w.app, w.replica(appWide(appSecret1)), w.replica(appWide(appSecret1))}
		var sites []*fakehost.Site
		for range 4 {
			site := w.site()
			w.offers(site, appSecret1)
			sites = append(sites, site)
		}
		pages := func(when string) {
			for n, replica := range replicas {
				for m, site := range sites {
					w.servesOn(replica, site, "replica "+strconv.Itoa(n)+", site "+strconv.Itoa(m)+", "+when)
				}
			}
			w.pass(second)
		}
		roll := func(when string, configure func(*core.Config)) {
			for n := range replicas {
				replicas[n].stop()
				replicas[n] = w.replica(configure)
				w.app = replicas[n]
				pages(when)
			}
		}
		pages("before")
		roll("while both secrets come to one replica after the other", appWide(appSecret2, appSecret1))
		for n, site := range sites {
			w.accepts(site.Callback(fakehost.Installed).Offer(appSecret2).Send(w.on(replicas[n%3])))
			pages("while one site after the other moves")
		}
		for range 2 {
			w.pass(settle)
			pages("while the sites settle")
		}
		if need := w.report(core.ReportOptions{}).Needed[fingerprint(appSecret1)]; need != (core.Need{}) {
			t.Errorf("the old secret is needed by %+v, want by nobody", need)
		}
		roll("while the old secret leaves one replica after the other", appWide(appSecret2))
		for _, site := range sites {
			w.holds(site, binding(appSecret1, core.Retired), binding(appSecret2, core.Usable))
		}
		if err := w.app.Check(w.Context()); err != nil {
			t.Errorf("Check: got %v, want nothing to be missing", err)
		}
	}, appWide(appSecret1))
}
