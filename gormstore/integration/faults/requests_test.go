package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
)

// must ends the test if what belongs to the preparation fails.
func (w *world) must(status int, want int) {
	w.t.Helper()
	if status != want {
		w.t.Fatalf("preparing: got %d, want %d; the journal:\n%s", status, want, w.journal)
	}
}

// send sends a callback of a site and returns the status that the site has seen, 0 for none.
func (w *world) send(ctx context.Context, c *fakehost.Callback) int {
	w.t.Helper()
	if c.Token != nil {
		c.Header.Set("Authorization", "JWT "+sign(w.t, c.Token))
		c.Token = nil
	}
	answer, _ := c.Send(ctx) // the error repeats what the status says
	return answer.StatusCode
}

// signed are the tokens that were signed already, by what they say.
var signed sync.Map

// sign returns the token in its compact form. As the cases of a flow begin at the same time, and with the same site, they
// have most tokens in common; to sign each anew would take longer than all the rest.
func sign(t *testing.T, token *fakehost.Token) string {
	t.Helper()
	if token.Header["kid"] == nil {
		return compact(t, token) // by the site itself, which is quick
	}
	said, err := json.Marshal([]any{token.Header, token.Claims})
	if err != nil {
		t.Fatal(err)
	}
	if text, ok := signed.Load(string(said)); ok {
		return text.(string)
	}
	text := compact(t, token)
	signed.Store(string(said), text)
	return text
}

func compact(t *testing.T, token *fakehost.Token) string {
	t.Helper()
	text, err := token.Sign()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// visit loads a page of the app as the site and returns the status.
func (w *world) visit(ctx context.Context, site *fakehost.Site) int {
	answer, _ := site.Get(ctx, "/panel?issue=HB-1")
	return answer.StatusCode
}

// visitWith loads a page with a token that is signed with another secret than the site's.
func (w *world) visitWith(ctx context.Context, site *fakehost.Site, secret string) int {
	token := site.Token(http.MethodGet, "/panel")
	token.Key = []byte(secret)
	answer, _ := site.Do(ctx, http.MethodGet, "/panel", token, nil)
	return answer.StatusCode
}

// again sends a recorded request once more, to the letter.
func (w *world) again(m *message, through *inprocess.App) int {
	return w.post(m, m.body, through)
}

// stolen sends a recorded callback with a secret of a thief.
func (w *world) stolen(m *message, secret string, through *inprocess.App) int {
	w.t.Helper()
	var payload map[string]any
	if err := json.Unmarshal(m.body, &payload); err != nil {
		w.t.Fatal(err)
	}
	payload["sharedSecret"] = secret
	body, err := json.Marshal(payload)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.post(m, body, through)
}

// post goes around the wire, which takes for a site's what comes along there.
func (w *world) post(m *message, body []byte, through *inprocess.App) int {
	request := m.head.Clone(context.Background())
	request.Body = io.NopCloser(bytes.NewReader(body))
	response, err := inprocess.Transport(through).RoundTrip(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}
