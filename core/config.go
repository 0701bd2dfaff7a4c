package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hostbond/hostbond/core/installkeys"
)

// Config configures an [App]. AppKey, BaseURL and Store are required; every other field has a default that is safe.
type Config struct {
	// AppKey is the app's key, as in its descriptor.
	AppKey string

	// BaseURL is where sites reach the app, as in its descriptor: https, or http on a loopback host. A path is
	// allowed; it is left out of the query hash.
	BaseURL string

	// BaseURLs are further base URLs under which the app is, or was, installed: of older descriptor versions, of
	// regions, of a custom domain. A signed install for any of them is accepted, and their paths too are left out of
	// the query hash.
	BaseURLs []string

	// Store keeps the installations: gormstore.New for SQL databases, memstore.New for tests.
	Store Store

	// Descriptor is what the app says of itself in atlassian-connect.json. The zero value makes a minimal one.
	Descriptor Descriptor

	// Paths are the paths of the descriptor and of the lifecycle callbacks, below BaseURL.
	Paths Paths

	// KeyHosts are asked in order for the public keys of signed installs. Default: installkeys.Atlassian.
	KeyHosts []string

	// KeyTransport carries the requests for those keys. Default: one of its own that uses the environment's proxy.
	KeyTransport http.RoundTripper

	// AllowedHosts are the domains that the base URL of a site must be at or under.
	// Default: atlassian.net and jira.com.
	AllowedHosts []string

	// SymmetricInstalls accepts installed and uninstalled callbacks that are signed with the tenant's own shared
	// secret, from tenants for which Atlassian has never signed. It is the protocol before signed installs, and still
	// Bitbucket's. Whoever steals a tenant's secret can then replace it.
	SymmetricInstalls bool

	// InsecureUnsignedFirstInstall accepts the first installed callback of an unknown tenant from ANYBODY, as the
	// protocol before signed installs had it. Do not set it in an app that the internet can reach. A secret that was
	// taken so is usable until the site has settled on another one, even if Atlassian signs for that one.
	InsecureUnsignedFirstInstall bool

	// MaxTokenLife is the longest life of a request's token, from iat to exp. From 1 second to 24 hours. Default: 1 hour.
	MaxTokenLife time.Duration

	// Leeway is granted once to each time in a token, for clocks that differ. Negative: none. At most 5 minutes.
	// Default: 30 seconds.
	Leeway time.Duration

	// Settle is how long a site must sign with one secret, and how long after the last offer of one, before the
	// secrets that it left behind are retired. It must be longer than a callback takes and than a site's token lives:
	// less than the default can lock a site out. With two secrets in use side by side it is a week. At least a second.
	// Default: 15 minutes.
	Settle time.Duration

	// CacheTTL is how old an installation may be when it verifies a request. Negative: read the store each time.
	// At most an hour. Default: 5 seconds.
	CacheTTL time.Duration

	// MaxStale is how old it may be while the store does not answer. From CacheTTL to 24 hours.
	// Default: 60 seconds.
	MaxStale time.Duration

	// CacheSize is the number of installations kept ready in memory, 1 to 16,777,216. Default: 10,000.
	CacheSize int

	// MaintainEvery is how often the app calls Maintain by itself; at least a minute. Default: never, a scheduler
	// of yours calls it.
	MaintainEvery time.Duration

	// AppSecrets is where the app-wide secrets come from: those that Atlassian may send to every site alike. A callback
	// that brings one of them binds the site to it, and no copy is stored. A site that is on one of them may sign with
	// any that it has not left behind, so that replicas can be given a new one in turn; no other site may. Default: none.
	AppSecrets SecretSource

	// AppSecretSignsFirstInstall accepts the first installed callback of an unknown tenant if it is signed with an
	// app-wide secret. Whoever has that secret can then install for any client key. It needs SymmetricInstalls.
	AppSecretSignsFirstInstall bool

	// RevokedFingerprints are secrets that verify nothing, for any tenant, whatever the store says: those of
	// [App.Revoke] from before a database was restored from a backup, say. Whatever is written to a row meanwhile erases
	// them there for good.
	RevokedFingerprints []Fingerprint

	// OnChange is called after a lifecycle callback is committed: on a goroutine of its own, with a context that is
	// not cancelled, at most once for each change. A panic in it is logged. Close waits for it, so it must not call
	// Close. An app that must not miss a change compares Installation.SecretVersion.
	OnChange func(context.Context, Change)

	// OnSecretChanged is called after another secret has become the newest of an installation: by its first callback or
	// a later one, by what tokens have shown, or since the newest was revoked. Drop what was derived from the one
	// before, such as cached access tokens. It is called like OnChange: at most once for each change, by the replica
	// that has written it.
	OnSecretChanged func(context.Context, SecretChange)

	// Logger gets what happens to each tenant; never a secret nor a token. Default: slog.Default().
	Logger *slog.Logger

	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// Paths are the paths of the app's routes for sites, below its base URL.
type Paths struct {
	Descriptor  string // default: /atlassian-connect.json
	Installed   string // default: /installed
	Uninstalled string // default: /uninstalled
	Enabled     string // default: /enabled
	Disabled    string // default: /disabled
}

func (p Paths) withDefaults() Paths {
	for _, path := range []struct {
		value    *string
		fallback string
	}{
		{&p.Descriptor, "/atlassian-connect.json"},
		{&p.Installed, "/installed"},
		{&p.Uninstalled, "/uninstalled"},
		{&p.Enabled, "/enabled"},
		{&p.Disabled, "/disabled"},
	} {
		if *path.value == "" {
			*path.value = path.fallback
		}
	}
	return p
}

func (p Paths) validate() error {
	seen := map[string]string{}
	var errs []error
	for _, path := range []struct{ field, value string }{
		{"Paths.Descriptor", p.Descriptor},
		{"Paths.Installed", p.Installed},
		{"Paths.Uninstalled", p.Uninstalled},
		{"Paths.Enabled", p.Enabled},
		{"Paths.Disabled", p.Disabled},
	} {
		switch other := seen[path.value]; {
		case !strings.HasPrefix(path.value, "/") || path.value == "/" || strings.ContainsAny(path.value, "?#:*{} \\"):
			errs = append(errs, fmt.Errorf("%s: %q is not a plain path that begins with a slash", path.field, path.value))
		case other != "":
			errs = append(errs, fmt.Errorf("%s: %q is the path of %s too", path.field, path.value, other))
		}
		seen[path.value] = path.field
	}
	return errors.Join(errs...)
}

// withDefaults returns the configuration with every default filled in.
func (c Config) withDefaults() Config {
	setDefault(&c.MaxTokenLife, time.Hour)
	setDefault(&c.Leeway, 30*time.Second)
	c.Leeway = max(0, c.Leeway)
	setDefault(&c.Settle, 15*time.Minute)
	setDefault(&c.CacheTTL, 5*time.Second)
	setDefault(&c.MaxStale, max(c.CacheTTL, time.Minute))
	setDefault(&c.CacheSize, 10_000)
	setDefault(&c.Logger, slog.Default())
	if c.Now == nil {
		c.Now = time.Now
	}
	if len(c.KeyHosts) == 0 {
		c.KeyHosts = installkeys.Atlassian()
	}
	if len(c.AllowedHosts) == 0 {
		c.AllowedHosts = []string{"atlassian.net", "jira.com"}
	}
	if secrets, ok := c.AppSecrets.(StaticSecrets); ok {
		c.AppSecrets = slices.Clone(secrets)
	}
	c.RevokedFingerprints = slices.Clone(c.RevokedFingerprints)
	c.AllowedHosts = slices.Clone(c.AllowedHosts)
	for n, host := range c.AllowedHosts {
		c.AllowedHosts[n] = strings.ToLower(strings.TrimPrefix(host, "."))
	}
	c.BaseURL = trimSlash(c.BaseURL)
	c.BaseURLs = slices.Clone(c.BaseURLs)
	for n, base := range c.BaseURLs {
		c.BaseURLs[n] = trimSlash(base)
	}
	c.Paths = c.Paths.withDefaults()
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// validate returns one error that names each field which is wrong.
func (c Config) validate() error {
	var errs []error
	fault := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf(field+": "+format, args...))
	}
	if !validClientKey(c.AppKey) {
		fault("AppKey", "is empty, too long, or has characters that no key has")
	}
	if err := checkAppURL(c.BaseURL); err != nil {
		fault("BaseURL", "%w", err)
	}
	for n, base := range c.BaseURLs {
		if err := checkAppURL(base); err != nil {
			fault(fmt.Sprintf("BaseURLs[%d]", n), "%w", err)
		}
	}
	if c.Store == nil {
		fault("Store", "is nil")
	}
	if err := c.Paths.validate(); err != nil {
		errs = append(errs, err)
	}
	for n, host := range c.AllowedHosts {
		// A single label, such as com, would allow all that lies under it.
		if !hostName.MatchString(host) || !strings.Contains(host, ".") && host != "localhost" {
			fault(fmt.Sprintf("AllowedHosts[%d]", n), "%q is no domain", host)
		}
	}
	for n, f := range c.RevokedFingerprints {
		if !f.valid() {
			fault(fmt.Sprintf("RevokedFingerprints[%d]", n), "is not the SHA-256 of a secret in lower-case hex")
		}
	}
	if secrets, ok := c.AppSecrets.(StaticSecrets); ok {
		if err := checkAppSecrets(secrets); err != nil {
			fault("AppSecrets", "%w", err)
		}
	}
	if c.AppSecretSignsFirstInstall && (c.AppSecrets == nil || !c.SymmetricInstalls) {
		fault("AppSecretSignsFirstInstall", "needs AppSecrets and SymmetricInstalls")
	}
	if c.MaxTokenLife < time.Second || c.MaxTokenLife > 24*time.Hour {
		fault("MaxTokenLife", "%v is not between a second and a day", c.MaxTokenLife)
	}
	if c.Leeway > maxLeeway {
		fault("Leeway", "%v is more than 5 minutes", c.Leeway)
	}
	if c.Settle < time.Second {
		fault("Settle", "%v is less than a second", c.Settle)
	}
	if c.CacheTTL > time.Hour {
		fault("CacheTTL", "%v is more than an hour, and so late would be a revocation", c.CacheTTL)
	}
	if c.MaxStale < c.CacheTTL || c.MaxStale > 24*time.Hour {
		fault("MaxStale", "%v is not between CacheTTL and a day", c.MaxStale)
	}
	if c.MaintainEvery != 0 && c.MaintainEvery < time.Minute {
		fault("MaintainEvery", "%v is less than a minute", c.MaintainEvery)
	}
	if c.CacheSize < 1 || c.CacheSize > 1<<24 {
		fault("CacheSize", "%d is not between 1 and 16,777,216", c.CacheSize)
	}
	return errors.Join(errs...)
}

// checkAppURL checks a base URL of the app itself. Its errors do not quote the URL, which may hold a password.
func checkAppURL(raw string) error {
	if raw == "" {
		return errors.New("is empty")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return errors.New("is no URL")
	case u.Hostname() == "" || u.User != nil || strings.ContainsAny(raw, "?#"):
		return errors.New("is not just a scheme, a host and a path")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	default:
		return errors.New("is not https; http is for loopback hosts only")
	}
}

func isLoopback(host string) bool {
	host = strings.ToLower(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(host).IsLoopback()
}

// trimSlash takes one slash off the end: base URLs are written with and without.
func trimSlash(s string) string { return strings.TrimSuffix(s, "/") }
