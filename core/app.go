package core

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/hostbond/hostbond/core/installkeys"
)

// App verifies requests and follows lifecycle callbacks for one app key. It is safe for concurrent use. A process may
// hold several, each with its own app key.
type App struct {
	config     Config
	audiences  []string // every base URL, without a slash at the end
	basePaths  []string // their paths, that of BaseURL first
	descriptor []byte
	keys       *installkeys.Keys
	tenants    *tenants
	recorder   *recorder
	locks      keyLocks
	background *background
	log        *slog.Logger
}

// New returns an App. It does no input or output: see [App.Check]. Its error names every field that is wrong.
// Call [App.Close] when the app stops.
func New(c Config) (*App, error) {
	c = c.withDefaults()
	descriptor, descriptorErr := c.Descriptor.build(c)
	keys, keysErr := installkeys.New(installkeys.Config{Hosts: c.KeyHosts, Transport: c.KeyTransport, Now: c.Now})
	if keysErr != nil {
		keysErr = fmt.Errorf("KeyHosts: %w", keysErr)
	}
	if err := errors.Join(c.validate(), descriptorErr, keysErr); err != nil {
		return nil, fmt.Errorf("hostbond: Config: %w", err)
	}
	a := &App{
		config:     c,
		audiences:  slices.Concat([]string{c.BaseURL}, c.BaseURLs),
		descriptor: descriptor,
		keys:       keys,
		tenants:    newTenants(c),
		locks:      newKeyLocks(),
		background: newBackground(),
		log:        c.Logger.With("app_key", c.AppKey),
	}
	for _, audience := range a.audiences {
		u, _ := url.Parse(audience) // validated above
		if path := u.EscapedPath(); !slices.Contains(a.basePaths, path) {
			a.basePaths = append(a.basePaths, path)
		}
	}
	a.recorder = newRecorder(a)
	if c.MaintainEvery > 0 {
		a.background.every(c.MaintainEvery, a.maintain)
	}
	return a, nil
}

// Route is a route that sites call. An adapter mounts them all.
type Route struct {
	Method string
	Path   string // below the app's base URL
	Event  Event  // of the lifecycle callback, or "" for the descriptor
}

// Routes returns what an adapter mounts: the lifecycle callbacks, and the descriptor for GET and HEAD unless it is
// omitted.
func (a *App) Routes() []Route {
	paths := a.config.Paths
	routes := []Route{
		{http.MethodPost, paths.Installed, EventInstalled},
		{http.MethodPost, paths.Uninstalled, EventUninstalled},
		{http.MethodPost, paths.Enabled, EventEnabled},
		{http.MethodPost, paths.Disabled, EventDisabled},
	}
	if a.descriptor != nil {
		routes = append(routes,
			Route{Method: http.MethodGet, Path: paths.Descriptor},
			Route{Method: http.MethodHead, Path: paths.Descriptor})
	}
	return routes
}

// Descriptor returns the atlassian-connect.json to serve, as JSON, or nil if it is omitted.
func (a *App) Descriptor() []byte { return slices.Clone(a.descriptor) }

// Logger returns Config.Logger, which says with each line which app key it is about, for what is built on the app.
func (a *App) Logger() *slog.Logger { return a.log }

// Check reports whether the app can work: whether the store answers, whether the app-wide secrets can be read, and how
// many installations need one that is not configured. The last two are [ErrAppSecrets]: only the sites that are bound to
// such a secret get 503, so a health check that takes a replica out of service should let that error pass, and a
// deployment should not.
func (a *App) Check(ctx context.Context) error {
	needed, err := within(ctx, func(ctx context.Context) (map[Fingerprint]int, error) {
		return a.config.Store.Bindings(ctx, a.config.AppKey)
	})
	if err != nil {
		return fmt.Errorf("hostbond: the store does not answer: %w", err)
	}
	revoked, err := a.tenants.revocations.read(ctx)
	if err != nil {
		return fmt.Errorf("hostbond: the store does not answer: %w", err)
	}
	maps.DeleteFunc(needed, func(f Fingerprint, _ int) bool { return revoked.has("", f) }) // written into the rows later
	return a.tenants.appSecrets.check(ctx, needed)
}

// Close waits for what is under way after a callback or a request (hooks, evidence) until ctx ends. Callbacks are
// refused from then on, so stop the HTTP server first.
func (a *App) Close(ctx context.Context) error {
	return errors.Join(a.recorder.close(ctx), a.background.close(ctx))
}

// logRefusal gives the refusal the id under which caller and operator can talk about it, and logs it.
func (a *App) logRefusal(ctx context.Context, message string, refusal *refusal) error {
	refusal.correlationID = correlationID()
	level := slog.LevelInfo
	if refusal.reason.status() == http.StatusServiceUnavailable && ctx.Err() == nil { // our fault, not a caller's who left
		level = slog.LevelError
	}
	attributes := []slog.Attr{
		slog.String("reason", string(refusal.reason)),
		slog.String("correlation_id", refusal.correlationID),
	}
	if refusal.detail != "" {
		attributes = append(attributes, slog.String("detail", refusal.detail))
	}
	if refusal.clientKey != "" {
		// What the token claims, not who sent it.
		attributes = append(attributes, slog.String("client_key", refusal.clientKey))
	}
	if refusal.cause != nil {
		attributes = append(attributes, slog.Any("cause", refusal.cause))
	}
	a.log.LogAttrs(ctx, level, message, attributes...)
	return refusal
}

func correlationID() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// recovered logs a panic of the app's own code, which must not end the process.
func (a *App) recovered(ctx context.Context, hook string) {
	if v := recover(); v != nil {
		a.log.ErrorContext(ctx, "panic in "+hook, "panic", fmt.Sprint(v))
	}
}

// wholeSeconds is the resolution of the rules and of the store.
func wholeSeconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
