package kills

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/process"
)

// site is a site, and what it knows of the app from the answers that it has seen.
type site struct {
	*fakehost.Site
	random *rand.Rand

	offered  map[core.Fingerprint]bool // every secret that it has sent since its last uninstall with a 2xx
	promised *call                     // the newest installed or uninstalled callback with a 2xx
	unsure   []*call                   // those sent after it: each may have been applied, or not
	lost     *call                     // the callback that the last kill has cut off
	resting  bool                      // has uninstalled the app, and does no more before the next kill
	before   *core.Installation        // the row when it was last looked at

	// The newest enabled or disabled callback with a 2xx, nil when a later one or a re-install may have undone it.
	activation *call

	accepted, unavailable int // callbacks with a 2xx, and with a 503
	broken                []error
}

// call is a callback that was sent.
type call struct {
	*fakehost.Callback
	version  string // of the server, another one in each callback, so that the row tells which one it has seen
	issuedAt time.Time
}

func newSite(s *fakehost.Site, random *rand.Rand) *site {
	return &site{Site: s, random: random, offered: map[core.Fingerprint]bool{}}
}

// work calls the app until that is no more.
func (s *site) work(ctx context.Context, app *process.Child) {
	s.resting = false
	for !s.resting {
		select {
		case <-app.Ended():
			return
		default:
		}
		if alive := s.step(ctx); !alive || len(s.broken) > 0 {
			return
		}
	}
}

// step does one thing, and reports whether there was an answer.
func (s *site) step(ctx context.Context) (answered bool) {
	dice := s.random.IntN(100)
	switch {
	case !s.Installed(), dice < 35:
		return s.send(ctx, s.Callback(fakehost.Installed)) // an install, or a rotation
	case dice < 50:
		return s.send(ctx, s.Callback(fakehost.Installed).Offer(s.Secret())) // an update
	case dice < 60:
		return s.send(ctx, s.Callback(fakehost.Uninstalled))
	case dice < 65:
		return s.activate(ctx, s.Callback(fakehost.Enabled))
	case dice < 70:
		return s.activate(ctx, s.Callback(fakehost.Disabled))
	default:
		return s.page(ctx)
	}
}

// send sends a callback that changes the bond.
func (s *site) send(ctx context.Context, callback *fakehost.Callback) (answered bool) {
	c := newCall(callback)
	if callback.Event == fakehost.Installed {
		c.version = fmt.Sprint("version ", s.random.Uint64())
		c.Payload["serverVersion"] = c.version
		s.offered[fingerprint(callback.Secret)] = true
		if !s.Installed() {
			s.activation = nil
		}
	}
	answer, err := callback.Send(ctx)
	if err != nil {
		s.unsure = append(s.unsure, c)
		return s.judge(c, answer, err)
	}
	s.promised, s.unsure = c, nil
	if c.Event == fakehost.Uninstalled {
		clear(s.offered)
		s.resting = s.random.IntN(2) == 0
	}
	return s.judge(c, answer, err)
}

// activate sends a callback that informs.
func (s *site) activate(ctx context.Context, callback *fakehost.Callback) (answered bool) {
	c := newCall(callback)
	s.activation = nil
	answer, err := callback.Send(ctx)
	if err == nil {
		s.activation = c
	}
	return s.judge(c, answer, err)
}

// judge takes an answer for what it is: a yes, a 503, after which the site has gone back, or none. Nothing else fits what
// this site sends.
func (s *site) judge(c *call, answer fakehost.Answer, err error) (answered bool) {
	switch {
	case err == nil:
		s.accepted++
	case errors.Is(err, fakehost.ErrNoAnswer):
		s.lost = c
		return false
	case answer.StatusCode == http.StatusServiceUnavailable:
		s.unavailable++
	default:
		s.breaks("%s: got %v, want 2xx, 503 or no answer", c.Event, err)
	}
	return true
}

// page loads a page, with the secret that the site has settled on.
func (s *site) page(ctx context.Context) (answered bool) {
	answer, err := s.Get(ctx, "/panel")
	switch {
	case err != nil:
		return false
	case answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusServiceUnavailable:
		s.breaks("the site is locked out: a page with its live secret %s got status %d, want 200",
			fingerprint(s.Secret()).Short(), answer.StatusCode)
	}
	return true
}

func (s *site) breaks(format string, arguments ...any) {
	s.broken = append(s.broken, fmt.Errorf("site %s: "+format, append([]any{s.ClientKey()[:8]}, arguments...)...))
}

func newCall(c *fakehost.Callback) *call {
	return &call{Callback: c, issuedAt: time.Unix(c.Token.Claims["iat"].(int64), 0).UTC()}
}

func fingerprint(secret string) core.Fingerprint {
	value, err := core.NewSecret(secret)
	if err != nil {
		return ""
	}
	return value.Fingerprint()
}

// visit loads a page right after a restart, and again while the app has a reason to answer 503.
func (s *site) visit(ctx context.Context) {
	want, why := http.StatusOK, "the site is locked out"
	switch {
	case s.promised == nil:
		return
	case s.promised.Event == fakehost.Uninstalled:
		want, why = http.StatusUnauthorized, "the 2xx to uninstalled was not durable"
	case !s.Installed(): // by an uninstalled that was refused, or cut off
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, err := s.Get(ctx, "/panel")
	for err == nil && answer.StatusCode == http.StatusServiceUnavailable {
		answer, err = s.Get(ctx, "/panel")
	}
	if err != nil || answer.StatusCode != want {
		s.breaks("%s: a page with its secret %s, after the restart: got status %d, %v, want %d",
			why, fingerprint(s.Secret()).Short(), answer.StatusCode, err, want)
	}
}

// robbed lets a thief send the token of a callback that was answered, with a secret of his own.
func (s *site) robbed(ctx context.Context, now time.Time) {
	c := s.promised
	if c == nil || c.Event != fakehost.Installed || now.Sub(c.issuedAt) > 10*time.Minute {
		return
	}
	theft := c.Clone().Offer("a secret of the thief's own")
	answer, err := theft.Post(ctx)
	if err != nil || answer.StatusCode != http.StatusUnauthorized && answer.StatusCode != http.StatusServiceUnavailable {
		s.breaks("a used token with another body, after the restart: got status %d, %v, want 401", answer.StatusCode, err)
	}
}
