package core

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hostbond/hostbond/core/installkeys"
)

// Event is a lifecycle callback, named as in the descriptor and in the body's eventType.
type Event string

// The lifecycle events.
const (
	EventInstalled   Event = "installed" // first install, update, re-install, rename, rotation of the shared secret
	EventUninstalled Event = "uninstalled"
	EventEnabled     Event = "enabled"
	EventDisabled    Event = "disabled"
)

// installs reports whether the event touches secrets. Atlassian signs these, sites sign the others.
func (e Event) installs() bool { return e == EventInstalled || e == EventUninstalled }

// Outcome is what a lifecycle callback came to.
type Outcome string

// The outcomes.
const (
	OutcomeInstalled   Outcome = "installed"   // a tenant that was not known
	OutcomeReinstalled Outcome = "reinstalled" // a tenant that had uninstalled the app
	OutcomeUpdated     Outcome = "updated"     // an update, a rename, a rotation: see the methods of Change
	OutcomeUninstalled Outcome = "uninstalled"
	OutcomeEnabled     Outcome = "enabled"
	OutcomeDisabled    Outcome = "disabled"
	OutcomeUnchanged   Outcome = "unchanged" // a duplicate, or nothing to do
)

// Change tells what a lifecycle callback changed. Its installations hold no secrets.
type Change struct {
	Event   Event
	Outcome Outcome
	Before  *Installation // nil for a tenant that was not known
	After   *Installation // nil if nothing is known of the tenant
	Retired []Fingerprint // secrets that this callback took out of use
}

// SecretChanged reports whether another secret has become the newest. Drop what was derived from the one before.
func (c *Change) SecretChanged() bool {
	return c.After != nil && (c.Before == nil || c.Before.SecretVersion != c.After.SecretVersion)
}

// Renamed reports whether a known site has a new base URL.
func (c *Change) Renamed() bool {
	return c.Before != nil && c.After != nil && c.Before.Site.BaseURL != c.After.Site.BaseURL
}

const (
	// callbackTimeout is less than what a site waits for its answer. No commit begins after it.
	callbackTimeout = 4 * time.Second
	// maxCallbackLife is how long a callback's token may live.
	maxCallbackLife = 20 * time.Minute
	// claimMargin keeps a claim longer than any replica's clock takes its token for unexpired: one that is behind, and
	// grants its own leeway, while one that is ahead forgets claims.
	claimMargin = 4 * maxLeeway
	// maxAttempts bounds how often a callback is decided anew when others keep changing its row.
	maxAttempts = 16
)

// Lifecycle handles a lifecycle callback. A nil error means that the callback is committed, or was before, and that
// the answer is 204. With any other answer the site undoes its part, and so nothing of the installation but its activity
// is written. The token stays reserved for the body it came with.
//
// The error is a refusal: [StatusCode] has the status for the caller, [Reason] the reason for the operator.
// A refusal has been logged. Once the signature is verified and the body has arrived, the work goes on though ctx is
// cancelled.
func (a *App) Lifecycle(ctx context.Context, event Event, r Request) (*Change, error) {
	change, refusal := a.lifecycle(ctx, event, r)
	if refusal != nil {
		a.recorder.refused(refusal.clientKey, refusal.reason)
		return nil, a.logRefusal(ctx, string(event)+" callback refused", refusal)
	}
	return change, nil
}

func (a *App) lifecycle(ctx context.Context, event Event, r Request) (*Change, *refusal) {
	ctx, cancel := context.WithTimeout(ctx, callbackTimeout)
	defer cancel()
	if !a.background.enter() {
		return nil, refuse(ReasonClosed, "the app is shutting down")
	}
	defer a.background.leave()

	cb, token, refusal := a.verifyCallback(ctx, event, r)
	if refusal != nil {
		return nil, refusal.from(token)
	}
	// Only now, since a stranger could send it for as long as he likes.
	body, refusal := r.readBody()
	if refusal != nil {
		return nil, refusal.from(token)
	}
	// A site that hangs up now cannot be told apart from a lost answer, so finish what it has asked for.
	deadline, _ := ctx.Deadline()
	ctx, cancel = context.WithDeadline(context.WithoutCancel(ctx), deadline)
	defer cancel()

	// Before the body is looked at: the signature does not cover it, so the first body under a token is the only one.
	if cb.signing != Unsigned && event.installs() {
		if refusal := a.claim(ctx, cb, token, body); refusal != nil {
			return nil, refusal.from(token)
		}
	}
	if refusal := a.readBody(&cb, token, body); refusal != nil {
		return nil, refusal.from(token)
	}
	change, refusal := a.commit(ctx, cb)
	if refusal != nil {
		return nil, refusal.from(token)
	}
	a.announce(ctx, change)
	return change, nil
}

// verifyCallback checks all that the token says, and returns what the rules need of it. The token is nil for a first
// install that may be, and is, unsigned.
func (a *App) verifyCallback(ctx context.Context, event Event, r Request) (callback, *token, *refusal) {
	arrived := a.config.Now()
	cb := callback{event: event}
	raw, refusal := r.token()
	if refusal != nil {
		// decide refuses it again for a tenant that is known.
		if refusal.reason == ReasonTokenMissing && event == EventInstalled && a.config.InsecureUnsignedFirstInstall {
			// Later callbacks bear the site's time, which ours must not be ahead of.
			cb.signing, cb.issuedAt = Unsigned, wholeSeconds(arrived.Add(-a.config.Leeway))
			return cb, nil, nil
		}
		return cb, nil, refusal
	}
	token, refusal := parseToken(raw)
	if refusal != nil {
		return cb, nil, refusal
	}
	if refusal := token.claims.checkLife(maxCallbackLife); refusal != nil {
		return cb, token, refusal
	}
	if cb.signing, cb.signer, refusal = a.verifyCallbackSignature(ctx, event, token); refusal != nil {
		return cb, token, refusal
	}
	cb.firstAppWide = a.config.AppSecretSignsFirstInstall
	if refusal := token.claims.checkTime(arrived, a.config.Leeway); refusal != nil {
		return cb, token, refusal
	}
	if refusal := a.checkAudience(event, token); refusal != nil {
		return cb, token, refusal
	}
	// Any user can get a context token, and it fits any URL: here it would replace the site's secret (CVE-2021-26074).
	if token.claims.queryHash == contextQueryHash {
		return cb, token, refuse(ReasonTokenKind, "a context token on a lifecycle route")
	}
	if refusal := a.checkQueryHash(token, r); refusal != nil {
		return cb, token, refusal
	}
	// The site's own clock orders its callbacks. Ours must not come in: replicas disagree, and a replay would be newer.
	cb.issuedAt = time.Unix(token.claims.issuedAt, 0).UTC()
	cb.claim = sha256.Sum256([]byte(token.signingInput))
	return cb, token, nil
}

// verifyCallbackSignature lets the route and the configuration choose the algorithm. The token only says which of the
// permitted ones it uses.
func (a *App) verifyCallbackSignature(ctx context.Context, event Event, t *token) (Signing, Fingerprint, *refusal) {
	switch {
	case t.header.algorithm == algRS256:
		key, err := a.keys.Key(ctx, t.header.keyID)
		if err != nil {
			return "", "", refuseKey(err)
		}
		if err := jwt.SigningMethodRS256.Verify(t.signingInput, t.signature, key); err != nil {
			return "", "", refuse(ReasonBadSignature, "not signed by the install key that it names")
		}
		return SignedRS256, "", nil
	case t.header.algorithm == algHS256 && (!event.installs() || a.config.SymmetricInstalls):
		tenant, signer, refusal := a.verifySecret(ctx, t, (*tenant).signer)
		if refusal != nil && refusal.reason == ReasonUnknownTenant && event == EventInstalled && a.config.AppSecretSignsFirstInstall {
			// The secret was there before the installation: the site proves that it was given it.
			if signer, refusal = a.tenants.appWideSigner(t); refusal == nil {
				return SignedHS256, signer, nil
			}
		}
		if refusal != nil {
			return "", "", refusal
		}
		// Once Atlassian has signed for a tenant, its shared secret is not enough any more.
		if event.installs() && tenant.row.Signing == SignedRS256 {
			return "", "", refuse(ReasonAlgorithm, "this installation signs its callbacks with RS256")
		}
		return SignedHS256, signer, nil
	default:
		return "", "", refuse(ReasonAlgorithm, "this callback is signed with RS256")
	}
}

func refuseKey(err error) *refusal {
	switch {
	case errors.Is(err, installkeys.ErrUnknown):
		return refuse(ReasonUnknownKey, "no key host knows the key id").because(err)
	case errors.Is(err, installkeys.ErrLimited):
		return refuse(ReasonOverload, "too many unknown key ids").because(err)
	default:
		return refuse(ReasonKeyHost, "the install key could not be fetched").because(err)
	}
}

// checkAudience demands one of the app's base URLs of what Atlassian signs: without it, a token made for another app
// of the same key would do. Sites put no audience into what they sign themselves.
func (a *App) checkAudience(event Event, t *token) *refusal {
	if t.claims.audience == nil && (t.header.algorithm == algHS256 || !event.installs()) {
		return nil
	}
	for _, audience := range t.claims.audience {
		if slices.Contains(a.audiences, trimSlash(audience)) {
			return nil
		}
	}
	return refuse(ReasonAudience, "no audience is a configured base URL")
}

// claim reserves the token for this body.
func (a *App) claim(ctx context.Context, cb callback, t *token, body []byte) *refusal {
	claim := Claim{
		AppKey:    a.config.AppKey,
		ID:        cb.claim,
		Body:      sha256.Sum256(body),
		At:        wholeSeconds(a.config.Now()),
		ExpiresAt: time.Unix(t.claims.expiresAt, 0).UTC().Add(claimMargin),
	}
	first, err := within(ctx, func(ctx context.Context) (Claim, error) { return a.config.Store.Claim(ctx, claim) })
	if err != nil {
		return refuse(ReasonStore, "the token could not be claimed").because(err)
	}
	if first.Body != claim.Body {
		return refuse(ReasonBodyChanged, "the token came before, with another body")
	}
	return nil
}

// commit decides on the row as it is now and writes it, again and again until nobody came between.
func (a *App) commit(ctx context.Context, cb callback) (*Change, *refusal) {
	unlock, err := a.locks.lock(ctx, cb.key.ClientKey)
	if err != nil {
		return nil, refuse(ReasonBusy, "other callbacks of the tenant were under way for too long").because(err)
	}
	defer unlock()
	for range maxAttempts {
		stored, revoked, err := a.load(ctx, cb.key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, refuse(ReasonStore, "the installation could not be read").because(err)
		}
		cb.revoked = revoked.has(cb.key.ClientKey, cb.secret.Fingerprint())
		cb.appWide = a.appWide(cb.key.ClientKey, revoked)
		cb.appWideUnknown = a.tenants.appSecrets.unknown()
		var row *Installation
		if err != nil {
			stored = nil
		} else {
			row = revoked.strike(stored).keepLeftBehind(cb.appWide)
		}
		step, refusal := decide(row, cb, wholeSeconds(a.config.Now()), a.config.Settle)
		if refusal != nil {
			return nil, refusal
		}
		change := &Change{Event: cb.event, Outcome: step.outcome, Before: stored.public(), After: stored.public(), Retired: step.retired}
		if step.next == nil {
			return change, nil
		}
		err = a.save(ctx, stored, step.next)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return nil, refuse(ReasonStore, "the installation could not be written").because(err)
		}
		change.After = step.next.public()
		return change, nil
	}
	return nil, refuse(ReasonBusy, "others kept changing the installation")
}

// announce logs a committed change and hands it to the app, on its own goroutine: the site is waiting.
func (a *App) announce(ctx context.Context, change *Change) {
	if change.Outcome == OutcomeUnchanged {
		return
	}
	a.log.LogAttrs(ctx, slog.LevelInfo, "lifecycle callback applied",
		slog.String("event", string(change.Event)),
		slog.String("outcome", string(change.Outcome)),
		slog.String("client_key", change.After.Key.ClientKey),
		slog.String("base_url", change.After.Site.BaseURL),
		slog.String("secret", change.After.Newest().Short()),
		slog.Bool("secret_changed", change.SecretChanged()),
		slog.Int("retired", len(change.Retired)))
	ctx = context.WithoutCancel(ctx)
	a.background.start(func() {
		defer a.recovered(ctx, "OnChange")
		if change.Event == EventInstalled { // each time, so that what was missed once is made good
			a.supersede(ctx, change.After)
		}
		if a.config.OnChange != nil {
			a.config.OnChange(ctx, *change)
		}
	})
}

// SecretChange tells that another secret has become the newest of an installation.
type SecretChange struct {
	Key     Key
	Old     Fingerprint // "" if there was none: at the first install, and at the next one after an uninstall
	New     Fingerprint // "" if the only one was revoked
	Version int64       // Installation.SecretVersion from now on
}

// tellSecretChange hands a change that is committed to the app. stored is nil for a new row.
func (a *App) tellSecretChange(ctx context.Context, stored, row *Installation) {
	change := SecretChange{Key: row.Key, New: row.Newest(), Version: row.SecretVersion}
	before := int64(0)
	if stored != nil {
		before, change.Old = stored.SecretVersion, stored.Newest()
	}
	if before == row.SecretVersion || a.config.OnSecretChanged == nil {
		return
	}
	ctx = context.WithoutCancel(ctx)
	a.background.start(func() {
		defer a.recovered(ctx, "OnSecretChanged")
		a.config.OnSecretChanged(ctx, change)
	})
}

// supersede marks other installations at the same base URL: a site import makes a new client key and tells nobody of
// the old one. The mark informs only, so a failure is logged and left.
func (a *App) supersede(ctx context.Context, by *Installation) {
	keys, err := within(ctx, func(ctx context.Context) ([]Key, error) {
		return a.config.Store.Find(ctx, by.Key.AppKey, ByBaseURL, by.Site.BaseURL)
	})
	for _, key := range keys {
		if key != by.Key {
			err = errors.Join(err, a.markSuperseded(ctx, key, by))
		}
	}
	if err != nil {
		a.log.WarnContext(ctx, "installations at the same base URL could not all be marked as superseded", "error", err)
	}
}

func (a *App) markSuperseded(ctx context.Context, key Key, by *Installation) error {
	row, revoked, err := a.load(ctx, key)
	if err != nil || row.State != Installed || row.SupersededBy != "" || !by.supersedes(row) {
		return err
	}
	next := revoked.strike(row)
	next.SupersededBy = by.Key.ClientKey
	return a.save(ctx, row, next)
}

// supersedes reports whether i is the later of two installations at one URL, in whatever order their callbacks are
// worked on.
func (i *Installation) supersedes(other *Installation) bool {
	if i.Watermark.Equal(other.Watermark) {
		return i.Key.ClientKey > other.Key.ClientKey
	}
	return i.Watermark.After(other.Watermark)
}
