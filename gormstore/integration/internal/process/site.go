package process

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core/fakehost"
)

// Keys are Atlassian's. They are made once: that takes longer than most tests.
var Keys = new(fakehost.Keys)

// KeyHost serves the public halves of Keys to children, and returns its URL.
func KeyHost(t testing.TB) string {
	t.Helper()
	server := httptest.NewServer(Keys)
	t.Cleanup(server.Close)
	return server.URL
}

// NewSite returns a site that reaches apps by way of transport, a [Child] or what chooses one. A seed makes its secrets
// repeatable.
func NewSite(t testing.TB, transport http.RoundTripper, clock *Clock, seed string) *fakehost.Site {
	t.Helper()
	site, err := fakehost.New(fakehost.Config{
		App:    fakehost.Descriptor{Key: AppKey, BaseURL: BaseURL},
		Keys:   Keys,
		Seed:   seed,
		Now:    clock.Now,
		Client: &http.Client{Transport: transport, Timeout: 10 * time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	return site
}
