package examples_test

import (
	"context"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"

	"github.com/hostbond/hostbond/core/fakehost"
)

// visit is a request to the app and its answer.
type visit struct {
	name   string
	status int // of the answer
	call   func(context.Context, *fakehost.Site) (fakehost.Answer, error)

	// The frameworks whose routers have a way of their own with it, and their status. They are not compared.
	own map[string]int
}

// ownPage is the status of an answer that each framework has a page of its own for. Nothing else of it is compared.
func (v visit) ownPage() bool {
	return v.status == http.StatusNotFound || v.status == http.StatusMethodNotAllowed
}

// send returns a call with the token that makes makes, or with none.
func send(method, target string, makes func(*fakehost.Site) *fakehost.Token) func(context.Context, *fakehost.Site) (fakehost.Answer, error) {
	return func(ctx context.Context, site *fakehost.Site) (fakehost.Answer, error) {
		var token *fakehost.Token
		if makes != nil {
			token = makes(site)
		}
		return site.Do(ctx, method, target, token, nil)
	}
}

// boundTo makes tokens for one method and URL.
func boundTo(method, target string) func(*fakehost.Site) *fakehost.Token {
	return func(site *fakehost.Site) *fakehost.Token { return site.Token(method, target) }
}

// genuine returns a call with the right token for a URL-bound route.
func genuine(method, target string) func(context.Context, *fakehost.Site) (fakehost.Answer, error) {
	return send(method, target, boundTo(method, target))
}

// install returns a call with an installed callback, which is changed and posted by somebody else than the site.
func install(change func(*fakehost.Callback)) func(context.Context, *fakehost.Site) (fakehost.Answer, error) {
	return func(ctx context.Context, site *fakehost.Site) (fakehost.Answer, error) {
		callback := site.Callback(fakehost.Installed)
		change(callback)
		return callback.Post(ctx)
	}
}

// page is what a browser loads, with the token in the URL.
func page(ctx context.Context, site *fakehost.Site) (fakehost.Answer, error) {
	return site.Get(ctx, "/panel?issue=HB-1")
}

// pageWithTwoTokens has a second one in the header, which is as good.
func pageWithTwoTokens(ctx context.Context, site *fakehost.Site) (fakehost.Answer, error) {
	token, err := site.Token(http.MethodGet, "/panel").Sign()
	if err != nil {
		return fakehost.Answer{}, err
	}
	return site.Do(ctx, http.MethodGet, "/panel?jwt="+token, site.Token(http.MethodGet, "/panel"), nil)
}

var (
	uninstalls = func(ctx context.Context, site *fakehost.Site) (fakehost.Answer, error) { return site.Uninstall(ctx) }
	contextual = (*fakehost.Site).ContextToken
)

// life is what happens between a site and the app.
func life(database string) (visits []visit) {
	see := func(name string, status int, call func(context.Context, *fakehost.Site) (fakehost.Answer, error)) {
		visits = append(visits, visit{name: name, status: status, call: call})
	}
	see("healthz", 200, send("GET", "/healthz", nil))
	see("descriptor", 200, send("GET", "/atlassian-connect.json", nil))
	see("HEAD of the descriptor", 200, send("HEAD", "/atlassian-connect.json", nil))

	see("install that is not signed", 401, install(func(c *fakehost.Callback) { c.Token = nil }))
	see("install with a body that is none", 400, install(func(c *fakehost.Callback) { c.Body = []byte("{") }))
	see("install with a body of more than 64 KiB", 413, install(func(c *fakehost.Callback) { c.Body = make([]byte, 64<<10+1) }))
	see("install", 204, func(ctx context.Context, site *fakehost.Site) (fakehost.Answer, error) { return site.Install(ctx) })
	see("install that is late", 409, install(func(c *fakehost.Callback) { c.Token.Claims["iat"] = c.Token.Claims["iat"].(int64) - 60 }))
	see("enable", 204, func(ctx context.Context, site *fakehost.Site) (fakehost.Answer, error) { return site.Enable(ctx) })
	see("rotate", 204, func(ctx context.Context, site *fakehost.Site) (fakehost.Answer, error) { return site.Rotate(ctx) })

	see("panel", 200, page)
	see("panel with the token in the header", 200, genuine("GET", "/panel?issue=HB-1"))
	see("panel without a token", 401, send("GET", "/panel", nil))
	see("panel with two tokens", 401, pageWithTwoTokens)
	see("panel with a context token", 401, send("GET", "/panel", contextual))
	see("panel with the token of another URL", 401, send("GET", "/panel", boundTo("GET", "/panel?issue=HB-2")))
	see("panel with the token of another method", 401, send("GET", "/panel", boundTo("POST", "/panel")))

	see("me with a context token", 200, send("GET", "/api/me", contextual))
	see("me with a token for its URL", 401, genuine("GET", "/api/me"))
	see("me without a token", 401, send("GET", "/api/me", nil))

	see("echo without a token", 401, send("POST", "/echo/a", nil))
	see("echo with a context token", 401, send("POST", "/echo/a", contextual))
	for _, target := range []string{
		"/echo/",
		"/echo/a/",
		"/echo/a%2Fb%20c?x=%2B+%20&x=&flag",
		"/echo/%E2%82%AC;p=1?k=b&k=a&k=a,b",
		"/echo/a&b/?JWT=1&c=d;e&=f&&",
		"/echo/100%25/a%252Fb/~!$'()*,=:@",
		"/echo/a?x[]=1&x[y]=%7E&z=b?c",
		"/echo/%2e%2E%2fa",
	} {
		for _, method := range []string{
			"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "VERSION-CONTROL",
		} {
			see(method+" "+target, 200, genuine(method, target))
		}
	}
	const redirect = http.StatusTemporaryRedirect
	visits = append(visits,
		// ServeMux redirects to what it takes for the better spelling of a path.
		visit{"double slash", 200, genuine("GET", "/echo//a"), map[string]int{"nethttp": redirect}},
		visit{"dot segments", 200, genuine("GET", "/echo/a/../b/."), map[string]int{"nethttp": redirect}},
		// For Fiber /echo/* begins here.
		visit{"no slash at the end of echo", 404, genuine("GET", "/echo"), map[string]int{"nethttp": redirect, "fiber": 200}},
		// Fiber has to be told of each method.
		visit{"a method of nobody's", 200, genuine("BREW", "/echo/a"), map[string]int{"fiber": http.StatusBadRequest}},
		// Gin looks no further than the routes of the method.
		visit{"another method", 405, genuine("POST", "/panel"), map[string]int{"gin": http.StatusNotFound}},
	)
	for _, target := range []string{"/", "/panel/", "/PANEL", "/panels", "/echoes", "/api", "/connected/panel"} {
		see("GET "+target, 404, genuine("GET", target))
	}

	see("disable", 204, func(ctx context.Context, site *fakehost.Site) (fakehost.Answer, error) { return site.Disable(ctx) })
	see("uninstall", 204, uninstalls)
	see("panel after the uninstall", 401, page)

	see("healthz without the tables", 503, func(ctx context.Context, site *fakehost.Site) (fakehost.Answer, error) {
		if err := dropTables(database); err != nil {
			return fakehost.Answer{}, err
		}
		return site.Do(ctx, "GET", "/healthz", nil, nil)
	})
	see("install without the tables", 503, install(func(*fakehost.Callback) {}))
	return visits
}

func dropTables(database string) error {
	db, err := gorm.Open(sqlite.Open(database + "?_pragma=busy_timeout(5000)"))
	if err != nil {
		return err
	}
	tables, err := db.Migrator().GetTables()
	if err != nil {
		return err
	}
	for _, table := range tables {
		if err := db.Migrator().DropTable(table); err != nil {
			return err
		}
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}

// compared are the fields of an answer that are the same with each framework.
var compared = []string{
	"Content-Type", "WWW-Authenticate", "Cache-Control", "Content-Security-Policy", "Referrer-Policy", "X-Content-Type-Options",
}

// shown returns what is compared of an answer.
func shown(answer fakehost.Answer) (header map[string]string, body string) {
	header = map[string]string{}
	for _, name := range compared {
		header[name] = strings.Join(answer.Header.Values(name), ", ")
	}
	body = string(answer.Body)
	if body == "" {
		delete(header, "Content-Type") // of nothing
	}
	// Where a framework writes JSON, Gin names the only charset there is, and net/http and Echo end the line.
	if contentType, isJSON := strings.CutPrefix(header["Content-Type"], "application/json"); isJSON {
		if contentType == "; charset=utf-8" {
			header["Content-Type"] = "application/json"
		}
		body = strings.TrimSuffix(body, "\n")
	}
	// It is random.
	if answer.Header.Get("X-Correlation-Id") != "" {
		header["X-Correlation-Id"] = "some"
	}
	return header, body
}

func TestTheFrameworksAnswerAlike(t *testing.T) {
	t.Parallel()
	const sealKeys = "SEAL_KEYS=k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	for name, place := range map[string]struct {
		baseURL string
		path    string // below which the app gets the requests
	}{
		"at the root":                            {"http://localhost:8080", ""},
		"below a path":                           {"http://localhost:8080/connect", "/connect"},
		"below a path of the public URL":         {"https://app.example.com/a/b/", "/a/b"},
		"behind a proxy that takes the path off": {"https://app.example.com/connect", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys, keysURL := keyHost(t)
			answers := map[string][]fakehost.Answer{}
			for _, framework := range frameworks {
				database := filepath.Join(t.TempDir(), "app.db")
				p := start(t, framework, "BASE_URL="+place.baseURL, "DATABASE_URL="+database, keysURL, sealKeys)
				site := newSite(t, p, place.path, keys)
				for _, v := range life(database) {
					answer, err := v.call(t.Context(), site)
					if answer.StatusCode == 0 {
						t.Fatalf("%s: %s: %v", framework, v.name, err)
					}
					v.check(t, framework, answer)
					answers[framework] = append(answers[framework], answer)
				}
				checkLog(t, framework, p.stop(t), place.path, site)
			}
			for n, v := range life("") {
				for _, framework := range frameworks[1:] {
					v.compare(t, framework, answers[framework][n], answers[frameworks[0]][n])
				}
			}
		})
	}
}

// check checks an answer by itself.
func (v visit) check(t *testing.T, framework string, got fakehost.Answer) {
	t.Helper()
	want, own := v.own[framework]
	if !own {
		want = v.status
	}
	if got.StatusCode != want {
		t.Errorf("%s: %s: got status %d, want %d", framework, v.name, got.StatusCode, want)
	}
	if !own && !v.ownPage() && v.status >= 400 && len(got.Body) > 0 {
		t.Errorf("%s: %s: got body %q, want none: the caller does not learn why", framework, v.name, got.Body)
	}
}

// compare checks an answer against that of the first framework.
func (v visit) compare(t *testing.T, framework string, got, want fakehost.Answer) {
	t.Helper()
	_, own := v.own[framework]
	_, firstOwn := v.own[frameworks[0]]
	if own || firstOwn || v.ownPage() {
		return
	}
	gotHeader, gotBody := shown(got)
	wantHeader, wantBody := shown(want)
	if !maps.Equal(gotHeader, wantHeader) {
		t.Errorf("%s: %s: got header %q, want %q as with %s", framework, v.name, gotHeader, wantHeader, frameworks[0])
	}
	if gotBody != wantBody {
		t.Errorf("%s: %s: got body %q, want %q as with %s", framework, v.name, gotBody, wantBody, frameworks[0])
	}
}

// checkLog checks what a program has printed of a site.
func checkLog(t *testing.T, framework, output, path string, site *fakehost.Site) {
	t.Helper()
	if strings.Contains(output, site.Secret()) {
		t.Errorf("%s: the secret is in the output", framework)
	}
	if token := regexp.MustCompile(`eyJ[\w-]+\.`).FindString(output); token != "" {
		t.Errorf("%s: a token is in the output: %s…", framework, token)
	}
	if want := path + "/panel?issue=HB-1&jwt=[redacted]"; !strings.Contains(output, want) {
		t.Errorf("%s: %s is not in the output:\n%s", framework, want, output)
	}
}
