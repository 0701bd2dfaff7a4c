// Package installkeys finds the public keys that Atlassian signs lifecycle callbacks with, by their key id.
//
// A signed callback names its key in the kid member of the token's header. The key is one PEM file on a key host:
//
//	GET https://connect-install-keys.atlassian.com/{kid}
//
// # What may be asked
//
// Key id and token are unverified when the key is looked up, so anybody can name an id. Hosts are therefore static
// configuration: nothing in a request chooses one. An id that is no plain name, nor a path of three, is refused before
// a URL is built. Redirects are not followed, no cookie is kept, and of a body at most 16 KiB is read.
//
// # What a flood of forged ids can do
//
// A key that is known stays known: Atlassian never re-uses an id, unknown ids are kept apart, and a cached key is
// handed out without any limit. An id that is not cached is fetched once however many callers wait for it. Over all
// ids at most four fetches run at once, and five start a second with a burst of twenty; a fetch asks each host at most
// once. Beyond that the answer is [ErrLimited], at once.
//
// Forged and genuine ids look alike before they are fetched. So a key that is not cached yet competes with the flood:
// of fifty ids a second about one in ten is fetched, and a genuine callback that is not among them must be sent again.
package installkeys

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

const (
	fetchesAtOnce    = 4
	fetchesPerSecond = 5
	fetchBurst       = 20

	knownIDs   = 1024
	unknownIDs = 4096 // twenty, and five a second for a minute, are 320: none is dropped before its time
	unknownFor = time.Minute
)

var (
	// ErrUnknown means that every host was asked, now or within the last minute, and none has a usable key under this
	// id, or that the id is malformed: answer 401.
	ErrUnknown = errors.New("installkeys: unknown key id")

	// ErrUnavailable means that at least one host could not be asked and no other had the key. The token may be
	// genuine: answer 503. It is not remembered, so the next call asks again.
	ErrUnavailable = errors.New("installkeys: key host unavailable")

	// ErrLimited means that no host was asked, because too many other ids were being fetched. The token may be
	// genuine: answer 503.
	ErrLimited = errors.New("installkeys: too many key fetches")
)

// Config configures [New]. The zero value asks Atlassian's hosts.
type Config struct {
	// Hosts are the base URLs of the key hosts, asked in this order until one has the key: https, or http on a
	// loopback address. A key of any of them is trusted, so never derive them from a request. Default: [Atlassian].
	Hosts []string

	// Transport sends the requests; it must honour their contexts. The default keeps no connection open and uses the
	// proxy that the environment names, through which TLS with the key host stays end to end.
	Transport http.RoundTripper

	// Now is the clock of the limits and of remembered unknown ids. Default: [time.Now].
	Now func() time.Time
}

// Atlassian returns the key hosts of Atlassian's commercial cloud.
//
// The first is the one that Atlassian documents (Connect security docs, "Validating installation lifecycle requests"),
// and exists for install keys. The second is newer, and the first that Atlassian's own framework for Node.js asks. By
// its name it serves the keys of other Atlassian services too, so here it is asked last. To do without it, configure
// only the first.
func Atlassian() []string {
	return []string{
		"https://connect-install-keys.atlassian.com",
		"https://asap-distribution.us-west-2.prod.atl-asap.net",
	}
}

// AtlassianGovernment returns the key hosts of Atlassian Government Cloud, ordered like those of [Atlassian].
func AtlassianGovernment() []string {
	return []string{
		"https://cs-migrations--fedrampcdn.us-east-1.prod.cdn.atlassian-us-gov-mod.com",
		"https://asap-distribution.us-west-2.prod.atl-auth-us-gov-mod.net",
	}
}

// Keys fetches and remembers public keys. It is safe for concurrent use, and needs no closing: its only goroutines are
// fetches, which end by themselves within two seconds a host.
type Keys struct {
	hosts  []*url.URL
	client *http.Client
	now    func() time.Time

	known   *lru.Cache[string, *rsa.PublicKey]
	unknown *lru.Cache[string, time.Time] // until when; a cache of its own, so that forged ids push out no key

	flights singleflight.Group
	slots   chan struct{}
	limiter *rate.Limiter
}

// New returns Keys for config, or an error that names the field which is wrong. It does no I/O.
func New(config Config) (*Keys, error) {
	if len(config.Hosts) == 0 {
		config.Hosts = Atlassian()
	}
	if config.Transport == nil {
		config.Transport = defaultTransport()
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	known, _ := lru.New[string, *rsa.PublicKey](knownIDs) // an error would mean a size below one
	unknown, _ := lru.New[string, time.Time](unknownIDs)
	k := &Keys{
		client: &http.Client{
			Transport: config.Transport,
			// A host that could send us elsewhere would choose the source of the keys.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		now:     config.Now,
		known:   known,
		unknown: unknown,
		slots:   make(chan struct{}, fetchesAtOnce),
		limiter: rate.NewLimiter(fetchesPerSecond, fetchBurst),
	}
	for i, raw := range config.Hosts {
		host, err := parseHost(raw)
		if err != nil {
			return nil, fmt.Errorf("installkeys: Hosts[%d]: %w", i, err)
		}
		k.hosts = append(k.hosts, host)
	}
	return k, nil
}

// Key returns the public key under the key id, which callers share and must not change. It returns [ErrUnknown],
// [ErrUnavailable] or [ErrLimited], or the error of ctx, which ends this call's wait but not the fetch: others may wait
// for it too, and the next caller finds its result. A host that does not answer within its two seconds is
// ErrUnavailable, never [context.DeadlineExceeded].
func (k *Keys) Key(ctx context.Context, kid string) (*rsa.PublicKey, error) {
	// The id goes into a URL, and anybody may have written it.
	if !validID(kid) {
		return nil, fmt.Errorf("%w: malformed", ErrUnknown)
	}
	// Before any limit, so that a flood of other ids cannot touch a key that is known.
	if key, err := k.remembered(kid); key != nil || err != nil {
		return key, err
	}
	// A caller who has left already must not spend what others need.
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("installkeys: %w", err)
	}
	flight := k.flights.DoChan(kid, func() (any, error) { return k.fetch(kid) })
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("installkeys: %w", ctx.Err())
	case result := <-flight:
		key, _ := result.Val.(*rsa.PublicKey)
		return key, result.Err
	}
}

// Atlassian's key ids were UUIDs at first. Today they are paths of three names, the kind, owner and name of a key pair:
// generic-keypair/cs-migrations/installation-key-pair--0123456789abcdef.
var idPattern = regexp.MustCompile(`^[\w-][\w.-]*(/[\w-][\w.-]*/[\w-][\w.-]*)?$`)

const maxIDBytes = 128

// validID reports whether kid, appended to the URL of a host and a slash, names one file on that host and nothing else.
func validID(kid string) bool {
	return len(kid) <= maxIDBytes && !strings.Contains(kid, "..") && idPattern.MatchString(kid)
}

// remembered returns the cached key, or ErrUnknown if the hosts were asked in vain within the last minute. It returns
// neither if they have to be asked.
func (k *Keys) remembered(kid string) (*rsa.PublicKey, error) {
	if key, ok := k.known.Get(kid); ok {
		return key, nil
	}
	if until, ok := k.unknown.Get(kid); ok && k.now().Before(until) {
		return nil, ErrUnknown
	}
	return nil, nil
}

// fetch asks the hosts in turn and remembers what they said. It runs once for all who wait for the id, whatever becomes
// of them.
func (k *Keys) fetch(kid string) (*rsa.PublicKey, error) {
	// An earlier flight may have landed after the caller looked.
	if key, err := k.remembered(kid); key != nil || err != nil {
		return key, err
	}
	// First a slot, then a token, so that no token is spent on a fetch that does not start.
	select {
	case k.slots <- struct{}{}:
		defer func() { <-k.slots }()
	default:
		return nil, fmt.Errorf("%w at once", ErrLimited)
	}
	if !k.limiter.AllowN(k.now(), 1) {
		return nil, fmt.Errorf("%w a second", ErrLimited)
	}

	outcome, answers := ErrUnknown, make([]string, 0, len(k.hosts))
	for _, host := range k.hosts {
		key, err := ask(k.client, host, kid)
		if err == nil {
			k.known.Add(kid, key)
			return key, nil
		}
		// One host without an answer leaves the question open, whatever the others say.
		if !errors.Is(err, errNoKey) {
			outcome = ErrUnavailable
		}
		answers = append(answers, host.Host+" "+err.Error())
	}
	if errors.Is(outcome, ErrUnknown) {
		k.unknown.Add(kid, k.now().Add(unknownFor))
	}
	return nil, fmt.Errorf("%w: %s", outcome, strings.Join(answers, "; "))
}
