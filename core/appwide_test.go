package core_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

// Requests of sites that sign with an app-wide secret, on one replica and on several.

// bindTo lets the site take an app-wide secret into use.
func (b *bundle) bindTo(t *testing.T, site *fakehost.Site, secret string) {
	t.Helper()
	if _, err := site.Callback(fakehost.Installed).Offer(secret).Send(t.Context()); err != nil {
		t.Fatalf("install: %v; the app says %s", err, b.log.reason())
	}
	b.clock.advance(time.Second)
}

// get loads the panel with a token of the site that is signed with the secret.
func (b *bundle) get(t *testing.T, site *fakehost.Site, secret string) (fakehost.Answer, core.ReasonCode) {
	t.Helper()
	token := site.Token(http.MethodGet, "/panel")
	token.Key = []byte(secret)
	b.log.clear()
	answer, err := site.Do(t.Context(), http.MethodGet, "/panel", token, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.clock.advance(time.Second) // so that a bad signature need not wait for its turn to read
	return answer, b.log.reason()
}

func (b *bundle) wantGet(t *testing.T, site *fakehost.Site, secret string, status int, reason core.ReasonCode) {
	t.Helper()
	if answer, got := b.get(t, site, secret); answer.StatusCode != status || got != reason {
		t.Errorf("signed with %q: got %d %q, want %d %q", secret, answer.StatusCode, got, status, reason)
	}
}

// secretsOf tells the secrets of a row, the one offered last at the end: "1" to "3" are bindings, "copy" is a secret whose
// value is stored; in brackets what is usable no more.
func secretsOf(t *testing.T, row *core.Installation) string {
	t.Helper()
	names := map[core.Fingerprint]string{
		fingerprintOf(t, appWide1): "1", fingerprintOf(t, appWide2): "2", fingerprintOf(t, appWide3): "3",
	}
	var list []string
	for _, s := range row.Secrets {
		name := names[s.Fingerprint]
		if !s.Bound {
			name = "copy"
		}
		if s.State != core.Usable {
			name = "(" + name + ")"
		}
		list = append(list, name)
	}
	return strings.Join(list, " ")
}

func wantSecrets(t *testing.T, row *core.Installation, want string) {
	t.Helper()
	if got := secretsOf(t, row); got != want {
		t.Errorf("the row has %q, want %q", got, want)
	}
}

func TestATokenSignedWithAnAppWideSecretActsForItsIssuerOnly(t *testing.T) {
	t.Parallel()
	b := setup(t, withAppSecrets(t, appWide1))
	b.bindTo(t, b.site, appWide1)
	other := b.newSite(t, fakehost.Config{})
	if _, err := other.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	token := b.site.Token(http.MethodPost, "/panel").As("5b10a2844c20165700ede21g")
	// Whatever else speaks of the other one.
	token.Claims["aud"] = []string{other.ClientKey(), other.BaseURL(), b.server.URL}
	token.Claims["clientKey"], token.Claims["client_key"] = other.ClientKey(), other.ClientKey()
	token.Claims["context"] = map[string]any{"clientKey": other.ClientKey(), "baseUrl": other.BaseURL()}
	token.Header["kid"] = other.ClientKey()
	body := fmt.Appendf(nil, `{"clientKey":%q,"baseUrl":%q,"iss":%q}`, other.ClientKey(), other.BaseURL(), other.ClientKey())
	answer, err := other.Do(t.Context(), http.MethodPost, "/panel", token, body)
	want := b.site.ClientKey() + " 5b10a2844c20165700ede21g"
	if err != nil || answer.StatusCode != http.StatusOK || string(answer.Body) != want {
		t.Errorf("got %d %q, %v, want it served for %q", answer.StatusCode, answer.Body, err, want)
	}
}

func TestAnAppWideSecretOpensNoTenantThatIsNotBound(t *testing.T) {
	t.Parallel()
	b := setup(t, withAppSecrets(t, appWide2, appWide1))
	b.bindTo(t, b.site, appWide1)
	own, gone, stranger := b.newSite(t, fakehost.Config{}), b.newSite(t, fakehost.Config{}), b.newSite(t, fakehost.Config{})
	if _, err := own.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.bindTo(t, gone, appWide1)
	if _, err := gone.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	answers := map[string]fakehost.Answer{}
	for _, c := range []struct {
		name   string
		site   *fakehost.Site
		secret string
		reason core.ReasonCode
	}{
		{"its own secret, the older app-wide one", own, appWide1, core.ReasonBadSignature},
		{"its own secret, the newer one", own, appWide2, core.ReasonBadSignature},
		{"unknown", stranger, appWide1, core.ReasonUnknownTenant},
		{"unknown, the newer one", stranger, appWide2, core.ReasonUnknownTenant},
		{"uninstalled", gone, appWide1, core.ReasonNotInstalled},
		{"bound, and no secret of anybody", b.site, "a guess of a stranger", core.ReasonBadSignature},
	} {
		answer, reason := b.get(t, c.site, c.secret)
		if answer.StatusCode != http.StatusUnauthorized || reason != c.reason {
			t.Errorf("%s: got %d %q, want 401 %q", c.name, answer.StatusCode, reason, c.reason)
		}
		answer.Header.Del("X-Correlation-Id")
		answer.Header.Del("Date")
		answers[c.name] = answer
	}
	for name, answer := range answers {
		same := maps.EqualFunc(answer.Header, answers["unknown"].Header, func(a, b []string) bool { return fmt.Sprint(a) == fmt.Sprint(b) })
		if !same || !bytes.Equal(answer.Body, answers["unknown"].Body) {
			t.Errorf("%s: got %v %q, unlike the answer for an unknown tenant", name, answer.Header, answer.Body)
		}
	}
}

func TestTwoAppsOfOneProcessHaveTheirAppWideSecretsEachForItself(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		one := replica(withAppSecrets(t, appWide1))
		two := replica(withAppSecrets(t, appWide2), func(c *core.Config) { c.AppKey = "com.example.other" })
		store.bind(t, "bound", appWide1)
		row, err := store.Get(t.Context(), core.Key{AppKey: appKey, ClientKey: "bound"})
		if err != nil {
			t.Fatal(err)
		}
		row.Key.AppKey, row.Revision, row.Secrets[0].Fingerprint = "com.example.other", 0, fingerprintOf(t, appWide2)
		if _, err := store.Put(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		want(t, authenticate(t, one, "bound", appWide1), "")
		want(t, authenticate(t, two, "bound", appWide2), "")
		want(t, authenticate(t, one, "bound", appWide2), core.ReasonBadSignature)
		want(t, authenticate(t, two, "bound", appWide1), core.ReasonBadSignature)
		wantCheck(t, one)
		wantCheck(t, two)
		revoke(t, one, fingerprintOf(t, appWide1), 1)
		want(t, authenticate(t, two, "bound", appWide2), "")
	})
}

func TestASiteWithItsOwnSecretAgainIsServedWithNoAppWideOneOnceThatIsSettled(t *testing.T) {
	t.Parallel()
	b := setup(t, withAppSecrets(t, appWide2, appWide1))
	b.bindTo(t, b.site, appWide1)
	b.site.LoseNextAnswer()
	if _, err := b.site.Rotate(t.Context()); err == nil {
		t.Fatal("the answer was not lost")
	}
	b.wantPage(t, http.StatusOK, "") // it is still on the app-wide one
	b.clock.advance(time.Second)
	if _, err := b.site.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.wantGet(t, b.site, appWide1, http.StatusOK, "")
	b.use(t)
	b.clock.advance(time.Second)
	b.wantGet(t, b.site, appWide1, http.StatusUnauthorized, core.ReasonRetired)
	b.wantGet(t, b.site, appWide2, http.StatusUnauthorized, core.ReasonBadSignature)
	b.wantPage(t, http.StatusOK, "")
}

func TestATokenOfAnotherAppWideSecretIsServedAndWrittenDownOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, withAppSecrets(t, appWide3, appWide2, appWide1))
	b.bindTo(t, b.site, appWide1)
	wantSecrets(t, b.row(t), "1")
	b.store.unwritable.Store(true)
	b.wantGet(t, b.site, appWide3, http.StatusOK, "")
	b.recorded(t)
	b.store.unwritable.Store(false)
	wantSecrets(t, b.row(t), "1")

	for _, c := range []struct{ secret, want string }{{appWide3, "1 3"}, {appWide2, "1 2 3"}, {appWide1, "1 2 3"}} {
		b.wantGet(t, b.site, c.secret, http.StatusOK, "")
		b.recorded(t)
		wantSecrets(t, b.row(t), c.want)
	}
	if row := b.row(t); row.SecretVersion != 2 || row.Newest() != fingerprintOf(t, appWide3) {
		t.Errorf("got version %d with %s as the newest, want 2 with the third", row.SecretVersion, row.Newest().Short())
	}
	puts := b.store.puts.Load()
	for range 10 {
		for _, secret := range []string{appWide1, appWide2, appWide3} {
			b.wantGet(t, b.site, secret, http.StatusOK, "")
		}
	}
	b.recorded(t)
	if more := b.store.puts.Load() - puts; more > 0 {
		t.Errorf("30 more requests made %d writes, want none", more)
	}
}

// callbackRequest returns the callback as an adapter hands it to the app.
func callbackRequest(t *testing.T, c *fakehost.Callback) core.Request {
	t.Helper()
	token, err := c.Token.Sign()
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(c.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return core.Request{
		Method: http.MethodPost, Target: "/installed", Authorization: []string{"JWT " + token}, Body: bytes.NewReader(body),
	}
}

// fleet is two replicas on one store: b.app knows the first app-wide secret, later the second too. All sites begin on the
// first one.
type fleet struct {
	*bundle
	old, new *core.App
	source   *vault // of the old one
	sites    []*fakehost.Site
	secrets  map[*fakehost.Site]string
}

func newFleet(t *testing.T, configure ...func(*core.Config)) *fleet {
	t.Helper()
	f := &fleet{source: newVault(t, appWide1), secrets: map[*fakehost.Site]string{}}
	var config core.Config
	f.bundle = setup(t, append(configure, asks(f.source), func(c *core.Config) { config = *c })...)
	config.AppSecrets = appSecrets(t, appWide2, appWide1)
	f.old, f.new = f.app, newApp(t, config)
	for range 3 {
		site := f.newSite(t, fakehost.Config{})
		f.sites = append(f.sites, site)
		f.move(t, f.old, site, appWide1)
	}
	return f
}

// move lets a site take the secret into use, by a callback that reaches this replica.
func (f *fleet) move(t *testing.T, app *core.App, site *fakehost.Site, secret string) {
	t.Helper()
	callback := site.Callback(fakehost.Installed).Offer(secret)
	if _, err := app.Lifecycle(t.Context(), core.EventInstalled, callbackRequest(t, callback)); err != nil {
		t.Fatal(err)
	}
	f.secrets[site] = secret
	f.clock.advance(time.Second)
}

// wantOn loads a page of the site from the replica.
func (f *fleet) wantOn(t *testing.T, app *core.App, site *fakehost.Site, want core.ReasonCode) {
	t.Helper()
	now := f.clock.Now().Unix()
	token := site.Token(http.MethodGet, "/panel")
	token.Key, token.Claims["iat"], token.Claims["exp"] = []byte(f.secrets[site]), now, now+180
	_, err := app.Authenticate(t.Context(), request(t, token, "/panel"))
	if got := core.Reason(err); got != want {
		t.Errorf("%v: got %q, want %q", f.clock.Now().Format(time.TimeOnly), got, want)
	}
	if want == core.ReasonNotConfigured && core.StatusCode(err) != http.StatusServiceUnavailable {
		t.Errorf("got status %d, want 503: it is our fault", core.StatusCode(err))
	}
	f.clock.advance(time.Second)
	if err := core.Flush(t.Context(), app); err != nil {
		t.Fatal(err)
	}
}

func TestWhileReplicasAreConfiguredInTurnNoSiteThatStaysIsRefused(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	moved := f.sites[0]
	stay := func() {
		t.Helper()
		for _, site := range f.sites {
			if site != moved {
				f.wantOn(t, f.old, site, "")
				f.wantOn(t, f.new, site, "")
			}
		}
	}
	f.wantOn(t, f.old, moved, "")
	f.wantOn(t, f.new, moved, "")
	stay()

	f.move(t, f.new, moved, appWide2)
	for range 6 { // until it has settled, and the first secret is left behind
		f.wantOn(t, f.new, moved, "")
		f.wantOn(t, f.old, moved, core.ReasonNotConfigured)
		stay()
		f.clock.advance(16 * time.Minute)
	}
	wantSecrets(t, f.rowOf(t, moved), "(1) 2")
	f.wantOn(t, f.old, moved, core.ReasonNotConfigured)

	f.source.holds(t, appWide2, appWide1)
	f.clock.advance(10 * time.Second) // twice CacheTTL
	f.wantOn(t, f.old, moved, "")
	f.wantOn(t, f.new, moved, "")
	stay()
	for _, site := range f.sites[1:] {
		f.move(t, f.old, site, appWide2)
		f.wantOn(t, f.old, site, "")
		f.wantOn(t, f.new, site, "")
		wantSecrets(t, f.rowOf(t, site), "1 2")
	}
	wantCheck(t, f.old)
}

func TestASecretThatAReplicaDoesNotKnowYetIsStoredAndServedByAll(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	site := f.sites[0]
	f.move(t, f.old, site, appWide2)
	wantSecrets(t, f.rowOf(t, site), "1 copy")
	f.wantOn(t, f.old, site, "")
	f.wantOn(t, f.new, site, "")
	f.move(t, f.new, site, appWide2)
	wantSecrets(t, f.rowOf(t, site), "1 2")
	f.wantOn(t, f.new, site, "")
	f.wantOn(t, f.old, site, core.ReasonNotConfigured)
	f.move(t, f.old, site, appWide2)
	wantSecrets(t, f.rowOf(t, site), "1 copy")
	f.wantOn(t, f.old, site, "")
}

// It is bound to both secrets, of which one is known to the one replica only.
func TestASiteThatSentNoSecretIsServedByAllWhateverItSignsWith(t *testing.T) {
	t.Parallel()
	for name, secret := range map[string]string{"the older one": appWide1, "the newer one": appWide2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t)
			site := f.newSite(t, fakehost.Config{})
			callback := site.Callback(fakehost.Installed).OfferNothing()
			if _, err := f.new.Lifecycle(t.Context(), core.EventInstalled, callbackRequest(t, callback)); err != nil {
				t.Fatal(err)
			}
			wantSecrets(t, f.rowOf(t, site), "1 2")
			f.secrets[site] = secret
			for range 4 {
				f.clock.advance(16 * time.Minute)
				f.wantOn(t, f.new, site, "")
				if secret == appWide2 {
					f.wantOn(t, f.old, site, core.ReasonNotConfigured)
				} else {
					f.wantOn(t, f.old, site, "")
				}
			}
		})
	}
}
