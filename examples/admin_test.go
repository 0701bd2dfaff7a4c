package examples_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hostbond/hostbond/core/fakehost"
)

const (
	adminToken = "a-token-for-operators"
	appWide    = "a-secret-that-all-sites-have-alike"
)

// operation is a call of an operator.
type operation struct {
	name          string
	status        int // of the answer
	method        string
	target        string
	body          string
	authorization []string // of the header; nil for the right one

	own map[string]int // the frameworks with another status, which are not compared
}

// operations are what operators do, and others try, while one site has the app installed.
func operations(site *fakehost.Site) []operation {
	const unknown = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	right := "Bearer " + adminToken
	return []operation{
		{name: "progress", status: 200, method: "GET", target: "/admin/progress?target=own&activeDays=7"},
		{name: "installations", status: 200, method: "GET", target: "/admin/installations"},
		{name: "one installation", status: 200, method: "GET", target: "/admin/installations?clientKey=" + site.ClientKey()},
		{name: "an installation that is none", status: 404, method: "GET", target: "/admin/installations?clientKey=nobody"},
		{name: "a parameter that is none", status: 400, method: "GET", target: "/admin/progress?days=7"},
		{name: "a call that is none", status: 404, method: "GET", target: "/admin/nothing"},
		{name: "no call", status: 404, method: "GET", target: "/admin/"},
		{name: "another method", status: 405, method: "PUT", target: "/admin/progress"},
		{name: "adopt without secrets for it", status: 503, method: "POST", target: "/admin/adopt", body: `{"dryRun":true}`},
		{name: "purge", status: 200, method: "POST", target: "/admin/purge", body: `{"olderThanDays":30}`},
		{name: "erase of a live site", status: 409, method: "POST", target: "/admin/erase", body: `{"clientKey":"` + site.ClientKey() + `"}`},
		{name: "a body that is too large", status: 413, method: "POST", target: "/admin/revoke", body: `{"reason":"` + strings.Repeat("r", 17<<10) + `"}`},
		{name: "dry run of revoke", status: 200, method: "POST", target: "/admin/revoke", body: `{"dryRun":true,"fingerprint":"` + site.Fingerprint() + `"}`},
		{name: "revoke", status: 200, method: "POST", target: "/admin/revoke", body: `{"reason":"r","fingerprint":"` + unknown + `"}`},

		{name: "no token", status: 401, method: "GET", target: "/admin/progress", authorization: []string{}},
		{name: "another token", status: 401, method: "GET", target: "/admin/installations", authorization: []string{right + "x"}},
		{name: "the token by another scheme", status: 401, method: "GET", target: "/admin/progress", authorization: []string{"JWT " + adminToken}},
		{name: "two other tokens", status: 401, method: "GET", target: "/admin/progress", authorization: []string{"Bearer x", "Bearer y"}},
		// Fiber's adaptor hands on the last one only.
		{name: "the token after another", status: 401, method: "GET", target: "/admin/progress", authorization: []string{"Bearer x", right}, own: map[string]int{"fiber": 200}},
		{name: "revoke without a token", status: 401, method: "POST", target: "/admin/revoke", body: `{"reason":"r","fingerprint":"` + unknown + `"}`, authorization: []string{}},
		{name: "a call that is none, without a token", status: 401, method: "GET", target: "/admin/nothing", authorization: []string{}},
	}
}

// ask makes a call, below the path.
func (p *program) ask(t *testing.T, path string, o operation) fakehost.Answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), o.method, p.url+path+o.target, strings.NewReader(o.body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header["Authorization"] = o.authorization
	if o.authorization == nil {
		request.Header.Set("Authorization", "Bearer "+adminToken)
	}
	if o.body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatalf("%s: %v", o.name, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s: %v", o.name, err)
	}
	return fakehost.Answer{StatusCode: response.StatusCode, Header: response.Header, Body: body}
}

func TestTheFrameworksAnswerOperatorsAlike(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "/connect"} {
		keys, keysURL := keyHost(t)
		var first []fakehost.Answer
		for _, framework := range frameworks {
			p := start(t, framework, "BASE_URL=http://localhost:8080"+path, "ADMIN_TOKEN="+adminToken,
				"DATABASE_URL="+filepath.Join(t.TempDir(), "app.db"), keysURL)
			site := newSite(t, p, path, keys)
			if answer, err := site.Install(t.Context()); err != nil {
				t.Fatalf("%s: installed: got status %d, %v", framework, answer.StatusCode, err)
			}
			var answers []fakehost.Answer
			for n, o := range operations(site) {
				answer := p.ask(t, path, o)
				status, own := o.own[framework]
				if !own {
					status = o.status
				}
				if answer.StatusCode != status || !json.Valid(answer.Body) {
					t.Errorf("%s: %s: got %d %s, want %d and JSON", framework, o.name, answer.StatusCode, answer.Body, status)
				}
				if first != nil && !own {
					compareOperations(t, framework, o, answer, first[n])
				}
				answers = append(answers, answer)
			}
			if first == nil {
				first = answers
			}
			output := p.stop(t)
			for name, secret := range map[string]string{"admin token": adminToken, "secret": site.Secret()} {
				if strings.Contains(output, secret) {
					t.Errorf("%s: the %s is in the output", framework, name)
				}
			}
			if !regexp.MustCompile(`an operator changes .*remote=127\.0\.0\.1:\d+ call=revoke`).MatchString(output) {
				t.Errorf("%s: the output does not say who has revoked a secret:\n%s", framework, output)
			}
		}
	}
}

// compareOperations checks an answer against that of the first framework.
func compareOperations(t *testing.T, framework string, o operation, got, want fakehost.Answer) {
	t.Helper()
	when := regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"`)
	gotHeader, gotBody := shown(got)
	wantHeader, wantBody := shown(want)
	gotBody, wantBody = when.ReplaceAllString(gotBody, "a time"), when.ReplaceAllString(wantBody, "a time")
	if !maps.Equal(gotHeader, wantHeader) || gotBody != wantBody {
		t.Errorf("%s: %s: got %q %s, want %q %s as with %s",
			framework, o.name, gotHeader, gotBody, wantHeader, wantBody, frameworks[0])
	}
	if allow := got.Header.Get("Allow"); allow != want.Header.Get("Allow") {
		t.Errorf("%s: %s: got Allow %q, want %q", framework, o.name, allow, want.Header.Get("Allow"))
	}
}

func TestWithoutAnAdminTokenThereIsNothingForOperators(t *testing.T) {
	t.Parallel()
	inEach(t, func(t *testing.T, framework string) {
		keys, keysURL := keyHost(t)
		p := start(t, framework, "ADMIN_TOKEN=", "DATABASE_URL="+filepath.Join(t.TempDir(), "app.db"), keysURL)
		for _, o := range operations(newSite(t, p, "", keys)) {
			for _, authorization := range [][]string{{}, {"Bearer " + adminToken}, {"Bearer "}, {"Bearer"}} {
				o.authorization = authorization
				if answer := p.ask(t, "", o); answer.StatusCode != http.StatusNotFound {
					t.Errorf("%s with %q: got %d, want 404", o.name, authorization, answer.StatusCode)
				}
			}
		}
	})
}

// TestAnAppMovesToOneSecretForAllSites goes there as an operator would, and one step too far.
func TestAnAppMovesToOneSecretForAllSites(t *testing.T) {
	t.Parallel()
	secretsFile := filepath.Join(t.TempDir(), "secrets")
	if err := os.WriteFile(secretsFile, []byte(appWide+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	inEach(t, func(t *testing.T, framework string) {
		keys, keysURL := keyHost(t)
		environment := []string{"DATABASE_URL=" + filepath.Join(t.TempDir(), "app.db"), keysURL, "ADMIN_TOKEN=" + adminToken}
		p := start(t, framework, environment...)
		site := newSite(t, p, "", keys)
		restart := func(variables ...string) (output string) {
			t.Helper()
			if output = p.stop(t); strings.Contains(output, appWide) {
				t.Error("the app-wide secret is in the output")
			}
			p = start(t, framework, slices.Concat(environment, variables, []string{"PORT=" + p.port})...)
			return output
		}
		want := func(what string, status int, call func() (fakehost.Answer, error)) {
			t.Helper()
			if answer, err := call(); answer.StatusCode != status {
				t.Errorf("%s: got %d %s, %v, want %d", what, answer.StatusCode, bytes.TrimSpace(answer.Body), err, status)
			}
		}
		aPage := func() (fakehost.Answer, error) { return page(t.Context(), site) }
		health := func() (fakehost.Answer, error) { return site.Do(t.Context(), "GET", "/healthz", nil, nil) }
		operate := func(target, body, want string) {
			t.Helper()
			o := operation{name: target, method: "POST", target: target, body: body}
			if answer := p.ask(t, "", o); strings.TrimSpace(string(answer.Body)) != want {
				t.Errorf("%s %s: got %s, want %s", target, body, answer.Body, want)
			}
		}

		// Atlassian is faster than the operator.
		want("the offer", 204, func() (fakehost.Answer, error) {
			return site.Callback(fakehost.Installed).Offer(appWide).Send(t.Context())
		})
		restart("APP_SECRETS=" + appWide)
		want("a page with a stored copy", 200, aPage)
		operate("/admin/adopt", `{"dryRun":true}`, `{"seen":1,"moved":1,"skipped":0,"next":""}`)
		operate("/admin/adopt", `{}`, `{"seen":1,"moved":1,"skipped":0,"next":""}`)
		want("a page with a binding", 200, aPage)
		var report struct {
			Live, OnTarget, StoredCopies int
		}
		answer := p.ask(t, "", operation{name: "progress", method: "GET", target: "/admin/progress"})
		if err := json.Unmarshal(answer.Body, &report); err != nil || report.Live != 1 || report.OnTarget != 1 || report.StoredCopies != 0 {
			t.Errorf("progress: got %s, %v, want one live site, which is on target, and no stored copy", answer.Body, err)
		}

		restart()
		want("a page without the secret", 503, aPage)
		want("healthz without the secret, since the store answers", 200, health)
		if output := restart("APP_SECRETS_FILE=" + secretsFile); !strings.Contains(output, "not for every site") {
			t.Errorf("the output does not say that a site needs a secret which is not configured:\n%s", output)
		}
		want("a page with the secret from a file", 200, aPage)
		operate("/admin/release", `{}`, `{"seen":1,"moved":1,"skipped":0,"next":""}`)
		restart()
		want("a page with the stored copy again", 200, aPage)
		want("healthz", 200, health)
		if output := p.stop(t); strings.Contains(output, "not for every site") {
			t.Error("a site is said to need what it does not need any more")
		}
	})
}
