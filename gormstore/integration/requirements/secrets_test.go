package requirements

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
	"github.com/hostbond/hostbond/gormstore/integration/internal/runs"
)

func TestR01EachSiteHasASecretOfItsOwn(t *testing.T) {
	play(t, func(w *world) {
		one, other := w.installed(), w.installed()
		for _, site := range []*fakehost.Site{one, other} {
			w.holds(site, own(site.Secret(), core.Usable))
			w.serves(site, "signed with the site's own secret")
		}
		w.pass(second)
		const why = "signed with the secret of another site"
		w.denies(core.ReasonBadSignature, why)(w.asks(one, other.Secret()))
		w.denies(core.ReasonBadSignature, why)(w.asks(other, one.Secret()))
	})
}

func TestR02EverySiteMayHaveTheSameSecret(t *testing.T) {
	for name, test := range map[string]struct {
		configure func(*core.Config)
		want      held
	}{
		"the app knows that it is app-wide": {appWide(appSecret1), binding(appSecret1, core.Usable)},
		"the app does not":                  {func(*core.Config) {}, own(appSecret1, core.Usable)},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				for range 3 {
					site := w.site()
					w.offers(site, appSecret1)
					w.holds(site, test.want)
					w.serves(site, "signed with the secret that all sites have")
				}
				w.deploy(appWide(appSecret1))
				report := w.reports(core.ReportOptions{}, 3, 3)
				if got := report.BySecret[core.SecretAppWide]; got != (core.Tally{Total: 3, OnTarget: 3}) || report.Total != 3 {
					t.Errorf("got %+v of %d on the secret, want 3 of 3", got, report.Total)
				}
			}, test.configure)
		})
	}
}

func TestR12SitesWithSecretsOfTheirOwnGoOnWhileOthersMove(t *testing.T) {
	play(t, func(w *world) {
		var sites []*fakehost.Site
		for range 5 {
			sites = append(sites, w.installed())
		}
		stay := []string{sites[3].Secret(), sites[4].Secret()}
		pages := runs.Scaled(1000)
		for n := range pages {
			site := sites[n%5]
			if every := pages * 3 / 10; n%every == 0 && n < 3*every {
				moves := sites[n/every]
				ahead, err := moves.PageURL("/panel")
				if err != nil {
					t.Fatal(err)
				}
				w.loses(moves, moves.Callback(fakehost.Installed).Offer(appSecret1))
				w.serves(moves, "the answer was lost, and so the site has gone back to its own secret")
				w.offers(moves, appSecret1)
				w.lets(moves, "the page was signed before the site moved")(w.opens(ahead))
			}
			w.serves(site, "while three of five sites move")
			w.pass(second)
		}
		for n, site := range sites {
			if n < 3 {
				w.settles(site)
				if got := w.row(site).Newest(); got != fingerprint(appSecret1) {
					t.Errorf("site %d has moved: its newest secret is %s, want the app-wide one", n, got.Short())
				}
				continue
			}
			w.holds(site, own(stay[n-3], core.Usable))
		}
		if text := w.log.String(); strings.Contains(text, `"reason"`) {
			t.Errorf("a request was refused, want none:\n%s", text)
		}
	}, appWide(appSecret1))
}

func TestR13TheAppWideSecretArrivesTenantByTenantInANormalInstall(t *testing.T) {
	play(t, func(w *world) {
		sites := []*fakehost.Site{w.installed(), w.installed(), w.installed()}
		w.told()
		for n, site := range sites {
			before := w.rows()
			old := w.offers(site, appSecret1)
			w.holds(site, own(old, core.Usable), binding(appSecret1, core.Usable))
			for m, other := range sites {
				if m != n {
					w.unchanged(other, before[other.ClientKey()])
				}
			}
			changes, secrets := w.told()
			if len(changes) != 1 || len(secrets) != 1 {
				t.Fatalf("site %d: got %d changes and %d changes of the secret, want one each", n, len(changes), len(secrets))
			}
			c := changes[0]
			if c.Outcome != core.OutcomeUpdated || !c.SecretChanged() || newestIsBound(c.Before) || !newestIsBound(c.After) {
				t.Errorf("site %d: got %s, secret changed %t, app-wide before %t and after %t, want it updated to an app-wide secret",
					n, c.Outcome, c.SecretChanged(), newestIsBound(c.Before), newestIsBound(c.After))
			}
			key := before[site.ClientKey()].Key
			want := core.SecretChange{Key: key, Old: fingerprint(old), New: fingerprint(appSecret1), Version: 2}
			if secrets[0] != want {
				t.Errorf("site %d: got %+v, want %+v", n, secrets[0], want)
			}
		}
	}, appWide(appSecret1))
}

func newestIsBound(row *core.Installation) bool {
	return slices.ContainsFunc(row.Secrets, func(s core.StoredSecret) bool { return s.Fingerprint == row.Newest() && s.Bound })
}

func TestR15TheAppWideSecretComesFromTheEnvironment(t *testing.T) {
	t.Run("the list has the current one first", func(t *testing.T) {
		t.Setenv("APP_SECRETS", appSecret2+","+appSecret1)
		config := fromEnv(t)
		got, err := config.AppSecrets.Secrets(t.Context())
		if err != nil || len(got) != 2 || !got[0].Equal(secret(appSecret2)) || !got[1].Equal(secret(appSecret1)) {
			t.Errorf("got %d secrets, %v, want the two of the variable, in its order", len(got), err)
		}
	})
	for name, value := range map[string]string{
		"none in it": " , ", "one that is too short": "short", "the same twice": appSecret1 + "," + appSecret1,
		"more than there may be": appSecret1 + "," + appSecret2 + ",the third app-wide secret,the fourth app-wide secret",
	} {
		t.Run("the app does not start with "+name, func(t *testing.T) {
			t.Setenv("APP_SECRETS", value)
			_, err := core.ConfigFromEnv()
			switch {
			case err == nil || !strings.Contains(err.Error(), "APP_SECRETS"):
				t.Errorf("got error %v, want one that names APP_SECRETS", err)
			case strings.Contains(err.Error(), "app-wide-secret-1"), strings.Contains(err.Error(), "short,"):
				t.Errorf("the error quotes the secret: %v", err)
			}
		})
	}
	for name, text := range map[string]*string{"that is not there": nil, "without a secret": new("\n\n")} {
		t.Run("the app does not start with a file "+name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "secrets")
			if text != nil {
				if err := os.WriteFile(path, []byte(*text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("APP_SECRETS_FILE", path)
			if _, err := core.ConfigFromEnv(); err == nil || !strings.Contains(err.Error(), "APP_SECRETS_FILE") {
				t.Errorf("got error %v, want one that names APP_SECRETS_FILE", err)
			}
		})
	}
	t.Run("it is shown nowhere", func(t *testing.T) {
		t.Setenv("APP_SECRETS", appSecret1)
		config := fromEnv(t)
		playAlone(t, func(w *world) {
			site := w.site()
			w.offers(site, appSecret1)
			w.holds(site, binding(appSecret1, core.Usable))
			w.serves(site, "the site is bound to the secret of the environment")
			_, err := site.Get(w.Context(), "/panel?jwt=no-token")
			if err != nil {
				t.Fatal(err)
			}
			w.deploy() // without the secret
			w.refuses(http.StatusServiceUnavailable, core.ReasonNotConfigured, "the site needs a secret that the app was not given")(
				site.Get(w.Context(), "/panel"))
			missing := w.app.Check(w.Context())
			if !errors.Is(missing, core.ErrAppSecrets) {
				t.Errorf("Check: got %v, want %v, since a site needs the secret", missing, core.ErrAppSecrets)
			}
			encoded, err := json.Marshal(config.AppSecrets)
			if err != nil {
				t.Fatal(err)
			}
			for where, text := range map[string]string{
				"the log": w.log.String(), "an error": fmt.Sprint(missing), "the database": w.dump(), "JSON": string(encoded),
				"%v": fmt.Sprint(config), "%+v": fmt.Sprintf("%+v", config), "%#v": fmt.Sprintf("%#v", config.AppSecrets),
			} {
				if strings.Contains(text, "app-wide-secret-1") {
					t.Errorf("the secret is in %s: %s", where, text)
				}
			}
		}, func(c *core.Config) { c.AppSecrets = config.AppSecrets })
	})
}

// fromEnv returns the configuration of the environment.
func fromEnv(t *testing.T) core.Config {
	t.Helper()
	config, err := core.ConfigFromEnv()
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestR18AStolenAppWideSecretOpensOnlyTheSitesThatAreOnIt(t *testing.T) {
	play(t, func(w *world) {
		apart := w.installed()
		moved, overridden, bound := w.installed(), w.site(), w.site()
		w.offers(moved, appSecret1)
		w.offers(overridden, appSecret1)
		w.offers(bound, appSecret1)
		w.settles(moved, overridden, bound)
		w.pass(second)
		w.denies(core.ReasonBadSignature, "the site has a secret of its own, and never had the app-wide one")(
			w.asks(apart, appSecret1))
		w.exposes(appSecret1, map[*fakehost.Site]core.Standing{
			moved: core.StandingOnly, overridden: core.StandingOnly, bound: core.StandingOnly,
		})

		w.accepts(overridden.Rotate(w.Context()))
		w.exposes(appSecret1, map[*fakehost.Site]core.Standing{
			moved: core.StandingOnly, overridden: core.StandingUnsettled, bound: core.StandingOnly,
		})
		w.settles(overridden)
		w.exposes(appSecret1, map[*fakehost.Site]core.Standing{moved: core.StandingOnly, bound: core.StandingOnly})
		w.exposes(overridden.Secret(), map[*fakehost.Site]core.Standing{overridden: core.StandingOnly})
		w.pass(second)
		w.denies(core.ReasonRetired, "the site's own secret has taken the place of the app-wide one")(
			w.asks(overridden, appSecret1))
		w.serves(bound, "of no concern to a site that is on the app-wide secret")
	}, appWide(appSecret1))
}

// exposes fails the test unless the secret verifies for exactly these sites.
func (w *world) exposes(value string, want map[*fakehost.Site]core.Standing) {
	w.Helper()
	wanted := []core.Exposed{}
	for site, standing := range want {
		key := core.Key{AppKey: inprocess.AppKey, ClientKey: site.ClientKey()}
		wanted = append(wanted, core.Exposed{Key: key, BaseURL: site.BaseURL(), Standing: standing})
	}
	slices.SortFunc(wanted, func(a, b core.Exposed) int { return strings.Compare(a.Key.ClientKey, b.Key.ClientKey) })
	got := []core.Exposed{}
	for exposed, err := range w.app.Exposure(w.Context(), fingerprint(value)) {
		if err != nil {
			w.Fatal(err)
		}
		got = append(got, exposed)
	}
	if !slices.Equal(got, wanted) {
		w.Errorf("the secret verifies for %+v, want %+v", got, wanted)
	}
}

func TestR22SitesGoBackToSecretsOfTheirOwn(t *testing.T) {
	for name, test := range map[string]struct {
		configure func(*core.Config)
		site      func(*fakehost.Config)
	}{
		"by an install that Atlassian signs":                 {func(*core.Config) {}, func(*fakehost.Config) {}},
		"by an install that is signed with the app-wide one": {symmetric, unsigned},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				site := w.site(test.site)
				w.offers(site, appSecret1)
				w.settles(site)
				w.holds(site, binding(appSecret1, core.Usable))
				w.told()

				w.accepts(site.Rotate(w.Context()))
				w.holds(site, binding(appSecret1, core.Usable), own(site.Secret(), core.Usable))
				w.reports(core.ReportOptions{Target: core.TargetOwn}, 1, 1)
				if c := w.change(); c.Outcome != core.OutcomeUpdated || !newestIsBound(c.Before) || newestIsBound(c.After) {
					t.Errorf("got %+v, want the site updated from an app-wide secret to one of its own", c)
				}
				w.settles(site)
				w.holds(site, binding(appSecret1, core.Retired), own(site.Secret(), core.Usable))
				w.pass(second)
				w.denies(core.ReasonRetired, "the site has left the app-wide secret behind")(
					w.asks(site, appSecret1))
			}, appWide(appSecret1), test.configure)
		})
	}
}

func TestR49TheAppWideSecretIsKeptOnceForAllSites(t *testing.T) {
	play(t, func(w *world) {
		var sites []*fakehost.Site
		n := runs.Scaled(200)
		for range n {
			site := w.site()
			w.offers(site, appSecret1)
			sites = append(sites, site)
		}
		for _, row := range w.rows() {
			if len(row.Secrets) != 1 || !row.Secrets[0].Bound || !row.Secrets[0].Value.IsZero() || row.Secrets[0].Sealed != nil {
				t.Fatalf("%s: got secrets %+v, want a binding and no copy", row.Key.ClientKey, row.Secrets)
			}
		}
		if need := w.report(core.ReportOptions{}).Needed[fingerprint(appSecret1)]; need != (core.Need{Live: n}) {
			t.Errorf("the secret is needed by %+v, want by %d live sites", need, n)
		}

		before := w.dump()
		w.deploy(appWide(appSecret2, appSecret1))
		if w.dump() != before {
			t.Error("the new secret was written to the database, want it in the configuration alone")
		}
		for _, site := range sites {
			w.lets(site, "the configuration has the secret that all sites have now")(w.asks(site, appSecret2))
			w.lets(site, "and the one that they had before")(w.asks(site, appSecret1))
		}
	}, appWide(appSecret1))
}
