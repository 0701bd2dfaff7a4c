package fakehost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswerBytes is how much of an answer's body is read; the rest is dropped.
const maxAnswerBytes = 1 << 20

// siteClient calls apps with the time-outs of a site.
var siteClient = &http.Client{
	Timeout: 10 * time.Second,
	Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 5 * time.Second,
		IdleConnTimeout:       30 * time.Second,
	},
}

// withoutRedirects returns a client like the given one that shows a redirect instead of following it: the secret and
// the token are for the app alone.
func withoutRedirects(client *http.Client) *http.Client {
	if client == nil {
		client = siteClient
	}
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// Answer is what the app answered. The zero value is no answer.
type Answer struct {
	StatusCode int
	Header     http.Header
	Body       []byte // at most 1 MiB
}

// Accepted reports whether a site takes the answer to a callback for a yes: 200, 201 or 204.
func (a Answer) Accepted() bool {
	return a.StatusCode == http.StatusOK || a.StatusCode == http.StatusCreated || a.StatusCode == http.StatusNoContent
}

// PageURL returns the URL that a browser loads for a page of the app: the target, which is relative to the app's base
// URL, with the token in the parameter jwt. It is an error if the site has no secret to sign with.
func (s *Site) PageURL(target string) (string, error) {
	token, err := s.Token(http.MethodGet, target).Sign()
	if err != nil {
		return "", err
	}
	separator := "?"
	if strings.Contains(target, "?") {
		separator = "&"
	}
	return s.appURL(target) + separator + "jwt=" + token, nil
}

// Get loads a page of the app as a browser does: see [Site.PageURL]. Any answer is returned without an error.
func (s *Site) Get(ctx context.Context, target string) (Answer, error) {
	pageURL, err := s.PageURL(target)
	if err != nil {
		return Answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, pageURL, nil)
	if err != nil {
		return Answer{}, fmt.Errorf("fakehost: page: %w", withoutURL(err))
	}
	return s.exchange(request, nil)
}

// Webhook posts JSON to the app as the site does, with a token in the Authorization header. Any answer is returned
// without an error.
func (s *Site) Webhook(ctx context.Context, target string, payload []byte) (Answer, error) {
	return s.Do(ctx, http.MethodPost, target, s.Token(http.MethodPost, target), payload)
}

// Do sends any request to the app: with a [Site.ContextToken] as its front end does, with a token of a test's making,
// or with none, which is nil. A body is sent as JSON. Any answer is returned without an error.
func (s *Site) Do(ctx context.Context, method, target string, token *Token, body []byte) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.appURL(target), bytes.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("fakehost: request: %w", withoutURL(err))
	}
	if len(body) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	return s.exchange(request, token)
}

// appURL returns the URL of a target relative to the app's base URL.
func (s *Site) appURL(target string) string { return s.config.AppURL + rooted(target) }

// rooted returns the target with a slash in front.
func rooted(target string) string {
	if strings.HasPrefix(target, "/") {
		return target
	}
	return "/" + target
}

// exchange sends the request with the token, and reads the whole answer: an answer that breaks off is none.
func (s *Site) exchange(request *http.Request, token *Token) (Answer, error) {
	if token != nil {
		signed, err := token.Sign()
		if err != nil {
			return Answer{}, err
		}
		request.Header.Add("Authorization", "JWT "+signed)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrNoAnswer, withoutURL(err))
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	return Answer{StatusCode: response.StatusCode, Header: response.Header, Body: body}, nil
}

// withoutURL takes the URL out of an error, since that of a page holds a token.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
