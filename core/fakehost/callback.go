package fakehost

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
)

var (
	// ErrRefused is returned when the app answered a callback of the site with anything but 200, 201 or 204.
	ErrRefused = errors.New("fakehost: the app refused")

	// ErrNoAnswer is returned when no answer reached the site: no connection, a time-out, or an answer that was lost.
	// It does not say whether the app has done its work.
	ErrNoAnswer = errors.New("fakehost: no answer")
)

// Callback is one lifecycle callback before it is sent. As [Site.Callback] returns it, it is what the site would send;
// every field may be changed first.
type Callback struct {
	Event   Event
	Method  string
	URL     string // "" if the app has no such callback: then nothing is sent
	Header  http.Header
	Payload map[string]any
	Body    []byte // sent in place of Payload, if it is not nil
	Token   *Token // goes into the Authorization header; nil for none

	// Secret is what the site signs with once an installed callback is under way, whatever the payload says.
	Secret string

	app  Descriptor // the version of the app that an installed callback brings
	site *Site
}

// Callback returns the callback that the site would send now, with a fresh token; that of installed offers a fresh
// secret.
//
// The token belongs to this moment: where the site has another secret by the time of sending, it is an old token.
func (s *Site) Callback(event Event) *Callback {
	s.mu.Lock()
	defer s.mu.Unlock()
	secret := s.bond.secret
	if event == Installed {
		secret = s.newSecret()
	}
	return s.callback(event, s.bond.app, secret)
}

// callback returns the callback for a version of the app and a secret; s.mu is held.
func (s *Site) callback(event Event, app Descriptor, secret string) *Callback {
	c := &Callback{
		Event:  event,
		Method: http.MethodPost,
		Header: http.Header{
			"Content-Type": {"application/json"},
			"User-Agent":   {"Atlassian-Connect/fakehost"},
		},
		Payload: s.payload(event, app, secret),
		Secret:  secret,
		app:     app,
		site:    s,
	}
	if target := app.Lifecycle[event]; target != "" {
		c.URL = s.appURL(target)
		c.Token = s.callbackToken(event, app, target)
	}
	return c
}

// callbackToken returns what the site proves itself with, nil if it can prove nothing; s.mu is held.
func (s *Site) callbackToken(event Event, app Descriptor, target string) *Token {
	var t *Token
	hash := queryHash(http.MethodPost, target)
	install := event == Installed || event == Uninstalled
	switch {
	case install && !app.Symmetric:
		t = s.asymmetric(hash, s.life(installLife), app.BaseURL)
	case install && s.bond.secret != "":
		t = s.symmetric(hash, s.life(installLife))
	case !install && s.bond.installed:
		t = s.symmetric(hash, s.life(requestLife))
	default:
		// A first install has no secret to sign with. A disabled that comes after the uninstall is not signed either.
		return nil
	}
	// A second is long for a test: without an id, two callbacks within one would carry the same token.
	t.Claims["jti"] = newUUID(s.random)
	return t
}

// payload returns the members that the lifecycle documentation lists; s.mu is held.
func (s *Site) payload(event Event, app Descriptor, secret string) map[string]any {
	product := "Jira"
	if s.config.ProductType == "confluence" {
		product = "Confluence"
	}
	payload := map[string]any{
		"key":            app.Key,
		"clientKey":      s.config.ClientKey,
		"oauthClientId":  oauthClientID(s.config.ClientKey, app.Key),
		"serverVersion":  "100287",
		"pluginsVersion": "1001.0.0",
		"baseUrl":        s.baseURL,
		"displayUrl":     s.baseURL,
		"productType":    s.config.ProductType,
		"description":    "Atlassian " + product + " at " + s.baseURL,
		"eventType":      string(event),
	}
	if event == Installed {
		payload["sharedSecret"] = secret
		if s.config.InstallationID != "" {
			payload["installationId"] = s.config.InstallationID
		}
	}
	maps.Copy(payload, s.config.Payload)
	return payload
}

// oauthClientID names one installation to Atlassian's authorisation server; it looks like a real one.
func oauthClientID(clientKey, appKey string) string {
	return base64.RawStdEncoding.EncodeToString(fmt.Appendf(nil, `{"hostKey":%q,"addonKey":%q}`, clientKey, appKey))
}

// Offer makes an installed callback offer this very secret, and returns it: an app-wide one is the same for all sites.
func (c *Callback) Offer(secret string) *Callback {
	c.Secret = secret
	c.Payload["sharedSecret"] = secret
	return c
}

// OfferNothing makes an installed callback carry no secret, and returns it. The site stays with the one it has.
func (c *Callback) OfferNothing() *Callback {
	c.Secret = c.site.Secret()
	delete(c.Payload, "sharedSecret")
	return c
}

// Clone returns a copy that can be changed apart from c; nested values of payload and claims are shared.
func (c *Callback) Clone() *Callback {
	clone := *c
	clone.Header = c.Header.Clone()
	clone.Payload = maps.Clone(c.Payload)
	clone.Body = slices.Clone(c.Body)
	clone.Token = c.Token.Clone()
	return &clone
}

// Send sends the callback as the site does, and returns the app's answer. The error is nil only if the site has seen
// 200, 201 or 204; else it is [ErrRefused], with the answer, or [ErrNoAnswer], or says why nothing could be sent.
//
// With an installed callback the site swaps its secret first, and on any error goes back to what it held before. An
// uninstalled one ends the installation whatever comes back, and leaves the secret as a remnant. Both wait until no
// other such callback is under way, or ctx ends. Sending the same Callback twice is a replay: the token is the same.
func (c *Callback) Send(ctx context.Context) (Answer, error) {
	if c.Event == Installed || c.Event == Uninstalled {
		release, err := c.site.take(ctx)
		if err != nil {
			return Answer{}, err
		}
		defer release()
	}
	return c.send(ctx)
}

// send is Send in its turn.
func (c *Callback) send(ctx context.Context) (Answer, error) {
	switch c.Event {
	case Installed:
		// Before the call, not after it: pages that are loaded meanwhile must carry the new secret.
		before := c.site.hold(bond{installed: true, secret: c.Secret, app: c.app})
		answer, err := c.call(ctx)
		if err != nil {
			c.site.hold(before)
		}
		return answer, err
	case Uninstalled:
		defer c.site.leave()
	}
	return c.call(ctx)
}

// call posts the callback over a network that may lose it, and judges the answer.
func (c *Callback) call(ctx context.Context) (Answer, error) {
	if c.URL == "" {
		return Answer{}, nil
	}
	fault := c.site.nextFault()
	if fault == loseCall {
		return Answer{}, fmt.Errorf("%w to %s: the call was lost", ErrNoAnswer, c.Event)
	}
	answer, err := c.Post(ctx)
	switch {
	case err != nil:
		return Answer{}, err
	case fault == loseAnswer:
		return Answer{}, fmt.Errorf("%w to %s: the answer was lost", ErrNoAnswer, c.Event)
	case !answer.Accepted():
		return answer, fmt.Errorf("%w %s: status %d", ErrRefused, c.Event, answer.StatusCode)
	}
	return answer, nil
}

// Post posts the callback as anybody could who has got hold of it: the site knows nothing of it and stays as it is. Any
// answer is returned without an error; that a forgery is refused is for the caller to see.
func (c *Callback) Post(ctx context.Context) (Answer, error) {
	body := c.Body
	if body == nil {
		var err error
		if body, err = json.Marshal(c.Payload); err != nil {
			return Answer{}, fmt.Errorf("fakehost: payload of %s: %w", c.Event, err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, c.Method, c.URL, bytes.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("fakehost: %s: %w", c.Event, withoutURL(err))
	}
	request.Header = c.Header.Clone()
	return c.site.exchange(request, c.Token)
}
