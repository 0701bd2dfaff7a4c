package fakehost

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Config says which app a site has, and what the site is. Only App.Key, one of the two URLs, and Keys are required.
type Config struct {
	// AppURL is where the site reaches the app, with a path if the app is mounted under one. It differs from
	// App.BaseURL when the app runs behind a proxy that the site goes around. Default: App.BaseURL.
	AppURL string

	// App is the app's descriptor; [ReadDescriptor] asks the app for it.
	App Descriptor

	// Keys signs installed and uninstalled callbacks. Many sites may share one. Required, unless App is Symmetric.
	Keys *Keys

	ClientKey      string // names the tenant; default: a random UUID
	BaseURL        string // of the site; default: a random host under atlassian.net, with /wiki for Confluence
	ProductType    string // "jira" or "confluence"; default: "jira"
	AccountID      string // of the user who acts; default: a random one
	InstallationID string // of Forge, sent with installed; default: none, the app is not on Forge

	// Payload holds further members of every payload, and replaces the site's own of the same name.
	Payload map[string]any

	// TokenLife is how long tokens are valid, in whole seconds. Default: 3 minutes, and 15 for installed and
	// uninstalled.
	TokenLife time.Duration

	// SecretBytes is the length of the secrets that the site makes, at least 16. Apps must take up to 400 bytes
	// (Connect lifecycle documentation). Default: 192.
	SecretBytes int

	// Seed makes everything random about the site repeatable: client key, base URL, secrets and token ids. Two sites
	// want two seeds. Anyone who knows the seed knows the secrets. Default: not repeatable.
	Seed string

	// Now is the site's clock. Default: time.Now.
	Now func() time.Time

	// Client calls the app. Redirects are never followed, and count as a refusal of a callback. Default: one with
	// the time-outs of a site: 3 s to connect, 5 s for the header of the answer, 10 s in all.
	Client *http.Client
}

// Site is a Jira or Confluence site with one app. It is safe for concurrent use. Of the callbacks that may change its
// secret it sends one at a time; another one waits for its turn.
type Site struct {
	config Config // complete, and never changed
	client *http.Client
	turn   chan struct{} // held by the one callback under way that may change the bond

	mu      sync.Mutex
	bond    bond
	baseURL string // changes with a rename
	fault   fault  // of the next callback
	random  *rand.ChaCha8
}

// bond is what a site holds of its app. An installed callback replaces it whole, and a failure brings it back whole.
type bond struct {
	installed bool
	secret    string // "" if the app never was installed; of an uninstalled app the remnant
	app       Descriptor
}

// New returns a site that has not installed its app yet, or an error that names the field of config it cannot use. It
// calls nobody.
func New(config Config) (*Site, error) {
	if config.AppURL == "" {
		config.AppURL = config.App.BaseURL
	}
	if err := checkURL(config.AppURL); err != nil {
		return nil, fmt.Errorf("fakehost: AppURL: %w", err)
	}
	app, err := config.App.complete(config.AppURL, config.Keys)
	if err != nil {
		return nil, err
	}
	config.AppURL = strings.TrimSuffix(config.AppURL, "/")
	config.App = app
	config.Payload = maps.Clone(config.Payload)

	switch config.ProductType {
	case "":
		config.ProductType = "jira"
	case "jira", "confluence":
	default:
		return nil, fmt.Errorf("fakehost: ProductType is %q, want jira or confluence", config.ProductType)
	}
	if config.SecretBytes == 0 {
		config.SecretBytes = 192
	}
	if config.SecretBytes < minSecretBytes {
		return nil, fmt.Errorf("fakehost: SecretBytes is %d, want at least %d", config.SecretBytes, minSecretBytes)
	}
	if config.TokenLife < 0 {
		return nil, errors.New("fakehost: TokenLife is negative")
	}
	if config.Now == nil {
		config.Now = time.Now
	}

	random := newRandom(config.Seed)
	if config.ClientKey == "" {
		config.ClientKey = newUUID(random)
	}
	if config.AccountID == "" {
		config.AccountID = newHex(random, 12)
	}
	if config.BaseURL == "" {
		config.BaseURL = "https://site-" + newHex(random, 4) + ".atlassian.net"
		if config.ProductType == "confluence" {
			config.BaseURL += "/wiki"
		}
	}
	return newSite(config, random), nil
}

// newSite returns a site before its first install.
func newSite(config Config, random *rand.ChaCha8) *Site {
	return &Site{
		config:  config,
		client:  withoutRedirects(config.Client),
		turn:    make(chan struct{}, 1),
		bond:    bond{app: config.App},
		baseURL: config.BaseURL,
		random:  random,
	}
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return err
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("%q is no absolute http or https URL", s)
	case u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("%q has a query or a fragment", s)
	}
	return nil
}

// ClientKey returns the name of the tenant: the issuer of its tokens.
func (s *Site) ClientKey() string { return s.config.ClientKey }

// BaseURL returns the site's own base URL, which [Site.Rename] changes.
func (s *Site) BaseURL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.baseURL
}

// Installed reports whether the site has the app installed. It is true while a first installed callback is under way.
func (s *Site) Installed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bond.installed
}

// Secret returns the shared secret that the site signs with at this moment: after an uninstall the remnant, before any
// install "".
func (s *Site) Secret() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bond.secret
}

// Fingerprint returns the SHA-256 of [Site.Secret] in lower-case hex, to show and to compare in its place; "" if there
// is none.
func (s *Site) Fingerprint() string {
	secret := s.Secret()
	if secret == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// Import returns the site as it is after a site import: a new client key at the same base URL, and no app installed.
// The app is not told. The old Site is left as it is, for tokens that are still about.
func (s *Site) Import() *Site {
	s.mu.Lock()
	defer s.mu.Unlock()
	var seed [32]byte
	_, _ = s.random.Read(seed[:])
	random := rand.NewChaCha8(seed)
	config := s.config
	config.ClientKey = newUUID(random)
	config.BaseURL = s.baseURL
	config.App = s.bond.app
	return newSite(config, random)
}

// take waits for the callback under way, if there is one, and reserves the next turn until it is released.
func (s *Site) take(ctx context.Context) (release func(), err error) {
	select {
	case s.turn <- struct{}{}:
		return func() { <-s.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("fakehost: another callback is under way: %w", ctx.Err())
	}
}

// hold makes next what the site holds of the app, and returns what it held before.
func (s *Site) hold(next bond) (before bond) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, s.bond = s.bond, next
	return before
}
