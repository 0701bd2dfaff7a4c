package adaptertest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/qsh"
)

// keys are Atlassian's keys in all trials: to make them takes longer than most trials.
var keys = sync.OnceValue(func() *fakehost.Keys { return new(fakehost.Keys) })

// stranger returns a site that has not installed the app.
func (t *trial) stranger() *fakehost.Site {
	t.Helper()
	lifecycle := map[fakehost.Event]string{}
	for _, route := range t.app.Routes() {
		if route.Event != "" {
			lifecycle[fakehost.Event(route.Event)] = route.Path
		}
	}
	site, err := fakehost.New(fakehost.Config{
		AppURL: t.baseURL,
		App:    fakehost.Descriptor{Key: appKey, BaseURL: t.baseURL, Lifecycle: lifecycle},
		Keys:   keys(),
		Client: &http.Client{Transport: direct{t.past}},
	})
	if err != nil {
		t.Fatalf("adaptertest made an invalid site: %v", err)
	}
	return site
}

// site returns a site that has installed the app, past the adapter.
func (t *trial) site() *fakehost.Site {
	t.Helper()
	site := t.stranger()
	install := site.Callback(fakehost.Installed)
	install.Token = nil
	if _, err := install.Send(t.Context()); err != nil {
		t.Fatalf("installing past the adapter: %v", err)
	}
	return site
}

// sign returns a token of the site for that very target, with its escapes.
func (t *trial) sign(site *fakehost.Site, method, target string) string {
	t.Helper()
	token := site.Token(method, "/")
	token.Claims["qsh"] = qsh.Hash(method, target, t.at.prefix)
	return t.signed(token)
}

func (t *trial) signed(token *fakehost.Token) string {
	t.Helper()
	signed, err := token.Sign()
	if err != nil {
		t.Fatalf("signing: %v", err)
	}
	return signed
}

// genuine returns a request of the site, with its token in the Authorization header.
func (t *trial) genuine(site *fakehost.Site, method, target string) request {
	t.Helper()
	return request{method: method, target: target, authorization: []string{"JWT " + t.sign(site, method, target)}}
}

// callback returns a lifecycle callback as the site sends it.
func (t *trial) callback(c *fakehost.Callback) request {
	t.Helper()
	body, err := json.Marshal(c.Payload)
	if err != nil {
		t.Fatalf("marshalling a payload: %v", err)
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		t.Fatalf("a callback's URL: %v", err)
	}
	r := request{
		method: c.Method, target: u.RequestURI(), body: string(body),
		fields: []string{"Content-Type: application/json"},
	}
	if c.Token != nil {
		r.authorization = []string{"JWT " + t.signed(c.Token)}
	}
	return r
}

// direct brings an installed callback to the core without an adapter.
type direct struct{ app *core.App }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	answer.Code = http.StatusNoContent
	_, err := d.app.Lifecycle(r.Context(), core.EventInstalled, core.Request{
		Method: r.Method, Target: r.URL.RequestURI(), Authorization: r.Header["Authorization"], Body: r.Body,
	})
	if err != nil {
		answer.Code = core.StatusCode(err)
	}
	return answer.Result(), nil
}

// keyHost is Atlassian's key host without a network.
type keyHost struct{}

func (keyHost) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	keys().ServeHTTP(answer, r)
	return answer.Result(), nil
}
