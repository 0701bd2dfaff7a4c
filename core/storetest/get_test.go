package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/hostbond/hostbond/core"
)

// altered hands out installations that differ from what was put.
type altered struct {
	core.Store
	alter func(*core.Installation)
}

func (s altered) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	i, err := s.Store.Get(ctx, key)
	if err == nil {
		s.alter(i)
	}
	return i, err
}

func (s altered) List(ctx context.Context, appKey, after string, limit int) ([]*core.Installation, error) {
	page, err := s.Store.List(ctx, appKey, after, limit)
	for _, i := range page {
		s.alter(i)
	}
	return page, err
}

func alter(f func(*core.Installation)) func(core.Store) core.Store {
	return func(right core.Store) core.Store { return altered{right, f} }
}

func alterSecrets(f func(*core.StoredSecret)) func(core.Store) core.Store {
	return alter(func(i *core.Installation) {
		for n := range i.Secrets {
			f(&i.Secrets[n])
		}
	})
}

// alterValues alters the secrets themselves. What becomes too short is kept as it was.
func alterValues(f func(string) string) func(core.Store) core.Store {
	return alterSecrets(func(s *core.StoredSecret) {
		if value, err := core.NewSecret(f(s.Value.Reveal())); err == nil {
			s.Value = value
		}
	})
}

func cutTo(size int) func(string) string {
	return func(s string) string { return s[:min(size, len(s))] }
}

// withOwnErrors speaks the language of its database: what is not there is "no rows".
type withOwnErrors struct{ core.Store }

var errNoRows = errors.New("no rows")

func own(err error) error {
	if errors.Is(err, core.ErrNotFound) {
		return errNoRows
	}
	return err
}

func (s withOwnErrors) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	i, err := s.Store.Get(ctx, key)
	return i, own(err)
}

func (s withOwnErrors) Delete(ctx context.Context, key core.Key, revision int64) error {
	return own(s.Store.Delete(ctx, key, revision))
}

func (s withOwnErrors) Touch(ctx context.Context, key core.Key, activity core.Activity) error {
	return own(s.Store.Touch(ctx, key, activity))
}

// withoutError returns a nil installation for a missing row, and no error.
type withoutError struct{ core.Store }

func (s withoutError) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	i, err := s.Store.Get(ctx, key)
	if errors.Is(err, core.ErrNotFound) {
		return nil, nil
	}
	return i, err
}

// skipsZeros writes only the fields that are set, as some mappers do when they update from a struct.
type skipsZeros struct{ core.Store }

func (s skipsZeros) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	stored, err := s.Get(ctx, installation.Key)
	if err != nil {
		return s.Store.Put(ctx, installation)
	}
	i := installation.Clone()
	if i.SupersededBy == "" {
		i.SupersededBy = stored.SupersededBy
	}
	return s.Store.Put(ctx, i)
}

// wallClock stores what the clock on the wall shows, and reads it as UTC.
type wallClock struct{ core.Store }

func (s wallClock) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	i := installation.Clone()
	_, offset := i.UpdatedAt.Zone()
	i.UpdatedAt = i.UpdatedAt.Add(time.Duration(offset) * time.Second)
	return s.Store.Put(ctx, i)
}

// keepsCopies keeps a part of whatever secret it is handed, of an app-wide one too.
type keepsCopies struct {
	core.Store
	set    func(to *core.StoredSecret, from core.StoredSecret)
	handed map[core.Fingerprint]core.StoredSecret
}

func keepingCopies(set func(to *core.StoredSecret, from core.StoredSecret)) func(core.Store) core.Store {
	return func(right core.Store) core.Store {
		return keepsCopies{right, set, map[core.Fingerprint]core.StoredSecret{}}
	}
}

func (s keepsCopies) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	for _, secret := range installation.Secrets {
		s.handed[secret.Fingerprint] = secret
	}
	return s.Store.Put(ctx, installation)
}

func (s keepsCopies) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	i, err := s.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	for n := range i.Secrets {
		s.set(&i.Secrets[n], s.handed[i.Secrets[n].Fingerprint])
	}
	return i, nil
}

var getFaults = []fault{
	{
		name:   "a missing row is an error of the database",
		wrap:   func(right core.Store) core.Store { return withOwnErrors{right} },
		breaks: []string{"Get/missing row", "Delete/missing row", "Touch/missing row"},
	},
	{
		name:   "a missing row is nil without an error",
		wrap:   func(right core.Store) core.Store { return withoutError{right} },
		breaks: []string{"Get/missing row"},
	},
	{
		name: "two fields change places",
		wrap: alter(func(i *core.Installation) {
			i.Run.StartedAt, i.Run.ArrivedAt = i.Run.ArrivedAt, i.Run.StartedAt
		}),
		breaks: []string{"Get/every field"},
	},
	{
		name:   "two yes or no change places",
		wrap:   alter(func(i *core.Installation) { i.Contested = i.Disabled }),
		breaks: []string{"Get/every field"},
	},
	{
		name:   "zero fields are not written",
		wrap:   func(right core.Store) core.Store { return skipsZeros{right} },
		breaks: []string{"Get/zero values"},
	},
	{
		name: "a time of creation is supplied",
		wrap: alter(func(i *core.Installation) {
			if i.CreatedAt.IsZero() {
				i.CreatedAt = noon
			}
		}),
		breaks: []string{"Get/zero values"},
	},
	{
		name:   "a zero time becomes the Unix epoch",
		wrap:   alter(func(i *core.Installation) { i.LastOffer = time.Unix(max(i.LastOffer.Unix(), 0), 0).UTC() }),
		breaks: []string{"Get/zero values", "Get/times"},
	},
	{
		name: "the Unix epoch becomes a zero time",
		wrap: alter(func(i *core.Installation) {
			if i.LastOffer.Unix() == 0 {
				i.LastOffer = time.Time{}
			}
		}),
		breaks: []string{"Get/times"},
	},
	{
		name:   "seconds have 32 bits",
		wrap:   alter(func(i *core.Installation) { i.Watermark = time.Unix(int64(uint32(i.Watermark.Unix())), 0).UTC() }),
		breaks: []string{"Get/times"},
	},
	{
		name:   "times come back in another location",
		wrap:   alter(func(i *core.Installation) { i.UpdatedAt = i.UpdatedAt.In(time.FixedZone("", 0)) }),
		breaks: []string{"Get/every field", "Get/time zones"},
	},
	{
		name:   "times lose their location",
		wrap:   func(right core.Store) core.Store { return wallClock{right} },
		breaks: []string{"Get/time zones"},
	},
	{
		name:   "secrets are cut at 255 bytes",
		wrap:   alterValues(cutTo(255)),
		breaks: []string{"Get/secret sizes", "Get/secret bytes"},
	},
	{
		name:   "secrets end at NUL",
		wrap:   alterValues(func(s string) string { return strings.TrimRight(s, "\x00") }),
		breaks: []string{"Get/secret bytes"},
	},
	{
		name:   "secrets are made UTF-8",
		wrap:   alterValues(func(s string) string { return strings.ToValidUTF8(s, "?") }),
		breaks: []string{"Get/secret bytes"},
	},
	{
		name:   "secrets are trimmed",
		wrap:   alterValues(strings.TrimSpace),
		breaks: []string{"Get/secret bytes"},
	},
	{
		name: "a sealed secret is taken for its value",
		wrap: alterSecrets(func(s *core.StoredSecret) {
			if value, err := core.NewSecret(string(s.Sealed)); err == nil {
				s.Value, s.Sealed = value, nil
			}
		}),
		breaks: []string{"Get/sealed secret"},
	},
	{
		name:   "a secret that cannot be opened is dropped",
		wrap:   alterSecrets(func(s *core.StoredSecret) { s.Sealed = nil }),
		breaks: []string{"Get/sealed secret", "Get/every field"},
	},
	{
		name:   "a binding is no binding once it is out of use",
		wrap:   alterSecrets(func(s *core.StoredSecret) { s.Bound = s.Bound && s.State == core.Usable }),
		breaks: []string{"Get/bindings", "Get/every field"},
	},
	{
		name:   "a revoked binding is no binding",
		wrap:   alterSecrets(func(s *core.StoredSecret) { s.Bound = s.Bound && s.State != core.Revoked }),
		breaks: []string{"Get/bindings"},
	},
	{
		name:   "what has no value is taken for a binding",
		wrap:   alterSecrets(func(s *core.StoredSecret) { s.Bound = s.Value.IsZero() && s.Sealed == nil }),
		breaks: []string{"Get/bindings", "Get/every field"},
	},
	{
		name:   "a binding keeps a copy of the secret",
		wrap:   keepingCopies(func(to *core.StoredSecret, from core.StoredSecret) { to.Value = from.Value }),
		breaks: []string{"Get/bindings"},
	},
	{
		name:   "a binding keeps a sealed copy of the secret",
		wrap:   keepingCopies(func(to *core.StoredSecret, from core.StoredSecret) { to.Sealed = from.Sealed }),
		breaks: []string{"Get/bindings"},
	},
	{
		name:   "a row holds 100 secrets",
		wrap:   alter(func(i *core.Installation) { i.Secrets = i.Secrets[:min(100, len(i.Secrets))] }),
		breaks: []string{"Get/many secrets"},
	},
	{
		name:   "secrets come back in another order",
		wrap:   alter(func(i *core.Installation) { slices.Reverse(i.Secrets) }),
		breaks: []string{"Get/many secrets", "Get/every field"},
	},
	{
		name:   "a row holds 8 claims",
		wrap:   alter(func(i *core.Installation) { i.Applied = i.Applied[:min(8, len(i.Applied))] }),
		breaks: []string{"Get/many claims"},
	},
	{
		name:   "a base URL has 255 bytes",
		wrap:   alter(func(i *core.Installation) { i.Site.BaseURL = cutTo(255)(i.Site.BaseURL) }),
		breaks: []string{"Get/site text"},
	},
	{
		name: "characters have three bytes",
		wrap: alter(func(i *core.Installation) {
			i.Site.Description = strings.ReplaceAll(i.Site.Description, "\U0001F680", "?")
		}),
		breaks: []string{"Get/site text"},
	},
}
