package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// MaxAppSecrets is how many app-wide secrets there may be at a time: the one in use, the one that takes its place, and one
// that a few sites still have.
const MaxAppSecrets = 3

// SecretSource is where the app-wide secrets come from: see [Config].AppSecrets. [StaticSecrets] and [SecretsFile] are
// two; one that asks a secret manager is a few lines.
type SecretSource interface {
	// Secrets returns the app-wide secrets, the newest first: [MaxAppSecrets] at most, all different. It is asked when an
	// installation is read and its last answer is older than Config.CacheTTL, and by App.Check and reports; by one
	// goroutine at a time. It has a second for the answer: nobody waits longer. While it fails, it is asked for requests
	// once in ten seconds, and the last answer stays in force. No secret and no error means that there are none any more.
	Secrets(ctx context.Context) ([]Secret, error)
}

// StaticSecrets are app-wide secrets that change with a deployment only, the newest first.
type StaticSecrets []Secret

// Secrets returns the secrets.
func (s StaticSecrets) Secrets(context.Context) ([]Secret, error) { return s, nil }

// SecretsFile is the path of a file with an app-wide secret on each line, the newest first. Blank lines, and blanks around
// a secret, do not count. A change of the file is noticed within twice Config.CacheTTL; replace it as a whole, by renaming
// another one, so that no half of it is read.
type SecretsFile string

// Secrets reads the file. It is an error if there is no secret in it.
func (f SecretsFile) Secrets(context.Context) ([]Secret, error) {
	text, err := os.ReadFile(string(f))
	if err != nil {
		return nil, err
	}
	secrets, err := parseSecrets(bytes.Lines(text))
	if err == nil && len(secrets) == 0 {
		err = errors.New("no secret in it")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", string(f), err)
	}
	return secrets, nil
}

// parseSecrets reads a secret of each text that is not blank. Its errors hold none.
func parseSecrets[T ~string | ~[]byte](texts func(func(T) bool)) (secrets []Secret, err error) {
	for text := range texts {
		trimmed := string(bytes.TrimSpace([]byte(text)))
		if trimmed == "" {
			continue
		}
		secret, err := NewSecret(trimmed)
		if err != nil {
			return nil, fmt.Errorf("secret %d: %w", len(secrets)+1, err)
		}
		secrets = append(secrets, secret)
	}
	return secrets, checkAppSecrets(secrets)
}

// checkAppSecrets finds what would make it unclear which one is meant.
func checkAppSecrets(secrets []Secret) error {
	if len(secrets) > MaxAppSecrets {
		return fmt.Errorf("%d app-wide secrets, of which there may be %d", len(secrets), MaxAppSecrets)
	}
	for n, secret := range secrets {
		if secret.IsZero() {
			return fmt.Errorf("secret %d is empty", n+1)
		}
		if first := slices.IndexFunc(secrets, secret.Equal); first < n {
			return fmt.Errorf("secret %d is the same as secret %d", n+1, first+1)
		}
	}
	return nil
}

// sourcePause is between two questions to a source that fails.
const sourcePause = 10 * time.Second

// appSecrets knows the app-wide secrets as their source gave them last.
type appSecrets struct {
	source SecretSource // nil if the app has none
	ttl    time.Duration
	now    func() time.Time
	log    *slog.Logger

	reads  singleflight.Group
	mu     sync.Mutex
	latest []verifier // never changed, only replaced
	next   time.Time  // when it is to be asked again; zero before the first answer
	asked  time.Time
}

// recent returns the secrets, the newest first, as they were at most the TTL ago, or as they were last known while the
// source fails. It never fails itself: a row that needs one that is missing says so, and all others go on.
func (s *appSecrets) recent() []verifier {
	if s.source == nil {
		return nil
	}
	known, fresh := s.known()
	if !fresh {
		_, _ = s.ask(context.Background()) // which has logged why
		known, _ = s.known()
	}
	return known
}

// unknown reports whether there is a source that has never answered.
func (s *appSecrets) unknown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.source != nil && s.latest == nil
}

func (s *appSecrets) known() (known []verifier, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	return s.latest, !now.Before(s.asked) && now.Before(s.next) // a clock that was set back makes nothing fresh
}

// ask asks the source, together with all who do so at the time, and waits a second at most, also for a source that does
// not keep to its context.
func (s *appSecrets) ask(ctx context.Context) ([]Secret, error) {
	patience := time.NewTimer(storeTimeout)
	defer patience.Stop()
	select {
	case answer := <-s.reads.DoChan("", func() (any, error) { return s.read() }):
		if answer.Err != nil {
			return nil, answer.Err
		}
		return answer.Val.([]Secret), nil
	case <-patience.C:
		return nil, s.failed(errors.New("hostbond: the source does not answer"))
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// read asks the source, and takes over its answer however late it comes.
func (s *appSecrets) read() ([]Secret, error) {
	asked := s.now()
	secrets, err := within(context.Background(), s.source.Secrets)
	if err == nil {
		err = checkAppSecrets(secrets)
	}
	if err != nil {
		return nil, s.failed(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.next = asked, asked.Add(s.ttl)
	latest := make([]verifier, len(secrets))
	for n, secret := range secrets {
		fingerprint := secret.Fingerprint()
		prepared := prepared(s.latest, fingerprint)
		if prepared == nil {
			prepared = newHS256(secret)
		}
		latest[n] = verifier{fingerprint: fingerprint, hs256: prepared, state: Usable, bound: true}
	}
	s.latest = latest
	return secrets, nil
}

// failed puts the next question off, logs the error unless somebody has done both already, and returns it.
func (s *appSecrets) failed(err error) error {
	s.mu.Lock()
	now := s.now()
	logged := !now.Before(s.asked) && now.Before(s.next)
	s.asked, s.next = now, now.Add(sourcePause)
	s.mu.Unlock()
	if !logged {
		s.log.Error("app-wide secrets could not be read; those known before stay in force", "error", err)
	}
	return err
}

// ErrAppSecrets is returned by [App.Check] if app-wide secrets cannot be read, or are not configured though
// installations need them; by [App.Report], [App.Tenants] and [App.Tenant] if they cannot be read, or are the target and
// there are none; and by
// [App.AdoptAppSecret] and [App.ReleaseAppSecret] if there are none to go by.
var ErrAppSecrets = errors.New("hostbond: app-wide secrets are missing")

// current asks the source, and returns what it gave; none if there is no source.
func (s *appSecrets) current(ctx context.Context) ([]verifier, error) {
	if s.source == nil {
		return nil, nil
	}
	if _, err := s.ask(ctx); err != nil {
		return nil, fmt.Errorf("%w: they cannot be read: %w", ErrAppSecrets, err)
	}
	known, _ := s.known()
	return known, nil
}

// values asks the source, and returns the secrets by their fingerprints. That there are none is an error.
func (s *appSecrets) values(ctx context.Context) (map[Fingerprint]Secret, error) {
	if s.source == nil {
		return nil, fmt.Errorf("%w: Config.AppSecrets is not set", ErrAppSecrets)
	}
	secrets, err := s.ask(ctx)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: they cannot be read: %w", ErrAppSecrets, err)
	case len(secrets) == 0:
		return nil, fmt.Errorf("%w: Config.AppSecrets has none", ErrAppSecrets)
	}
	values := make(map[Fingerprint]Secret, len(secrets))
	for _, secret := range secrets {
		values[secret.Fingerprint()] = secret
	}
	return values, nil
}

// check asks the source, and holds what is known then against the secrets that installations need.
func (s *appSecrets) check(ctx context.Context, needed map[Fingerprint]int) error {
	var errs []error
	configured, err := s.current(ctx)
	if err != nil {
		errs = append(errs, err)
		configured, _ = s.known()
	}
	for _, f := range slices.Sorted(maps.Keys(needed)) {
		if prepared(configured, f) == nil {
			errs = append(errs, fmt.Errorf("%w: %s is not configured, and %d installed sites need it", ErrAppSecrets, f.Short(), needed[f]))
		}
	}
	return errors.Join(errs...)
}

// fingerprints returns those of the secrets that are not revoked for the tenant.
func fingerprints(secrets []verifier, revoked *revoked, clientKey string) appWide {
	list := make(appWide, 0, len(secrets))
	for _, secret := range secrets {
		if !revoked.has(clientKey, secret.fingerprint) {
			list = append(list, secret.fingerprint)
		}
	}
	return list
}
