package core_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/qsh"
)

// First installs that the site signs with an app-wide secret, where Config.AppSecretSignsFirstInstall accepts them.

const (
	appWide1 = "the first app-wide secret"
	appWide2 = "the second app-wide secret"
	appWide3 = "the third app-wide secret"
)

func appSecrets(t testing.TB, values ...string) core.StaticSecrets {
	t.Helper()
	var secrets core.StaticSecrets
	for _, value := range values {
		secret, err := core.NewSecret(value)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, secret)
	}
	return secrets
}

// withAppSecrets configures the app-wide secrets, the newest first.
func withAppSecrets(t testing.TB, values ...string) func(*core.Config) {
	t.Helper()
	secrets := appSecrets(t, values...)
	return func(c *core.Config) { c.AppSecrets = secrets }
}

// acceptsAppWideInstalls is the configuration that these tests are about.
func acceptsAppWideInstalls(c *core.Config) {
	c.SymmetricInstalls, c.AppSecretSignsFirstInstall = true, true
}

// signed returns the callback as the site would send it if it signed it with the secret.
func (b *bundle) signed(c *fakehost.Callback, clientKey, secret string) *fakehost.Callback {
	target := map[fakehost.Event]string{fakehost.Installed: "/installed", fakehost.Uninstalled: "/uninstalled"}[c.Event]
	now := b.clock.Now().Unix()
	c.Token = &fakehost.Token{
		Header: map[string]any{"alg": "HS256", "typ": "JWT"},
		Claims: map[string]any{"iss": clientKey, "iat": now, "exp": now + 180, "qsh": qsh.Hash(http.MethodPost, target, "")},
		Key:    []byte(secret),
	}
	return c
}

// firstInstall returns a first install of the bundle's site that brings the one secret and is signed with the other.
func (b *bundle) firstInstall(brings, signer string) *fakehost.Callback {
	return b.signed(b.site.Callback(fakehost.Installed).Offer(brings), b.site.ClientKey(), signer)
}

func TestAFirstInstallSignedWithAnAppWideSecretIsAccepted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rule, signer, brings string }{
		{"it brings the newest", appWide2, appWide2},
		{"it brings an older one", appWide1, appWide1},
		{"it brings none", appWide2, ""},
		{"it brings none, and was signed with an older one", appWide1, ""},
		{"it brings a secret of its own", appWide2, first},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			b := setup(t, withAppSecrets(t, appWide2, appWide1), acceptsAppWideInstalls)
			callback := b.firstInstall(c.brings, c.signer)
			if c.brings == "" {
				callback.OfferNothing().Secret = c.signer // which is what the site signs with from now on
			}
			if _, err := callback.Send(t.Context()); err != nil {
				t.Fatalf("%v; the app says %s", err, b.log.reason())
			}
			b.wantPage(t, http.StatusOK, "")
			row := b.row(t)
			if row.Signing != core.SignedHS256 || string(row.Newest()) != b.site.Fingerprint() {
				t.Errorf("got %s with %s as the newest, want HS256 with %s", row.Signing, row.Newest().Short(), b.site.Fingerprint()[:12])
			}
			for _, s := range row.Secrets {
				if copied := !s.Value.IsZero(); copied != (s.Fingerprint == fingerprintOf(t, first)) {
					t.Errorf("%s: a copy is stored: %t; want that of its own only", s.Fingerprint.Short(), copied)
				}
			}
			b.clock.advance(time.Second)
			if status := b.post(t, callback); status != http.StatusNoContent || b.row(t).Revision != row.Revision {
				t.Errorf("a second time: got %d %q, want 204 without a write", status, b.log.reason())
			}
		})
	}
}

func TestAFirstInstallSignedWithAnAppWideSecretIsCheckedAsAnyOther(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule   string
		change func(b *bundle, c *fakehost.Callback)
		status int
		reason core.ReasonCode
	}{
		{"another key", func(_ *bundle, c *fakehost.Callback) { c.Token.Key = []byte("a key that nobody has heard of") }, 401, core.ReasonUnknownTenant},
		{"the secret that it brings", func(_ *bundle, c *fakehost.Callback) { c.Token.Key = []byte(first) }, 401, core.ReasonUnknownTenant},
		{"HS512 with that secret", func(_ *bundle, c *fakehost.Callback) { c.Token.Header["alg"] = "HS512" }, 401, core.ReasonAlgorithm},
		{"without iss", func(_ *bundle, c *fakehost.Callback) { delete(c.Token.Claims, "iss") }, 401, core.ReasonClaims},
		{"for another tenant", func(_ *bundle, c *fakehost.Callback) { c.Token.Claims["iss"] = "somebody-else" }, 401, core.ReasonClientKey},
		{"for another base URL", func(_ *bundle, c *fakehost.Callback) { c.Token.Claims["aud"] = "https://other.example.com" }, 401, core.ReasonAudience},
		{"for another route", func(_ *bundle, c *fakehost.Callback) {
			c.Token.Claims["qsh"] = qsh.Hash(http.MethodPost, "/uninstalled", "")
		}, 401, core.ReasonQueryHash},
		{"a context token", func(_ *bundle, c *fakehost.Callback) { c.Token.Claims["qsh"] = "context-qsh" }, 401, core.ReasonTokenKind},
		{"without a query hash", func(_ *bundle, c *fakehost.Callback) { delete(c.Token.Claims, "qsh") }, 401, core.ReasonClaims},
		{"expired", func(b *bundle, _ *fakehost.Callback) { b.clock.advance(time.Hour) }, 401, core.ReasonExpired},
		{"lives too long", func(_ *bundle, c *fakehost.Callback) {
			c.Token.Claims["exp"] = c.Token.Claims["exp"].(int64) + 1200
		}, 401, core.ReasonTokenLife},
		{"base URL at another host", func(_ *bundle, c *fakehost.Callback) { c.Payload["baseUrl"] = "https://evil.example" }, 400, core.ReasonBaseURL},
		{"body for another app", func(_ *bundle, c *fakehost.Callback) { c.Payload["key"] = "com.example.other" }, 401, core.ReasonAppKey},
		{"a short secret", func(_ *bundle, c *fakehost.Callback) { c.Offer("too short") }, 400, core.ReasonSecretInvalid},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			b := setup(t, withAppSecrets(t, appWide2, appWide1), acceptsAppWideInstalls)
			callback := b.firstInstall(first, appWide2)
			c.change(b, callback)
			b.wantRefused(t, callback, c.status, c.reason)
		})
	}
	b := setup(t, withAppSecrets(t, appWide2), acceptsAppWideInstalls)
	callback := b.firstInstall(appWide2, appWide2)
	callback.Token.Claims["aud"] = []string{b.server.URL + "/"}
	if status := b.post(t, callback); status != http.StatusNoContent {
		t.Errorf("with the right audience: got %d %q, want 204", status, b.log.reason())
	}
}

func TestAFirstInstallSignedWithAnAppWideSecretReservesItsToken(t *testing.T) {
	t.Parallel()
	b := setup(t, withAppSecrets(t, appWide2), acceptsAppWideInstalls)
	genuine := b.firstInstall(appWide2, appWide2)
	stolen := genuine.Clone().Offer("a secret that the thief has chosen himself")
	if _, err := genuine.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.wantRefused(t, stolen, 401, core.ReasonBodyChanged)
}

func TestWithoutThePolicyAnAppWideSecretInstallsNobody(t *testing.T) {
	t.Parallel()
	symmetric := func(c *core.Config) { c.SymmetricInstalls = true }
	b := setup(t, withAppSecrets(t, appWide2), symmetric)
	b.wantRefused(t, b.firstInstall(appWide2, appWide2), 401, core.ReasonUnknownTenant)
	signed := setup(t, withAppSecrets(t, appWide2))
	signed.wantRefused(t, signed.firstInstall(appWide2, appWide2), 401, core.ReasonAlgorithm)
}

func TestAnAppWideSecretInstallsNoTenantThatHasItsOwn(t *testing.T) {
	t.Parallel()
	unsigned := func(c *core.Config) { c.InsecureUnsignedFirstInstall = true }
	for rule, config := range map[string]fakehost.Config{
		"a site that signs its callbacks itself": {App: fakehost.Descriptor{Symmetric: true}},
		"a site for which Atlassian signs":       {},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			b := setup(t, withAppSecrets(t, appWide2), acceptsAppWideInstalls, unsigned)
			b.site = b.newSite(t, config)
			b.install(t)
			b.wantRefused(t, b.firstInstall(appWide2, appWide2), 401, core.ReasonBadSignature)
			b.clock.advance(time.Second)
			if !config.App.Symmetric {
				b.wantRefused(t, b.firstInstall(appWide2, b.site.Secret()), 401, core.ReasonAlgorithm)
			}
			b.wantPage(t, http.StatusOK, "")
			if _, err := b.site.Uninstall(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.clock.advance(time.Second)
			b.wantRefused(t, b.firstInstall(appWide2, appWide2), 401, core.ReasonBadSignature)
		})
	}
}

func TestARevokedAppWideSecretInstallsNobody(t *testing.T) {
	t.Parallel()
	b := setup(t, withAppSecrets(t, appWide2, appWide1), acceptsAppWideInstalls)
	revoke(t, b.app, fingerprintOf(t, appWide2), 0)
	b.wantRefused(t, b.firstInstall(appWide1, appWide2), 401, core.ReasonUnknownTenant)
	b.clock.advance(time.Second)
	b.wantRefused(t, b.firstInstall(appWide2, appWide1), 401, core.ReasonRevoked)
	b.clock.advance(time.Second)
	if status := b.post(t, b.firstInstall(appWide1, appWide1)); status != http.StatusNoContent {
		t.Errorf("signed with the other one: got %d %q, want 204", status, b.log.reason())
	}
}

func TestASiteThatAnAppWideSecretHasInstalledGoesThroughItsWholeLife(t *testing.T) {
	t.Parallel()
	b := setup(t, withAppSecrets(t, appWide2, appWide1), acceptsAppWideInstalls)
	b.site.LoseNextAnswer()
	if _, err := b.firstInstall(first, appWide2).Send(t.Context()); err == nil {
		t.Fatal("the answer was not lost")
	}
	for _, step := range []struct {
		rule string
		send func() error
	}{
		{"the next first install, since the answer to the first was lost", func() error {
			_, err := b.firstInstall(second, appWide2).Send(t.Context())
			return err
		}},
		{"an update", func() error { _, err := b.site.Rotate(t.Context()); return err }},
		{"the end", func() error { _, err := b.site.Uninstall(t.Context()); return err }},
		{"a return", func() error { _, err := b.site.Install(t.Context()); return err }},
	} {
		b.clock.advance(time.Second)
		if err := step.send(); err != nil {
			t.Fatalf("%s: %v; the app says %s", step.rule, err, b.log.reason())
		}
	}
	b.wantPage(t, http.StatusOK, "")
	b.use(t)
	b.clock.advance(time.Second)
	// Now it has settled on its own, and no app-wide secret opens it.
	b.wantRefused(t, b.firstInstall(appWide2, appWide2), 401, core.ReasonRetired)
	b.clock.advance(time.Second)
	b.wantRefused(t, b.firstInstall(appWide1, appWide1), 401, core.ReasonBadSignature)
}

func TestAFirstInstallThatNobodySignedIsNoneOfThese(t *testing.T) {
	t.Parallel()
	b := setup(t, withAppSecrets(t, appWide2), acceptsAppWideInstalls)
	unsigned := b.site.Callback(fakehost.Installed).Offer(appWide2)
	unsigned.Token = nil
	b.wantRefused(t, unsigned, 401, core.ReasonTokenMissing)
	gone := b.signed(b.site.Callback(fakehost.Uninstalled), b.site.ClientKey(), appWide2)
	b.wantRefused(t, gone, 401, core.ReasonUnknownTenant)
}
