package admin_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

func TestAFaultOfTheStoreIs503AndTheReasonIsForTheLog(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*faultyStore){
		"down":   func(s *faultyStore) { s.down.Store(true) },
		"panics": func(s *faultyStore) { s.panics.Store(true) },
	} {
		w := setup(t, withAppWide(t))
		fail(w.store)
		for _, call := range everyCall {
			got := w.send(t, call.method, call.target, call.body, asJSON)
			got.wantError(t, http.StatusServiceUnavailable, "may be made again")
			if strings.Contains(got.body, "postgres") {
				t.Errorf("%s: %s %s: the answer tells of the inside: %s", name, call.method, call.target, got.body)
			}
		}
		if lines := w.log.lines("an admin call failed", "postgres"); len(lines) != len(everyCall) {
			t.Errorf("%s: got %d lines in the log that tell why, want %d", name, len(lines), len(everyCall))
		}
	}
}

func TestWhatWasDoneBeforeAFaultIsTold(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, clientKey := range []string{"ada", "bob"} {
		w.install(t, clientKey, appWide)
	}
	w = w.replica(t, withAppWide(t))
	w.post(t, "/admin/adopt", `{"limit":1}`).want(t, 200, `{"seen":1,"moved":1,"skipped":0,"next":"ada"}`)
	w.store.unwritable.Store(true)
	got := w.post(t, "/admin/adopt", `{}`)
	got.wantError(t, http.StatusServiceUnavailable, "may be made again")
	if want := `"done":{"seen":1,"moved":0,"skipped":0,"next":"ada"}`; !strings.Contains(got.body, want) {
		t.Errorf("got %s, want it to hold %s", got.body, want)
	}
	// The revocation is stored, though no row could be written.
	secret := fingerprintOf(t, appWide)
	got = w.post(t, "/admin/revoke", `{"fingerprint":"`+string(secret)+`","reason":"r"}`)
	got.wantError(t, http.StatusServiceUnavailable, "may be made again")
	w.store.unwritable.Store(false)
	w.post(t, "/admin/revoke", `{"fingerprint":"`+string(secret)+`","reason":"r"}`).want(t, 200, `{"installations":2}`)
}

// hangingUp is a store whose caller hangs up as soon as a revocation is stored.
type hangingUp struct {
	core.Store
	hangUp context.CancelFunc
}

func (s *hangingUp) Revoke(ctx context.Context, revocation core.Revocation) error {
	defer s.hangUp()
	return s.Store.Revoke(ctx, revocation)
}

func TestARevocationGoesOnWhenTheCallerHangsUp(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ada := w.install(t, "ada")
	ctx, hangUp := context.WithCancel(context.WithValue(t.Context(), http.ServerContextKey, w.server.Config))
	handler := handlerOn(t, &hangingUp{w.store, hangUp}, w.log)

	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/admin/revoke",
		strings.NewReader(`{"fingerprint":"`+ada.Fingerprint()+`","reason":"in a log"}`))
	asJSON(r)
	handler.ServeHTTP(httptest.NewRecorder(), r)
	if ctx.Err() == nil {
		t.Fatal("the caller has not hung up")
	}
	if got := w.row(t, "ada").Secrets[0].State; got != core.Revoked {
		t.Errorf("got a secret that is %s, want it revoked: what has leaked is barred, whoever hangs up", got)
	}
}

func TestAWalkEndsWhenTheCallerHangsUp(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx, hangUp := context.WithCancel(context.WithValue(t.Context(), http.ServerContextKey, w.server.Config))
	hangUp()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/admin/purge", strings.NewReader(`{"olderThanDays":30}`))
	asJSON(r)
	recorder := httptest.NewRecorder()
	handlerOn(t, w.store, w.log).ServeHTTP(recorder, r)
	answer{status: recorder.Code, body: recorder.Body.String()}.wantError(t, http.StatusServiceUnavailable, "may be made again")
}

// TestNoSecretIsInAnAnswerNorInTheLog makes every call, right and wrong, of a store that is full of secrets.
func TestNoSecretIsInAnAnswerNorInTheLog(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ada, bob := w.install(t, "ada"), w.install(t, "bob", appWide)
	secrets := map[string]string{"first": ada.Secret(), "app-wide": appWide, "operator's": token}
	if _, err := ada.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	secrets["second"] = ada.Secret()
	pageToken, err := ada.Token(http.MethodGet, "/panel").Sign()
	if err != nil {
		t.Fatal(err)
	}
	secrets["token of a page"] = pageToken
	w = w.replica(t, withAppWide(t))
	if _, err := bob.Callback(fakehost.Installed).Offer(appWide).Send(t.Context()); err != nil {
		t.Fatal(err)
	}

	var shown strings.Builder
	note := func(got answer) {
		shown.WriteString(got.body)
		_ = got.header.Write(&shown) // a Builder never fails
	}
	for _, call := range everyCall {
		note(w.send(t, call.method, call.target, call.body, asJSON))
	}
	note(w.get(t, "/admin/installations?clientKey=bob"))
	note(w.post(t, "/admin/revoke", `{"fingerprint":"`+ada.Fingerprint()+`","dryRun":true}`))
	note(w.post(t, "/admin/revoke", `{"fingerprint":"`+ada.Fingerprint()+`","reason":"r"}`))
	// A slip of somebody who has the secret at hand.
	note(w.post(t, "/admin/revoke", `{"fingerprint":"`+ada.Secret()+`","reason":"r"}`))
	note(w.post(t, "/admin/revoke", `"`+ada.Secret()+`"`))
	note(w.post(t, "/admin/erase", `{"clientKey":"`+ada.Secret()+` "}`))
	note(w.send(t, "GET", "/admin/progress", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+pageToken) }))
	w.store.down.Store(true)
	for _, call := range everyCall {
		note(w.send(t, call.method, call.target, call.body, asJSON))
	}

	if !strings.Contains(shown.String(), ada.Fingerprint()) || !strings.Contains(w.log.String(), ada.Fingerprint()[:12]) {
		t.Fatal("not even a fingerprint is in the answers and in the log, so this test looks at the wrong ones")
	}
	for name, secret := range secrets {
		for place, text := range map[string]string{"an answer": shown.String(), "the log": w.log.String()} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s secret is in %s", name, place)
			}
		}
	}
}

func fingerprintOf(t *testing.T, secret string) core.Fingerprint {
	t.Helper()
	value, err := core.NewSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	return value.Fingerprint()
}
