package core_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

// Each step of the order in which a callback is checked, and each status of its answer. Wherever the answer is not 204
// the row is the same to the byte.

func TestCallbackIsRefused(t *testing.T) {
	t.Parallel()
	const thief = "a secret that the thief has chosen himself"
	for _, c := range []struct {
		name   string
		change func(b *bundle, c *fakehost.Callback)
		status int
		reason core.ReasonCode
	}{
		{"body too large", func(_ *bundle, c *fakehost.Callback) { c.Body = bytes.Repeat([]byte(" "), 64<<10+1) }, 413, core.ReasonBodyTooLarge},
		{"unsigned", func(_ *bundle, c *fakehost.Callback) { c.Token = nil }, 401, core.ReasonTokenMissing},
		{"two tokens", func(_ *bundle, c *fakehost.Callback) { c.URL += "?jwt=a.b.c" }, 401, core.ReasonTokenAmbiguous},
		{"no token at all", func(_ *bundle, c *fakehost.Callback) { c.Token = nil; c.Header.Set("Authorization", "JWT nonsense") }, 401, core.ReasonTokenMalformed},
		{"alg none", func(_ *bundle, c *fakehost.Callback) { c.Token.Header["alg"] = "none" }, 401, core.ReasonAlgorithm},
		{"header with crit", func(_ *bundle, c *fakehost.Callback) { c.Token.Header["crit"] = []string{"exp"} }, 401, core.ReasonHeader},
		{"signed with the shared secret", func(b *bundle, c *fakehost.Callback) {
			c.Token.Header, c.Token.Key = map[string]any{"alg": "HS256"}, []byte(b.site.Secret())
		}, 401, core.ReasonAlgorithm},
		{"signed by another key", func(_ *bundle, c *fakehost.Callback) { _, c.Token.Key = new(fakehost.Keys).Current() }, 401, core.ReasonBadSignature},
		{"unknown key id", func(_ *bundle, c *fakehost.Callback) { c.Token.Header["kid"] = "fake-kid" }, 401, core.ReasonUnknownKey},
		{"no key id", func(_ *bundle, c *fakehost.Callback) { delete(c.Token.Header, "kid") }, 401, core.ReasonUnknownKey},
		{"expired", func(b *bundle, c *fakehost.Callback) { b.clock.advance(time.Hour) }, 401, core.ReasonExpired},
		{"from the future", func(b *bundle, c *fakehost.Callback) { b.clock.advance(-time.Hour) }, 401, core.ReasonNotYetValid},
		{"lives too long", func(b *bundle, c *fakehost.Callback) {
			c.Token.Claims["exp"] = b.clock.Now().Add(21 * time.Minute).Unix()
		}, 401, core.ReasonTokenLife},
		{"without iss", func(_ *bundle, c *fakehost.Callback) { delete(c.Token.Claims, "iss") }, 401, core.ReasonClaims},
		{"without iat", func(_ *bundle, c *fakehost.Callback) { delete(c.Token.Claims, "iat") }, 401, core.ReasonClaims},
		{"without exp", func(_ *bundle, c *fakehost.Callback) { delete(c.Token.Claims, "exp") }, 401, core.ReasonClaims},
		{"without qsh", func(_ *bundle, c *fakehost.Callback) { delete(c.Token.Claims, "qsh") }, 401, core.ReasonClaims},
		{"without aud", func(_ *bundle, c *fakehost.Callback) { delete(c.Token.Claims, "aud") }, 401, core.ReasonAudience},
		{"for another app's base URL", func(_ *bundle, c *fakehost.Callback) { c.Token.Claims["aud"] = "https://other.example.com" }, 401, core.ReasonAudience},
		{"for a longer base URL", func(_ *bundle, c *fakehost.Callback) {
			c.Token.Claims["aud"] = c.Token.Claims["aud"].(string) + ".evil.example"
		}, 401, core.ReasonAudience},
		{"context token", func(_ *bundle, c *fakehost.Callback) { c.Token.Claims["qsh"] = "context-qsh" }, 401, core.ReasonTokenKind},
		{"made for another route", func(_ *bundle, c *fakehost.Callback) {
			c.URL = strings.Replace(c.URL, "/installed", "/uninstalled", 1)
		}, 401, core.ReasonQueryHash},
		{"another parameter", func(_ *bundle, c *fakehost.Callback) { c.URL += "?user_key=admin" }, 401, core.ReasonQueryHash},
		{"body of another tenant", func(_ *bundle, c *fakehost.Callback) { c.Payload["clientKey"] = "somebody-else" }, 401, core.ReasonClientKey},
		{"body for another app", func(_ *bundle, c *fakehost.Callback) { c.Payload["key"] = "com.example.other" }, 401, core.ReasonAppKey},
		{"body of another event", func(_ *bundle, c *fakehost.Callback) { c.Payload["eventType"] = "uninstalled" }, 400, core.ReasonEventType},
		{"base URL at another host", func(_ *bundle, c *fakehost.Callback) { c.Payload["baseUrl"] = "https://evil.example" }, 400, core.ReasonBaseURL},
		{"base URL not https", func(_ *bundle, c *fakehost.Callback) { c.Payload["baseUrl"] = "http://acme.atlassian.net" }, 400, core.ReasonBaseURL},
		{"no base URL", func(_ *bundle, c *fakehost.Callback) { delete(c.Payload, "baseUrl") }, 400, core.ReasonBaseURL},
		{"short secret", func(_ *bundle, c *fakehost.Callback) { c.Offer("too short") }, 400, core.ReasonSecretInvalid},
		{"long secret", func(_ *bundle, c *fakehost.Callback) { c.Offer(strings.Repeat("x", 4097)) }, 400, core.ReasonSecretInvalid},
		{"blank secret", func(_ *bundle, c *fakehost.Callback) { c.Offer(strings.Repeat(" ", 40)) }, 400, core.ReasonSecretInvalid},
		{"no JSON", func(_ *bundle, c *fakehost.Callback) { c.Body = []byte("sharedSecret=" + thief) }, 400, core.ReasonBody},
		{"JSON array", func(_ *bundle, c *fakehost.Callback) { c.Body = []byte("[]") }, 400, core.ReasonBody},
		{"no body", func(_ *bundle, c *fakehost.Callback) { c.Body = []byte{} }, 400, core.ReasonBody},
		{"duplicate name", func(_ *bundle, c *fakehost.Callback) {
			c.Body = []byte(`{"clientKey":"` + c.Payload["clientKey"].(string) + `","sharedSecret":"` + thief + `","sharedSecret":"` + thief + `"}`)
		}, 400, core.ReasonBody},
		{"NUL in a string", func(_ *bundle, c *fakehost.Callback) { c.Payload["description"] = "a\x00b" }, 400, core.ReasonBody},
		{"number for a string", func(_ *bundle, c *fakehost.Callback) { c.Payload["sharedSecret"] = 12345678901234567 }, 400, core.ReasonBody},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.install(t)
			forged := b.site.Callback(fakehost.Installed).Offer(thief)
			c.change(b, forged)
			b.wantRefused(t, forged, c.status, c.reason)
		})
	}
}

func TestCallbackIsAcceptedForEveryConfiguredBaseURL(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *core.Config) { c.BaseURLs = []string{"https://old.example.com/"} })
	for _, audience := range []any{
		b.server.URL, b.server.URL + "/", []string{b.server.URL}, "https://old.example.com",
		[]string{"https://other.example", "https://old.example.com/"},
	} {
		callback := b.site.Callback(fakehost.Installed)
		callback.Token.Claims["aud"] = audience
		if status := b.post(t, callback); status != http.StatusNoContent {
			t.Errorf("aud %v: got %d %q, want 204", audience, status, b.log.reason())
		}
		b.clock.advance(time.Second)
	}
}

func TestCallbackOfAnUnknownTenantNeedsASecret(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.wantRefused(t, b.site.Callback(fakehost.Installed).OfferNothing(), 400, core.ReasonSecretMissing)
}

func TestUninstalledOfAnUnknownTenantIsAnswered204(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if status := b.post(t, b.site.Callback(fakehost.Uninstalled)); status != http.StatusNoContent {
		t.Errorf("got %d %q, want 204", status, b.log.reason())
	}
	if row := b.row(t); row != nil {
		t.Errorf("a row was made: %+v", row)
	}
}

func TestCallbackWithAnotherBodyUnderAUsedTokenIsRefusedForGood(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	genuine := b.site.Callback(fakehost.Installed)
	if _, err := genuine.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	stolen := genuine.Clone().Offer("a secret that the thief has chosen himself")
	b.wantRefused(t, stolen, 401, core.ReasonBodyChanged)
	b.wantRefused(t, stolen, 401, core.ReasonBodyChanged)
}

func TestCallbackClaimedByAThiefFirstIsLostForBoth(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	genuine := b.site.Callback(fakehost.Installed)
	swapped := genuine.Clone()
	swapped.Body = []byte("{}") // reaches the app first
	b.wantRefused(t, swapped, 401, core.ReasonClientKey)
	b.wantRefused(t, genuine, 401, core.ReasonBodyChanged)
	b.wantPage(t, http.StatusOK, "") // the site goes back, and works on
}

func TestTheSameCallbackAgainIs204WithoutAWrite(t *testing.T) {
	t.Parallel()
	b := setup(t)
	callback := b.site.Callback(fakehost.Installed)
	for range 3 {
		if status := b.post(t, callback); status != http.StatusNoContent {
			t.Fatalf("got %d %q, want 204", status, b.log.reason())
		}
		b.clock.advance(time.Second)
	}
	if puts := b.store.puts.Load(); puts != 1 {
		t.Errorf("got %d writes, want 1", puts)
	}
}

func TestACallbackThatCrashedBetweenClaimAndCommitIsDecidedWhenItComesAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	callback := b.site.Callback(fakehost.Installed)
	b.store.unwritable.Store(true)
	b.wantRefused(t, callback, 503, core.ReasonStore)
	b.store.unwritable.Store(false)
	if status := b.post(t, callback); status != http.StatusNoContent {
		t.Errorf("got %d %q, want 204", status, b.log.reason())
	}
}

func TestAnOlderCallbackIsRefusedThoughItsTokenIsGood(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	old := b.site.Callback(fakehost.Installed)
	b.clock.advance(2 * time.Second)
	if _, err := b.site.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.wantRefused(t, old, 409, core.ReasonStale)
}

// The site's clock is ahead of ours, within the leeway. Its own order counts, on every replica and at every replay.
func TestCallbacksAreOrderedByTheSitesOwnClock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	ahead := func(event fakehost.Event) *fakehost.Callback {
		c := b.site.Callback(event)
		for _, claim := range []string{"iat", "exp"} {
			c.Token.Claims[claim] = c.Token.Claims[claim].(int64) + 20
		}
		return c
	}
	rotation := ahead(fakehost.Installed)
	if status := b.post(t, rotation); status != http.StatusNoContent {
		t.Fatalf("got %d %q, want 204", status, b.log.reason())
	}
	b.clock.advance(5 * time.Second)
	b.wantUnchanged(t, rotation)
	if status := b.post(t, ahead(fakehost.Uninstalled)); status != http.StatusNoContent {
		t.Fatalf("got %d %q, want 204", status, b.log.reason())
	}
	b.clock.advance(20 * time.Second)
	b.wantRefused(t, rotation, 409, core.ReasonStale)
}

// wantUnchanged posts a callback that was applied already.
func (b *bundle) wantUnchanged(t *testing.T, c *fakehost.Callback) {
	t.Helper()
	before := b.row(t)
	if status := b.post(t, c); status != http.StatusNoContent {
		t.Errorf("got %d %q, want 204", status, b.log.reason())
	}
	if after := b.row(t); !reflect.DeepEqual(before, after) {
		t.Errorf("the replay changed the row:\nbefore %+v\nafter  %+v", before, after)
	}
}

func TestEnabledAndDisabledAreSignedByTheSite(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	disabled := b.site.Callback(fakehost.Disabled)
	unsigned := disabled.Clone()
	unsigned.Token = nil
	b.wantRefused(t, unsigned, 401, core.ReasonTokenMissing)
	forged := disabled.Clone()
	forged.Token.Key = []byte("a key that the site does not know")
	b.wantRefused(t, forged, 401, core.ReasonBadSignature)
	if status := b.post(t, disabled); status != http.StatusNoContent || !b.row(t).Disabled {
		t.Errorf("got %d %q, want 204 and the row disabled", status, b.log.reason())
	}
	b.clock.advance(time.Second)
	if _, err := b.site.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The secrets are erased, so a late disabled cannot be verified any more.
	b.wantRefused(t, disabled, 401, core.ReasonRetired)
}

func TestSymmetricCallbacksAreRefusedOnceAtlassianHasSigned(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *core.Config) { c.SymmetricInstalls, c.InsecureUnsignedFirstInstall = true, true })
	signed := b.newSite(t, fakehost.Config{}) // a site that reads "signed-install" in the descriptor
	if _, err := signed.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.clock.advance(time.Second)
	downgraded := signed.Callback(fakehost.Installed)
	downgraded.Token.Header, downgraded.Token.Key = map[string]any{"alg": "HS256"}, []byte(signed.Secret())
	if status := b.post(t, downgraded); status != 401 || b.log.reason() != core.ReasonAlgorithm {
		t.Errorf("HS256: got %d %q, want 401 algorithm", status, b.log.reason())
	}
	unsigned := signed.Callback(fakehost.Installed)
	unsigned.Token = nil
	if status := b.post(t, unsigned); status != 401 || b.log.reason() != core.ReasonTokenMissing {
		t.Errorf("unsigned: got %d %q, want 401 token_missing", status, b.log.reason())
	}
}

func TestASymmetricCallbackIsNotSignedWithTheSecretItBrings(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *core.Config) { c.SymmetricInstalls, c.InsecureUnsignedFirstInstall = true, true })
	b.install(t)
	const next = "the secret that this callback brings along"
	own := b.site.Callback(fakehost.Installed).Offer(next)
	own.Token.Key = []byte(next)
	b.wantRefused(t, own, 401, core.ReasonBadSignature)
}

func TestWithTheStoreDownCallbacksAreRefusedAndNothingIsWritten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	b.store.down.Store(true)
	b.wantRefused(t, b.site.Callback(fakehost.Installed), 503, core.ReasonStore)
	b.wantRefused(t, b.site.Callback(fakehost.Uninstalled), 503, core.ReasonStore)
	if err := b.app.Check(t.Context()); err == nil {
		t.Error("Check did not notice")
	}
	b.store.down.Store(false)
	if err := b.app.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAStoreThatPanicsIsAStoreThatIsDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	b.store.panics.Store(true)
	b.wantRefused(t, b.site.Callback(fakehost.Installed), http.StatusServiceUnavailable, core.ReasonStore)
	b.store.panics.Store(false)
	if status := b.post(t, b.site.Callback(fakehost.Installed)); status != http.StatusNoContent {
		t.Errorf("with the store well again: got %d, want 204", status)
	}
}

func TestWithTheKeyHostDownCallbacksAreRefused(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	keyHost := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		testKeys().ServeHTTP(w, r)
	}))
	defer keyHost.Close()
	b := setup(t, func(c *core.Config) { c.KeyHosts = []string{keyHost.URL} })
	down.Store(true)
	b.wantRefused(t, b.site.Callback(fakehost.Installed), 503, core.ReasonKeyHost)
	down.Store(false)
	b.install(t)
}

func TestACallbackGoesOnThoughTheClientHangsUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	callback := b.site.Callback(fakehost.Installed)
	token, err := callback.Token.Sign()
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(callback.Payload)
	if err != nil {
		t.Fatal(err)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	// The client goes between the verification of the signature, which reads the time, and the commit.
	read := func() { hangUp() }
	b.store.before.Store(&read)
	request := core.Request{
		Method: http.MethodPost, Target: "/installed", Authorization: []string{"JWT " + token}, Body: bytes.NewReader(body),
	}
	if _, err := b.app.Lifecycle(ctx, core.EventInstalled, request); err != nil {
		t.Fatal(err)
	}
	if b.row(t) == nil {
		t.Error("nothing was committed")
	}
}

func TestAConflictIsDecidedAnew(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	meanwhile := func() {
		row := b.row(t)
		row.Disabled = true
		if _, err := b.store.Store.Put(t.Context(), row); err != nil {
			t.Error(err)
		}
	}
	b.store.before.Store(&meanwhile)
	if _, err := b.site.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if row := b.row(t); !row.Disabled || row.SecretVersion != 2 {
		t.Errorf("got disabled %v at secret version %d: one of the two writes was lost", row.Disabled, row.SecretVersion)
	}
}

func TestAfterCloseCallbacksAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.app.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.wantRefused(t, b.site.Callback(fakehost.Installed), 503, core.ReasonClosed)
}

func TestARefusalTellsTheCallerNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	answers := map[string]http.Header{}
	for name, change := range map[string]func(*fakehost.Token){
		"unknown tenant": func(token *fakehost.Token) { token.Claims["iss"] = "nobody" },
		"bad signature":  func(token *fakehost.Token) { token.Key = []byte("a key that the site does not know") },
		"expired":        func(token *fakehost.Token) { token.Claims["exp"] = token.Claims["iat"].(int64) - 3600 },
	} {
		token := b.site.Token(http.MethodGet, "/panel")
		change(token)
		answer, err := b.site.Do(t.Context(), http.MethodGet, "/panel", token, nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != http.StatusUnauthorized || len(answer.Body) > 0 {
			t.Errorf("%s: got %d with body %q, want 401 without", name, answer.StatusCode, answer.Body)
		}
		if len(answer.Header.Get("X-Correlation-Id")) != 16 {
			t.Errorf("%s: no correlation id", name)
		}
		answer.Header.Del("X-Correlation-Id")
		answer.Header.Del("Date")
		answers[name] = answer.Header
	}
	if !maps.EqualFunc(answers["unknown tenant"], answers["bad signature"], func(a, b []string) bool {
		return strings.Join(a, ",") == strings.Join(b, ",")
	}) {
		t.Errorf("unknown tenant %v, bad signature %v: want the same", answers["unknown tenant"], answers["bad signature"])
	}
	if b.served.Load() != 0 {
		t.Error("a handler ran after a refusal")
	}
}

func TestAKeyHostThatAnswers403WithHTMLMakesAnUnknownKey(t *testing.T) {
	t.Parallel()
	cdn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte("<html><body>AccessDenied</body></html>"))
	}))
	defer cdn.Close()
	b := setup(t, func(c *core.Config) { c.KeyHosts = []string{cdn.URL} })
	b.wantRefused(t, b.site.Callback(fakehost.Installed), 401, core.ReasonUnknownKey)
}
