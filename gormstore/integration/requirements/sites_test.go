package requirements

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing/synctest"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
)

// Secrets that Atlassian sends to every site alike.
var (
	appSecret1 = strings.Repeat("app-wide-secret-1-", 8)
	appSecret2 = strings.Repeat("app-wide-secret-2-", 8)
)

func secret(value string) core.Secret {
	s, err := core.NewSecret(value)
	if err != nil {
		panic(err)
	}
	return s
}

func fingerprint(value string) core.Fingerprint { return secret(value).Fingerprint() }

// site returns a site that has not installed the app.
func (w *world) site(change ...func(*fakehost.Config)) *fakehost.Site {
	w.Helper()
	w.sites++
	config := fakehost.Config{
		App:    fakehost.Descriptor{Key: inprocess.AppKey, BaseURL: inprocess.BaseURL},
		Keys:   inprocess.Keys,
		Client: &http.Client{Transport: w},
		Seed:   fmt.Sprint(w.Name(), w.sites), // so that a failure comes again
	}
	for _, edit := range change {
		edit(&config)
	}
	site, err := fakehost.New(config)
	if err != nil {
		w.Fatal(err)
	}
	return site
}

// unsigned has a site sign its installs itself.
func unsigned(c *fakehost.Config) { c.App.Symmetric = true }

// installed returns a site that has installed the app, with a secret of its own.
func (w *world) installed(change ...func(*fakehost.Config)) *fakehost.Site {
	w.Helper()
	site := w.site(change...)
	w.accepts(site.Install(w.Context()))
	return site
}

// offers has the site send a callback that brings this very secret, and returns the one that it had.
func (w *world) offers(site *fakehost.Site, value string) (before string) {
	w.Helper()
	before = site.Secret()
	w.accepts(site.Callback(fakehost.Installed).Offer(value).Send(w.Context()))
	return before
}

// accepts fails the test unless a callback was answered with 204. Then it lets a second pass, so that no two callbacks
// have the same time.
func (w *world) accepts(answer fakehost.Answer, err error) {
	w.Helper()
	if err != nil || answer.StatusCode != http.StatusNoContent {
		w.Fatalf("a callback got status %d, %v (%s), want 204", answer.StatusCode, err, w.why(answer))
	}
	w.pass(second)
}

// serves fails the test unless the app lets a page of the site through, and knows whose it is.
func (w *world) serves(site *fakehost.Site, why string) {
	w.Helper()
	w.lets(site, why)(site.Get(w.Context(), "/panel"))
}

// servesOn is serves on a replica.
func (w *world) servesOn(r *replica, site *fakehost.Site, why string) {
	w.Helper()
	w.lets(site, why)(site.Get(w.on(r), "/panel"))
}

// lets fails the test unless a request was answered with 200 and the client key of the site.
func (w *world) lets(site *fakehost.Site, why string) func(fakehost.Answer, error) {
	return func(answer fakehost.Answer, err error) {
		w.Helper()
		if err != nil || answer.StatusCode != http.StatusOK || string(answer.Body) != site.ClientKey() {
			w.Errorf("a request got status %d, %v (%s), want 200 and the client key: %s", answer.StatusCode, err, w.why(answer), why)
		}
	}
}

// refuses fails the test unless a request or a callback got exactly this status, for this reason, and nothing more.
func (w *world) refuses(status int, reason core.ReasonCode, why string) func(fakehost.Answer, error) {
	return func(answer fakehost.Answer, err error) {
		w.Helper()
		if got := w.why(answer); answer.StatusCode != status || got != reason || len(answer.Body) != 0 {
			w.Errorf("got status %d, reason %q, body %q, %v, want %d and %q: %s",
				answer.StatusCode, got, answer.Body, err, status, reason, why)
		}
	}
}

// denies is refuses for 401.
func (w *world) denies(reason core.ReasonCode, why string) func(fakehost.Answer, error) {
	return w.refuses(http.StatusUnauthorized, reason, why)
}

// loses sends a callback whose answer does not reach the site.
func (w *world) loses(site *fakehost.Site, callback *fakehost.Callback) {
	w.Helper()
	site.LoseNextAnswer()
	if _, err := callback.Send(w.Context()); !errors.Is(err, fakehost.ErrNoAnswer) {
		w.Fatalf("a callback got %v, want the answer to be lost", err)
	}
}

func (w *world) why(answer fakehost.Answer) core.ReasonCode {
	return w.log.reason(answer.Header.Get("X-Correlation-Id"))
}

// signedWith returns a token for /panel in the name of the site, signed with any secret.
func signedWith(site *fakehost.Site, value string) *fakehost.Token {
	token := site.Token(http.MethodGet, "/panel")
	token.Key = []byte(value)
	return token
}

// asks loads the page as the site would with this secret, wherever it has it from.
func (w *world) asks(site *fakehost.Site, value string) (fakehost.Answer, error) {
	return site.Do(w.Context(), http.MethodGet, "/panel", signedWith(site, value), nil)
}

// settles loads pages until the site has shown which secret it is on.
func (w *world) settles(sites ...*fakehost.Site) {
	w.Helper()
	for range 2 {
		w.pass(settle)
		for _, site := range sites {
			w.serves(site, "a page of a site that has the app")
		}
	}
	synctest.Wait()
}

// row returns the site's row, or nil.
func (w *world) row(site *fakehost.Site) *core.Installation {
	w.Helper()
	return w.rows()[site.ClientKey()]
}

// held is a secret in a row.
type held struct {
	secret string
	state  core.SecretState
	bound  bool
}

// own is a secret of which the row has a copy, while it is usable.
func own(value string, state core.SecretState) held { return held{value, state, false} }

// binding is a secret that the row has no copy of.
func binding(value string, state core.SecretState) held { return held{value, state, true} }

// holds fails the test unless the site's row has exactly these secrets, the one offered last at the end.
func (w *world) holds(site *fakehost.Site, want ...held) {
	w.Helper()
	row := w.row(site)
	if row == nil {
		w.Fatalf("got no row, want %s", describe(want))
	}
	var got []string
	for _, s := range row.Secrets {
		got = append(got, fmt.Sprintf("%s %s, bound: %t", s.Fingerprint.Short(), s.State, s.Bound))
		if hasCopy := !s.Value.IsZero(); hasCopy != (s.State == core.Usable && !s.Bound) || s.Sealed != nil {
			w.Errorf("secret %s, %s, bound: %t: a copy is stored: %t", s.Fingerprint.Short(), s.State, s.Bound, hasCopy)
		}
	}
	if wanted := describe(want); !slices.Equal(got, wanted) {
		w.Errorf("the row has the secrets %q, want %q", got, wanted)
	}
}

func describe(secrets []held) (list []string) {
	for _, s := range secrets {
		list = append(list, fmt.Sprintf("%s %s, bound: %t", fingerprint(s.secret).Short(), s.state, s.bound))
	}
	return list
}

// unchanged fails the test if anything but the site's activity has changed in its row since.
func (w *world) unchanged(site *fakehost.Site, before *core.Installation) {
	w.Helper()
	row := w.row(site)
	if row == nil || before == nil || row.Revision != before.Revision || row.SecretVersion != before.SecretVersion ||
		row.State != before.State || row.Newest() != before.Newest() || len(row.Secrets) != len(before.Secrets) {
		w.Errorf("the row has changed: got %+v, want %+v", row, before)
	}
}

// opens opens a page whose URL was made before.
func (w *world) opens(pageURL string) (fakehost.Answer, error) {
	w.Helper()
	request, err := http.NewRequestWithContext(w.Context(), http.MethodGet, pageURL, nil)
	if err != nil {
		return fakehost.Answer{}, err
	}
	return w.sends(request)
}

func (w *world) sends(request *http.Request) (answer fakehost.Answer, err error) {
	response, err := w.RoundTrip(request)
	if err != nil {
		return answer, err
	}
	defer func() { _ = response.Body.Close() }()
	answer.Body, err = io.ReadAll(response.Body)
	answer.StatusCode, answer.Header = response.StatusCode, response.Header
	return answer, err
}

// bears sends a request with a token that was made before.
func (w *world) bears(target, token string) (fakehost.Answer, error) {
	w.Helper()
	request, err := http.NewRequestWithContext(w.Context(), http.MethodGet, inprocess.BaseURL+target, nil)
	if err != nil {
		return fakehost.Answer{}, err
	}
	request.Header.Set("Authorization", "JWT "+token)
	return w.sends(request)
}

// forget purges the site's row, as an operator does long after the uninstall.
func (w *world) forget(site *fakehost.Site) {
	w.Helper()
	w.pass(91 * day)
	w.moves(1, 1)(w.app.Purge(w.Context(), 90*day, core.Batch{}))
	if w.row(site) != nil {
		w.Fatal("the row was not purged")
	}
}
