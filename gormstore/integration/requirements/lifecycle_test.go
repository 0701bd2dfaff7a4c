package requirements

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
)

func TestR05AnUninstallThatNobodyHearsLeavesTheInstallationAsItIs(t *testing.T) {
	for name, protocol := range installs {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				site := w.installed(protocol.site, func(c *fakehost.Config) {
					c.App.Lifecycle = map[fakehost.Event]string{fakehost.Installed: "/installed", fakehost.Uninstalled: "/nowhere"}
				})
				old, before := site.Secret(), w.row(site)
				if answer, _ := site.Uninstall(w.Context()); answer.StatusCode != http.StatusNotFound {
					t.Errorf("an uninstall on a path that is not there: got status %d, want 404", answer.StatusCode)
				}
				w.unchanged(site, before)
				w.told()
				w.accepts(site.Install(w.Context()))
				if c := w.change(); c.Outcome != core.OutcomeUpdated {
					t.Errorf("got %s, want an update: nobody has told of the uninstall", c.Outcome)
				}
				w.holds(site, own(old, core.Usable), own(site.Secret(), core.Usable))
				w.serves(site, "the app is installed again")
			}, protocol.configure)
		})
	}
}

func TestR06ASiteInstallsTheAppFromItsDescriptor(t *testing.T) {
	const hooks = "/hooks/"
	play(t, func(w *world) {
		app, err := fakehost.ReadDescriptor(w.Context(), &http.Client{Transport: w}, inprocess.BaseURL+"/atlassian-connect.json")
		if err != nil {
			t.Fatal(err)
		}
		if app.Key != inprocess.AppKey || app.BaseURL != inprocess.BaseURL || app.Symmetric {
			t.Errorf("got key %s, base URL %s, symmetric %t; want those of the app, and signed installs",
				app.Key, app.BaseURL, app.Symmetric)
		}
		for _, event := range []fakehost.Event{fakehost.Installed, fakehost.Uninstalled, fakehost.Enabled, fakehost.Disabled} {
			if want := hooks + string(event); app.Lifecycle[event] != want {
				t.Errorf("%s: got path %q, want %q", event, app.Lifecycle[event], want)
			}
		}
		site := w.site(func(c *fakehost.Config) { c.App = app })
		for _, callback := range []func() (fakehost.Answer, error){
			func() (fakehost.Answer, error) { return site.Install(w.Context()) },
			func() (fakehost.Answer, error) { return site.Enable(w.Context()) },
			func() (fakehost.Answer, error) { return site.Disable(w.Context()) },
			func() (fakehost.Answer, error) { return site.Uninstall(w.Context()) },
			func() (fakehost.Answer, error) { return site.Install(w.Context()) },
		} {
			w.accepts(callback())
		}
		w.serves(site, "the app is installed")
	}, func(c *core.Config) {
		c.Paths = core.Paths{
			Installed: hooks + "installed", Uninstalled: hooks + "uninstalled",
			Enabled: hooks + "enabled", Disabled: hooks + "disabled",
		}
	})
}

func TestR09AfterAnUninstallTheOldSecretIsGoodForTheNextInstallOnly(t *testing.T) {
	for name, protocol := range installs {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				site := w.installed(protocol.site)
				w.settles(site)
				old := site.Secret()
				w.accepts(site.Uninstall(w.Context()))
				if protocol.signed { // Atlassian signs the next install, so there is nothing to keep the secret for
					w.holds(site, own(old, core.Retired))
				} else {
					w.holds(site, own(old, core.Usable))
				}
				w.denies(core.ReasonNotInstalled, "a page after the uninstall")(site.Get(w.Context(), "/panel"))
				w.told()
				w.accepts(site.Install(w.Context()))
				if c := w.change(); c.Outcome != core.OutcomeReinstalled || c.After.State != core.Installed {
					t.Errorf("got %s, %s, want the site to be reinstalled", c.Outcome, c.After.State)
				}
				w.serves(site, "the app is installed again")
			}, protocol.configure)
		})
	}
}

func TestR19ACallbackSpeaksForItsOwnTenantOnly(t *testing.T) {
	for name, protocol := range installs {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				victim, thief := w.installed(protocol.site), w.installed(protocol.site)
				before := w.rows()
				for _, event := range []fakehost.Event{fakehost.Installed, fakehost.Uninstalled} {
					callback := thief.Callback(event)
					callback.Payload["clientKey"] = victim.ClientKey()
					w.denies(core.ReasonClientKey, "signed for one tenant, with a body for another")(
						callback.Post(w.Context()))
				}
				for _, site := range []*fakehost.Site{victim, thief} {
					w.unchanged(site, before[site.ClientKey()])
					w.serves(site, "nothing has changed")
				}
				if rows := w.rows(); len(rows) != 2 {
					t.Errorf("got %d installations, want 2", len(rows))
				}
			}, protocol.configure)
		})
	}
}

func TestR29AnInstallMayComeWithoutASecret(t *testing.T) {
	bare := func(w *world, site *fakehost.Site) (fakehost.Answer, error) {
		return site.Callback(fakehost.Installed).OfferNothing().Send(w.Context())
	}
	t.Run("a known tenant keeps what it has", func(t *testing.T) {
		play(t, func(w *world) {
			site := w.installed()
			before := w.row(site)
			w.accepts(bare(w, site))
			w.holds(site, own(site.Secret(), core.Usable))
			if row := w.row(site); row.SecretVersion != before.SecretVersion {
				t.Errorf("got secret version %d, want %d as before", row.SecretVersion, before.SecretVersion)
			}
			w.serves(site, "with the secret that it had")
		})
	})
	t.Run("so does one that is on an app-wide secret", func(t *testing.T) {
		play(t, func(w *world) {
			site := w.site()
			w.offers(site, appSecret1)
			w.deploy(appWide(appSecret2, appSecret1))
			w.accepts(bare(w, site))
			w.holds(site, binding(appSecret1, core.Usable))
			w.serves(site, "with the secret that it had")
		}, appWide(appSecret1))
	})
	t.Run("an unknown tenant is on an app-wide secret", func(t *testing.T) {
		play(t, func(w *world) {
			site := w.site()
			w.accepts(bare(w, site))
			w.holds(site, binding(appSecret1, core.Usable), binding(appSecret2, core.Usable))
			for range 2 {
				w.pass(settle)
				w.lets(site, "signed with the newest one")(w.asks(site, appSecret2))
			}
			w.holds(site, binding(appSecret1, core.Retired), binding(appSecret2, core.Usable))
		}, appWide(appSecret2, appSecret1))
	})
	t.Run("an unknown tenant without an app-wide secret is refused", func(t *testing.T) {
		play(t, func(w *world) {
			site := w.site()
			w.refuses(http.StatusBadRequest, core.ReasonSecretMissing, "nobody knows what this tenant will sign with")(bare(w, site))
			if rows := w.rows(); len(rows) != 0 {
				t.Errorf("got %d installations, want none", len(rows))
			}
		})
	})
}

func TestR30TwoAppsInOneProcessDoNotTakeEachOthersTokens(t *testing.T) {
	play(t, func(w *world) {
		const otherKey, otherURL = "com.example.other", "https://other.example"
		moved := func(c *core.Config) { c.AppKey, c.BaseURL = otherKey, otherURL }
		other := w.replica(moved)
		// As after a move: what is made for the old address is still accepted.
		shared := w.replica(moved, func(c *core.Config) { c.BaseURLs = []string{inprocess.BaseURL} })
		site := w.installed()
		twin := w.site(func(c *fakehost.Config) {
			c.App.Key, c.App.BaseURL, c.ClientKey, c.BaseURL = otherKey, otherURL, site.ClientKey(), site.BaseURL()
		})

		w.denies(core.ReasonUnknownTenant, "a page of an app that the site has, at one that it does not have")(
			site.Get(w.on(other), "/panel"))
		w.accepts(twin.Install(w.on(other)))
		w.pass(cacheTTL)
		w.denies(core.ReasonBadSignature, "a page of one app, at the other one")(site.Get(w.on(other), "/panel"))
		w.denies(core.ReasonBadSignature, "and the other way round")(twin.Get(w.Context(), "/panel"))
		w.denies(core.ReasonAudience, "a callback of one app, at the other one")(
			site.Callback(fakehost.Installed).Post(w.on(other)))
		w.denies(core.ReasonAppKey, "a callback of one app, at another one under the same address")(
			site.Callback(fakehost.Installed).Post(w.on(shared)))
		w.servesOn(other, twin, "each at its own app")
		w.serves(site, "each at its own app")
		w.holds(site, own(site.Secret(), core.Usable))
	})
}

func TestR38AnInstallOfATenantThatWasForgottenIsAcceptedFromAtlassianOnly(t *testing.T) {
	t.Run("signed by Atlassian it is a first install", func(t *testing.T) {
		play(t, func(w *world) {
			site := w.installed()
			w.accepts(site.Uninstall(w.Context()))
			w.forget(site)
			w.told()
			w.accepts(site.Install(w.Context()))
			w.isFirstInstall(site)
		})
	})
	t.Run("signed with a secret that nobody has it is refused", func(t *testing.T) {
		play(t, func(w *world) {
			site := w.installed(unsigned)
			w.accepts(site.Uninstall(w.Context()))
			w.forget(site)
			w.denies(core.ReasonUnknownTenant, "nobody can verify it")(site.Install(w.Context()))
			if w.row(site) != nil {
				t.Error("the refused install has left a row")
			}

			w.told()
			signed := w.site(func(c *fakehost.Config) { c.ClientKey = site.ClientKey() })
			w.accepts(signed.Install(w.Context()))
			w.isFirstInstall(signed)
		}, symmetric)
	})
	t.Run("as long as its row is kept it is verified", func(t *testing.T) {
		play(t, func(w *world) {
			site := w.installed(unsigned)
			w.accepts(site.Uninstall(w.Context()))
			w.pass(365 * day)
			forged := site.Callback(fakehost.Installed)
			forged.Token.Key = []byte("a secret of the thief's own")
			w.denies(core.ReasonBadSignature, "not signed with the tenant's last secret")(forged.Post(w.Context()))
			w.told()
			w.accepts(site.Install(w.Context()))
			if c := w.change(); c.Outcome != core.OutcomeReinstalled {
				t.Errorf("got %s, want the site to be reinstalled", c.Outcome)
			}
		}, symmetric)
	})
}

// isFirstInstall fails the test unless the last thing that happened is a first install of the site.
func (w *world) isFirstInstall(site *fakehost.Site) {
	w.Helper()
	changes, secrets := w.told()
	if len(changes) != 1 || changes[0].Outcome != core.OutcomeInstalled || changes[0].Before != nil {
		w.Errorf("got changes %+v, want a first install, with nothing before it", changes)
	}
	if len(secrets) != 1 || secrets[0].Old != "" || secrets[0].Version != 1 {
		w.Errorf("got changes of the secret %+v, want the first one", secrets)
	}
	row := w.row(site)
	if row == nil || row.SecretVersion != 1 || row.State != core.Installed || row.CreatedAt.Before(time.Now().Add(-2*second)) {
		w.Fatalf("got row %+v, want one that was made just now, with its first secret", row)
	}
	w.holds(site, own(site.Secret(), core.Usable))
	w.serves(site, "the app is installed")
}

func TestR39AnInstallAfterACleanUpIsLikeTheFirst(t *testing.T) {
	play(t, func(w *world) {
		site := w.installed()
		w.accepts(site.Rotate(w.Context()))
		w.settles(site)
		old := site.Secret()
		w.accepts(site.Uninstall(w.Context()))
		w.forget(site)
		if text := w.dump(); strings.Contains(text, site.BaseURL()) || strings.Contains(text, string(fingerprint(old))) {
			t.Errorf("something is left of the tenant:\n%s", text)
		}
		w.told()
		w.accepts(site.Install(w.Context()))
		w.isFirstInstall(site)
		w.pass(second)
		w.denies(core.ReasonBadSignature, "signed with the secret of the life before")(w.asks(site, old))
	})
}

func TestR48ASiteThatInstallsAgainMovesToTheAppWideSecret(t *testing.T) {
	for name, protocol := range installs {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				site := w.installed(protocol.site)
				other := w.installed(protocol.site)
				old := site.Secret()
				w.reports(core.ReportOptions{}, 0, 2)
				w.accepts(site.Uninstall(w.Context()))
				w.pass(200 * day)
				w.serves(other, "the app is in use")
				w.reports(core.ReportOptions{}, 0, 1)
				w.offers(site, appSecret1)
				w.reports(core.ReportOptions{}, 1, 2)
				if protocol.signed {
					w.holds(site, own(old, core.Retired), binding(appSecret1, core.Usable))
				} else {
					w.holds(site, own(old, core.Usable), binding(appSecret1, core.Usable))
				}
				w.settles(site)
				w.holds(site, own(old, core.Retired), binding(appSecret1, core.Usable))
			}, appWide(appSecret1), protocol.configure)
		})
	}
}

func TestR50AFirstInstallIsAuthenticated(t *testing.T) {
	// signed is a first install that is signed with an app-wide secret.
	signed := func(w *world, site *fakehost.Site, with string) *fakehost.Callback {
		callback := site.Callback(fakehost.Installed).Offer(appSecret1)
		callback.Token = site.Token(http.MethodPost, "/installed")
		callback.Token.Key = []byte(with)
		return callback
	}
	optIn := func(c *core.Config) { c.SymmetricInstalls, c.AppSecretSignsFirstInstall = true, true }
	t.Run("one that is not signed is refused", func(t *testing.T) {
		play(t, func(w *world) {
			w.denies(core.ReasonTokenMissing, "anybody could have sent it")(w.site(unsigned).Install(w.Context()))
			if rows := w.rows(); len(rows) != 0 {
				t.Errorf("got %d installations, want none", len(rows))
			}
		})
	})
	t.Run("unless the app asks for it, and then for the first one only", func(t *testing.T) {
		play(t, func(w *world) {
			site := w.installed(unsigned)
			again := site.Callback(fakehost.Installed)
			again.Token = nil
			w.denies(core.ReasonTokenMissing, "a known tenant signs")(again.Post(w.Context()))
			w.holds(site, own(site.Secret(), core.Usable))
		}, symmetric)
	})
	t.Run("one that is signed with the app-wide secret is refused", func(t *testing.T) {
		play(t, func(w *world) {
			site := w.site(unsigned)
			w.denies(core.ReasonUnknownTenant, "whoever has the app-wide secret could install for anybody")(
				signed(w, site, appSecret1).Send(w.Context()))
		}, appWide(appSecret1), func(c *core.Config) { c.SymmetricInstalls = true })
	})
	t.Run("unless the app asks for it", func(t *testing.T) {
		play(t, func(w *world) {
			site := w.site(unsigned)
			w.denies(core.ReasonUnknownTenant, "signed with another secret")(
				signed(w, site, appSecret2).Send(w.Context()))
			w.accepts(signed(w, site, appSecret1).Send(w.Context()))
			w.holds(site, binding(appSecret1, core.Usable))
			w.serves(site, "the app is installed")
		}, appWide(appSecret1), optIn)
	})
}

func TestR51ThePayloadMayHaveMoreOrLessThanIsKnown(t *testing.T) {
	play(t, func(w *world) {
		more := w.site()
		callback := more.Callback(fakehost.Installed)
		callback.Payload["announcedNextYear"] = map[string]any{"text": "of no concern to the app"}
		w.accepts(callback.Send(w.Context()))
		w.serves(more, "the payload had a member that is not known")
		if strings.Contains(w.dump(), "of no concern") {
			t.Error("what is not known was stored")
		}

		less := w.site()
		callback = less.Callback(fakehost.Installed)
		for name := range callback.Payload {
			switch name {
			case "key", "clientKey", "sharedSecret", "eventType", "baseUrl":
			default:
				delete(callback.Payload, name)
			}
		}
		w.accepts(callback.Send(w.Context()))
		w.serves(less, "the payload had no member that is not needed")

		site := w.site()
		for _, test := range []struct {
			status int
			reason core.ReasonCode
			body   func(whole string) string
			why    string
		}{
			{http.StatusBadRequest, core.ReasonBody, func(whole string) string {
				return strings.TrimSuffix(whole, "}") + `,"clientKey":"` + site.ClientKey() + `"}`
			}, "a member is there twice, and two readers could see two values"},
			{http.StatusBadRequest, core.ReasonBody, func(whole string) string {
				return strings.TrimSuffix(whole, "}")
			}, "it is cut off"},
			{http.StatusRequestEntityTooLarge, core.ReasonBodyTooLarge, func(whole string) string {
				return whole + strings.Repeat(" ", 64<<10)
			}, "it is larger than 64 KiB"},
		} {
			callback := site.Callback(fakehost.Installed)
			whole, err := json.Marshal(callback.Payload)
			if err != nil {
				t.Fatal(err)
			}
			callback.Body = []byte(test.body(string(whole)))
			w.refuses(test.status, test.reason, test.why)(callback.Send(w.Context()))
		}
		if w.row(site) != nil {
			t.Error("a refused callback has left a row")
		}
		w.accepts(site.Install(w.Context()))
	})
}
