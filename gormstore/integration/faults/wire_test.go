package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
)

// wire is how sites reach the app. Whoever taps it knows every secret and every token, and can send the last request
// again.
type wire struct {
	journal *journal

	mu      sync.Mutex
	to      http.RoundTripper
	last    *message
	secrets map[string]bool
	tokens  map[string]bool
}

// message is a request as it can be sent again, to the letter.
type message struct {
	head *http.Request
	body []byte
}

// claims reports whether the app reserves the token of this request for its body.
func (m *message) claims() bool {
	path := m.head.URL.Path
	return (path == "/installed" || path == "/uninstalled") && m.head.Header.Get("Authorization") != ""
}

func newWire(j *journal) *wire {
	return &wire{journal: j, secrets: map[string]bool{}, tokens: map[string]bool{}}
}

// connect sends what comes from now on to the replica.
func (w *wire) connect(app *inprocess.App) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to = inprocess.Transport(app)
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	to := w.overhear(&message{r.Clone(r.Context()), body})
	request := r.Clone(r.Context())
	request.Body = io.NopCloser(bytes.NewReader(body))
	response, err := to.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(answer))
	// What is answered must give away as little as what is logged.
	fmt.Fprintf(w.journal, "%s %s: %d %v %s\n", r.Method, r.URL.Path, response.StatusCode, response.Header, answer)
	return response, nil
}

func (w *wire) overhear(m *message) http.RoundTripper {
	var said struct{ SharedSecret string }
	_ = json.Unmarshal(m.body, &said) // a page has no body
	token := strings.TrimPrefix(m.head.Header.Get("Authorization"), "JWT ")
	if token == "" {
		token = m.head.URL.Query().Get("jwt")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = m
	if said.SharedSecret != "" {
		w.secrets[said.SharedSecret] = true
	}
	if token != "" {
		w.tokens[token] = true
	}
	return w.to
}

// know notes a secret that a site has sent by another way.
func (w *wire) know(secret string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets[secret] = true
}

// overheard returns every secret and every token.
func (w *wire) overheard() (secrets, tokens map[string]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.secrets), maps.Clone(w.tokens)
}

// sent reports whether a site has sent the secret.
func (w *wire) sent(f core.Fingerprint) bool {
	secrets, _ := w.overheard()
	for text := range secrets {
		if secret, err := core.NewSecret(text); err == nil && secret.Fingerprint() == f {
			return true
		}
	}
	return false
}

// recorded returns the last request since forget, nil if there was none.
func (w *wire) recorded() *message {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

func (w *wire) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = nil
}
