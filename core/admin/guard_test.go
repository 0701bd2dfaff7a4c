package admin_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hostbond/hostbond/core/admin"
)

// everyCall is each call as an operator makes it.
var everyCall = []struct{ method, target, body string }{
	{"GET", "/admin/progress", ""},
	{"GET", "/admin/installations", ""},
	{"GET", "/admin/installations?clientKey=ada", ""},
	{"POST", "/admin/revoke", `{"fingerprint":"` + unknown + `","reason":"found in a log"}`},
	{"POST", "/admin/revoke", `{"fingerprint":"` + unknown + `","dryRun":true}`},
	{"POST", "/admin/adopt", `{}`},
	{"POST", "/admin/release", `{}`},
	{"POST", "/admin/purge", `{"olderThanDays":30}`},
	{"POST", "/admin/erase", `{"clientKey":"nobody"}`},
}

// unknown is the fingerprint of a secret that nobody has.
const unknown = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func asJSON(r *http.Request) { r.Header.Set("Content-Type", "application/json") }

func TestWithoutTheTokenNothingIsAnsweredAndNothingTold(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.install(t, "ada")
	for name, change := range map[string]func(http.Header){
		"no token":                    func(h http.Header) { h.Del("Authorization") },
		"another token":               func(h http.Header) { h.Set("Authorization", "Bearer the-token-of-the-operatorz") },
		"the beginning of the token":  func(h http.Header) { h.Set("Authorization", "Bearer "+token[:len(token)-1]) },
		"more than the token":         func(h http.Header) { h.Set("Authorization", "Bearer "+token+"s") },
		"the token in another case":   func(h http.Header) { h.Set("Authorization", "Bearer "+strings.ToUpper(token)) },
		"two blanks before the token": func(h http.Header) { h.Set("Authorization", "Bearer  "+token) },
		"the token alone":             func(h http.Header) { h.Set("Authorization", token) },
		"another scheme":              func(h http.Header) { h.Set("Authorization", "JWT "+token) },
		"the scheme alone":            func(h http.Header) { h.Set("Authorization", "Bearer") },
		"an empty token":              func(h http.Header) { h.Set("Authorization", "Bearer ") },
		"the token twice":             func(h http.Header) { h.Add("Authorization", "Bearer "+token) },
		"the token after another":     func(h http.Header) { h["Authorization"] = []string{"Bearer x", "Bearer " + token} },
		"two tokens in one header":    func(h http.Header) { h.Set("Authorization", "Bearer "+token+", Bearer "+token) },
	} {
		for _, call := range append(everyCall, struct{ method, target, body string }{"GET", "/admin/nothing", ""}) {
			got := w.send(t, call.method, call.target, call.body, func(r *http.Request) {
				asJSON(r)
				change(r.Header)
			})
			if got.status != 401 || got.body != `{"error":"unauthorized"}`+"\n" || got.header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s: %s %s: got %d %s, challenge %q; want 401 and no more than that",
					name, call.method, call.target, got.status, got.body, got.header.Get("WWW-Authenticate"))
			}
		}
	}
	if w.row(t, "ada") == nil {
		t.Error("the installation is gone")
	}
	if lines := w.log.lines("refused by the guard", "remote=127.0.0.1:"); len(lines) == 0 {
		t.Error("the log does not say that somebody was refused, and from where")
	}
	if strings.Contains(w.log.String(), token[:10]) {
		t.Error("a token is in the log")
	}
}

func TestTheSchemeOfTheTokenMayBeInAnyCase(t *testing.T) {
	t.Parallel()
	guard := admin.BearerToken(token)
	for _, scheme := range []string{"Bearer", "bearer", "BEARER"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", scheme+" "+token)
		if !guard(r) {
			t.Errorf("%s: refused, but schemes are the same in any case (RFC 9110 11.1)", scheme)
		}
	}
}

func TestATokenThatGuardsNothingIsRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ token, want string }{
		"none":                {"", "less than 16 bytes"},
		"15 bytes":            {"123456789012345", "less than 16 bytes"},
		"the end of the line": {token + "\n", "visible ASCII"},
		"a blank":             {"1234567890 123456", "visible ASCII"},
		"an umlaut":           {"schlüssel-der-wärter", "visible ASCII"},
	} {
		message := panicOf(func() { admin.BearerToken(test.token) })
		if !strings.Contains(message, "admin: BearerToken: ") || !strings.Contains(message, test.want) {
			t.Errorf("%s: got panic %q, want one that says %q", name, message, test.want)
		}
		if test.token != "" && strings.Contains(message, test.token) {
			t.Errorf("%s: the token is in the panic", name)
		}
	}
	if message := panicOf(func() { admin.BearerToken("1234567890123456") }); message != "" {
		t.Errorf("16 bytes: got panic %q, want a guard", message)
	}
}

func TestNoHandlerIsMadeWithoutAGuard(t *testing.T) {
	t.Parallel()
	app := setup(t).app
	if got := panicOf(func() { admin.Handler(app, nil) }); !strings.Contains(got, "the guard is nil") {
		t.Errorf("got panic %q, want one about the guard", got)
	}
	guard := func(*http.Request) bool { return true }
	if got := panicOf(func() { admin.Handler(nil, guard) }); !strings.Contains(got, "the app is nil") {
		t.Errorf("got panic %q, want one about the app", got)
	}
}

func panicOf(f func()) (message string) {
	defer func() { message, _ = recover().(string) }()
	f()
	return ""
}

func TestAGuardOfOnesOwnSeesTheRequest(t *testing.T) {
	t.Parallel()
	handler := admin.Handler(setup(t).app, func(r *http.Request) bool { return r.Header.Get("X-Operator") == "ada" })
	for operator, want := range map[string]int{"ada": 200, "eve": 401} {
		r := httptest.NewRequest(http.MethodGet, "/progress", nil)
		r.Header.Set("X-Operator", operator)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: got %d, want %d", operator, w.Code, want)
		}
	}
}

func TestAPanicOfTheGuardLetsNobodyInAndTellsNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	guard := func(r *http.Request) bool { panic("bad token " + r.Header.Get("Authorization")) }
	// Without net/http around it, which would recover: Fiber does not.
	recorder := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/admin/progress", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	admin.Handler(w.app, guard).ServeHTTP(recorder, r)

	answer{status: recorder.Code, body: recorder.Body.String()}.wantError(t, 500, "the call failed")
	for name, text := range map[string]string{"answer": recorder.Body.String(), "log": w.log.String()} {
		if strings.Contains(text, token) || strings.Contains(text, "bad token") {
			t.Errorf("what the guard panicked with is in the %s: %s", name, text)
		}
	}
	if lines := w.log.lines("panic in an admin call", "guard_test.go"); len(lines) != 1 {
		t.Errorf("got %d lines in the log that say where the panic was, want 1:\n%s", len(lines), w.log)
	}
}

func TestAnswersAreForTheCallerAlone(t *testing.T) {
	t.Parallel()
	w := setup(t, withAppWide(t))
	w.install(t, "ada")
	check := func(what string, got answer) {
		t.Helper()
		for name, want := range map[string]string{
			"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		} {
			if values := got.header.Values(name); len(values) != 1 || values[0] != want {
				t.Errorf("%s: got %s %q, want %q", what, name, values, want)
			}
		}
	}
	for _, call := range everyCall {
		check(call.method+" "+call.target, w.send(t, call.method, call.target, call.body, asJSON))
	}
	check("no such call", w.get(t, "/admin/nothing"))
	check("no token", w.send(t, "GET", "/admin/progress", "", func(r *http.Request) { r.Header.Del("Authorization") }))
	w.store.down.Store(true)
	check("store down", w.get(t, "/admin/progress"))
}
