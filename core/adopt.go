package core

import (
	"context"
	"fmt"
)

// AdoptAppSecret turns stored copies of the app-wide secrets into bindings, and so erases them: every usable secret of an
// installation that is one of Config.AppSecrets and is not revoked. Copies are there if sites were sent the secret before
// it was configured. One that the store cannot open is adopted too, and so readable again. Nothing else of an installation
// changes, no [Config].OnSecretChanged is called, and a site notices nothing.
//
// Every replica must have the secret configured first: one that has not answers the sites that were moved with 503, and
// its [App.Check] says so. A site that was moved may sign with any app-wide secret, like all that have a binding.
//
// It may be called beside live traffic, by several replicas at once, and again after an error or a crash: what is done
// needs nothing more, so to begin anew costs reading only. An installation that others keep changing is skipped, and
// found by the next call.
//
// It ends with the first error, which names the client key that it concerns, and returns what was done until then. The
// error is [ErrAppSecrets] if there are no app-wide secrets or they cannot be read, and ctx's own if that has ended.
func (a *App) AdoptAppSecret(ctx context.Context, b Batch) (Moved, error) {
	m, err := a.moveSecrets(ctx, b, (*Installation).adopt)
	a.logWalk(ctx, "walk to adopt app-wide secrets has ended", b, m, err)
	return m, err
}

// ReleaseAppSecret turns usable bindings into stored copies, for a fleet that is to do without Config.AppSecrets again,
// and is otherwise like [App.AdoptAppSecret], which takes it back. An installation with a binding to a secret that is not
// configured keeps that binding and is skipped, since nobody here knows the value.
//
// While a secret is configured, each callback that brings it binds its site again, and so does a token that is signed with
// another one which the installation does not have. So release, take the secrets out of the configuration of every replica,
// and release once more from a process that still has them and serves no site. [App.Check] counts what is bound then. From
// then on a site may sign with the secrets that its installation has, and with no other app-wide one. So do not do it while
// sites are coming to sign with another: one that was not seen with it yet would be locked out.
func (a *App) ReleaseAppSecret(ctx context.Context, b Batch) (Moved, error) {
	m, err := a.moveSecrets(ctx, b, (*Installation).release)
	a.logWalk(ctx, "walk to release app-wide secrets has ended", b, m, err)
	return m, err
}

// adopt turns usable copies of the secrets into bindings. It reports whether there were any.
func (i *Installation) adopt(secrets map[Fingerprint]Secret) (moved, left bool) {
	for n := range i.Secrets {
		s := &i.Secrets[n]
		if _, appWide := secrets[s.Fingerprint]; appWide && s.State == Usable && !s.Bound {
			s.Bound, s.Value, s.Sealed = true, Secret{}, nil
			moved = true
		}
	}
	return moved, false
}

// release turns usable bindings to the secrets into copies. It reports whether there were any, and whether there are
// bindings left, to other secrets.
func (i *Installation) release(secrets map[Fingerprint]Secret) (moved, left bool) {
	for n := range i.Secrets {
		s := &i.Secrets[n]
		if s.State != Usable || !s.Bound {
			continue
		}
		value, configured := secrets[s.Fingerprint]
		if !configured {
			left = true
			continue
		}
		s.Bound, s.Unoffered, s.Value = false, false, value
		moved = true
	}
	for n, s := range i.Secrets {
		if moved && !left && s.State == Revoked {
			i.Secrets[n].Bound = false // with a copy there is no other app-wide secret to wait for
		}
	}
	return moved, left
}

// moveSecrets lets move change a copy of each installation, and writes what it has changed.
func (a *App) moveSecrets(
	ctx context.Context, b Batch, move func(*Installation, map[Fingerprint]Secret) (moved, left bool),
) (Moved, error) {
	return a.walk(ctx, b, func() (visit, error) {
		secrets, err := a.tenants.appSecrets.values(ctx)
		if err != nil {
			return nil, err
		}
		revoked, err := a.tenants.revocations.read(ctx)
		if err != nil {
			return nil, fmt.Errorf("hostbond: the revocations could not be read: %w", err)
		}
		return func(row *Installation) (moved, left bool, err error) {
			decide := func(stored *Installation) *Installation {
				next := revoked.strike(stored).Clone()
				if moved, left = move(next, secrets); !moved {
					return stored
				}
				return next
			}
			if b.DryRun {
				decide(row)
				return moved, left, nil
			}
			moved, err = a.change(ctx, row.Key, row, decide)
			return moved, left, err
		}, nil
	})
}
