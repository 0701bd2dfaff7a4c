package core_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hostbond/hostbond/core"
)

// Where app-wide secrets come from: a source that changes, fails, hangs and answers nonsense.

// vault is a source of app-wide secrets.
type vault struct {
	answer atomic.Pointer[func(context.Context) ([]core.Secret, error)]
	asked  atomic.Int32
	now    atomic.Int32 // questions under way
	most   atomic.Int32 // of them at a time
}

func newVault(t *testing.T, values ...string) *vault {
	t.Helper()
	v := new(vault)
	v.holds(t, values...)
	return v
}

// holds makes the values its answer, the newest first.
func (v *vault) holds(t *testing.T, values ...string) {
	t.Helper()
	secrets := appSecrets(t, values...)
	v.does(secrets.Secrets)
}

func (v *vault) does(answer func(context.Context) ([]core.Secret, error)) { v.answer.Store(&answer) }

func (v *vault) Secrets(ctx context.Context) ([]core.Secret, error) {
	v.asked.Add(1)
	v.most.Store(max(v.most.Load(), v.now.Add(1)))
	defer v.now.Add(-1)
	return (*v.answer.Load())(ctx)
}

func (v *vault) wantAsked(t *testing.T, want int32) {
	t.Helper()
	if got := v.asked.Load(); got != want {
		t.Errorf("the source was asked %d times, want %d", got, want)
	}
}

var errVault = errors.New("the vault is sealed")

func fails(context.Context) ([]core.Secret, error) { return nil, errVault }

// asks is the configuration with the source.
func asks(source core.SecretSource) func(*core.Config) {
	return func(c *core.Config) { c.AppSecrets = source }
}

// bind puts a row into the store that is bound to the secrets, the one offered last at the end.
func (s *faultyStore) bind(t testing.TB, clientKey string, values ...string) {
	t.Helper()
	row := &core.Installation{
		Key: core.Key{AppKey: appKey, ClientKey: clientKey}, State: core.Installed, Signing: core.SignedRS256,
		LastOffer: time.Now().UTC().Truncate(time.Second), // so that there is no evidence to record yet
	}
	for _, secret := range appSecrets(t, values...) {
		row.Secrets = append(row.Secrets, core.StoredSecret{Fingerprint: secret.Fingerprint(), State: core.Usable, Bound: true})
	}
	if _, err := s.Store.Put(t.Context(), row); err != nil {
		t.Fatal(err)
	}
}

func TestTheSourceIsAskedOnceForManyTenants(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		source := newVault(t, appWide1)
		secrets := appSecrets(t, appWide1)
		source.does(func(context.Context) ([]core.Secret, error) {
			pass(100 * time.Millisecond)
			return secrets, nil
		})
		app := replica(asks(source))
		var requests sync.WaitGroup
		for n := range 50 {
			store.bind(t, fmt.Sprint("bound-", n), appWide1)
			requests.Go(func() { want(t, authenticate(t, app, fmt.Sprint("bound-", n), appWide1), "") })
		}
		requests.Wait()
		source.wantAsked(t, 1)
	})
}

func TestTheSourceIsAskedOnceATTL(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		source := newVault(t, appWide1)
		app := replica(asks(source))
		for n := range 10 {
			store.bind(t, fmt.Sprint("bound-", n), appWide1)
		}
		for second := range 20 {
			for n := range 10 {
				want(t, authenticate(t, app, fmt.Sprint("bound-", n), appWide1), "")
			}
			source.wantAsked(t, int32(1+second/5))
			pass(time.Second)
		}
	})
}

func TestASourceIsNotAskedBeforeItIsNeeded(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *faultyStore, replica func(...func(*core.Config)) *core.App) {
		source := newVault(t, appWide1)
		replica(asks(source))
		pass(time.Hour)
		source.wantAsked(t, 0)
	})
}

func TestWhatTheSourceAnswersIsKnownWithinTwiceTheTTL(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		source := newVault(t, appWide1)
		app := replica(asks(source))
		store.bind(t, "bound", appWide1)
		want(t, authenticate(t, app, "bound", appWide1), "")
		want(t, authenticate(t, app, "bound", appWide2), core.ReasonBadSignature)

		source.holds(t, appWide2, appWide1)
		pass(10 * time.Second)
		want(t, authenticate(t, app, "bound", appWide2), "")
		want(t, authenticate(t, app, "bound", appWide1), "")

		source.holds(t, appWide2)
		quiet(t, app)
		pass(10 * time.Second)
		want(t, authenticate(t, app, "bound", appWide1), core.ReasonNotConfigured)
		want(t, authenticate(t, app, "bound", appWide2), "")
	})
}

// badAnswers are answers of a source that are none.
func badAnswers(t *testing.T) map[string]func(context.Context) ([]core.Secret, error) {
	t.Helper()
	forever := make(chan struct{})
	t.Cleanup(func() { close(forever) })
	return map[string]func(context.Context) ([]core.Secret, error){
		"an error": fails,
		"a panic":  func(context.Context) ([]core.Secret, error) { panic("in the source") },
		"silence": func(ctx context.Context) ([]core.Secret, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		"silence that does not end with the context": func(context.Context) ([]core.Secret, error) {
			<-forever
			return nil, nil
		},
		"four secrets":       appSecrets(t, appWide1, appWide2, appWide3, first).Secrets,
		"a secret twice":     appSecrets(t, appWide1, appWide2, appWide1).Secrets,
		"an empty secret":    core.StaticSecrets{appSecrets(t, appWide1)[0], {}}.Secrets,
		"secrets, and error": func(context.Context) ([]core.Secret, error) { return appSecrets(t, appWide2), errVault },
	}
}

func TestWhileTheSourceFailsItsLastAnswerStays(t *testing.T) {
	for _, ttl := range []time.Duration{time.Second, 5 * time.Second, time.Minute} {
		for rule := range badAnswers(t) {
			t.Run(fmt.Sprint(rule, ", TTL ", ttl), func(t *testing.T) {
				inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
					source := newVault(t, appWide2, appWide1)
					app := replica(asks(source), func(c *core.Config) { c.CacheTTL = ttl })
					store.bind(t, "bound", appWide1)
					want(t, authenticate(t, app, "bound", appWide1), "")
					quiet(t, app)
					source.does(badAnswers(t)[rule])
					for range 180 {
						began := time.Now()
						want(t, authenticate(t, app, "bound", appWide1), "")
						if waited := time.Since(began); waited > time.Second {
							t.Fatalf("a request waited for %v, want a second at most", waited)
						}
						pass(time.Second)
					}
					if asked := source.asked.Load(); asked > 20 {
						t.Errorf("within three minutes the source was asked %d times, want once in ten seconds", asked)
					}
					if most := source.most.Load(); most != 1 {
						t.Errorf("the source was asked %d times at once", most)
					}
				})
			})
		}
	}
}

func TestBeforeTheFirstAnswerOnlyBoundSitesWait(t *testing.T) {
	for _, ttl := range []time.Duration{time.Second, 5 * time.Second, time.Hour} {
		for rule := range badAnswers(t) {
			if strings.HasPrefix(rule, "silence that") {
				continue // it is not asked again before it has answered
			}
			t.Run(fmt.Sprint(rule, ", TTL ", ttl), func(t *testing.T) {
				inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
					source := newVault(t)
					source.does(badAnswers(t)[rule])
					app := replica(asks(source), func(c *core.Config) { c.CacheTTL = ttl })
					store.bind(t, "bound", appWide1)
					want(t, authenticate(t, app, "site", first), "")
					want(t, authenticate(t, app, "bound", appWide1), core.ReasonNotConfigured)
					want(t, authenticate(t, app, "nobody", appWide1), core.ReasonUnknownTenant)

					source.holds(t, appWide1)
					began := time.Now()
					for authenticate(t, app, "bound", appWide1) != "" && time.Since(began) < time.Minute {
						pass(time.Second)
					}
					if waited := time.Since(began); waited > 12*time.Second {
						t.Errorf("it was asked again after %v, want after ten seconds", waited)
					}
				})
			})
		}
	}
}

func TestASourceThatNeverAnswersKeepsNobodyElseWaiting(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		forever := make(chan struct{})
		defer close(forever)
		source := newVault(t)
		source.does(func(context.Context) ([]core.Secret, error) { <-forever; return nil, nil })
		app := replica(asks(source))
		store.bind(t, "bound", appWide1)
		for range 60 {
			began := time.Now()
			want(t, authenticate(t, app, "site", first), "")
			if waited := time.Since(began); waited > time.Second {
				t.Fatalf("waited for %v, want a second at most", waited)
			}
			pass(time.Second)
		}
		want(t, authenticate(t, app, "bound", appWide1), core.ReasonNotConfigured)
		source.wantAsked(t, 1)
	})
}

func TestAnAnswerThatComesLateIsUsed(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		source := newVault(t)
		late := appSecrets(t, appWide1)
		source.does(func(context.Context) ([]core.Secret, error) { pass(3 * time.Second); return late, nil })
		app := replica(asks(source))
		store.bind(t, "bound", appWide1)
		want(t, authenticate(t, app, "bound", appWide1), core.ReasonNotConfigured)
		pass(3 * time.Second)
		want(t, authenticate(t, app, "bound", appWide1), "")
	})
}

func TestAClockThatWasSetBackMakesNoAnswerOfTheSourceFresh(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		var back atomic.Int64
		source := newVault(t, appWide1)
		app := replica(asks(source), func(c *core.Config) {
			c.Now = func() time.Time { return time.Now().Round(0).Add(-time.Duration(back.Load())) }
			c.Leeway = 5 * time.Minute
		})
		store.bind(t, "bound", appWide1)
		want(t, authenticate(t, app, "bound", appWide1), "")
		back.Store(int64(4 * time.Minute))
		source.holds(t, appWide2, appWide1)
		pass(10 * time.Second)
		want(t, authenticate(t, app, "bound", appWide2), "")
	})
}

func TestASourceThatFailsIsLoggedOnceForEachQuestion(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		source := newVault(t)
		source.does(func(context.Context) ([]core.Secret, error) {
			pass(100 * time.Millisecond)
			return append(appSecrets(t, appWide1, appWide2), core.Secret{}), nil
		})
		log := new(journal)
		app := replica(asks(source), func(c *core.Config) { c.Logger = slog.New(log) })
		var requests sync.WaitGroup
		for n := range 50 {
			store.install(t, fmt.Sprint("site-", n), first)
			requests.Go(func() { want(t, authenticate(t, app, fmt.Sprint("site-", n), first), "") })
		}
		requests.Wait()
		synctest.Wait()
		if lines := strings.Count(log.String(), "app-wide secrets could not be read"); lines != 1 {
			t.Errorf("got %d lines in the log for one question, want one:\n%s", lines, log)
		}
		if text := log.String(); strings.Contains(text, appWide1) || strings.Contains(text, appWide2) {
			t.Errorf("the log has a secret:\n%s", text)
		}
	})
}

func TestASecretsFileHasASecretOnEachLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule, text string
		want       []string // nil for an error
	}{
		{"one", appWide1, []string{appWide1}},
		{"one, and the end of its line", appWide1 + "\n", []string{appWide1}},
		{"three, the newest first", appWide3 + "\n" + appWide2 + "\n" + appWide1 + "\n", []string{appWide3, appWide2, appWide1}},
		{"lines that end as on Windows", appWide2 + "\r\n" + appWide1 + "\r\n", []string{appWide2, appWide1}},
		{"blank lines", "\n\n  \n" + appWide2 + "\n\t\n\r\n" + appWide1 + "\n\n", []string{appWide2, appWide1}},
		{"blanks around a secret", "  " + appWide1 + "\t \n", []string{appWide1}},
		{"characters that mean something elsewhere", "=,;#'\"\\$(x)`-0123456789\n", []string{"=,;#'\"\\$(x)`-0123456789"}},
		{"nothing", "", nil},
		{"blank lines only", "\n \r\n\t\n", nil},
		{"a short one", appWide1 + "\n0123456789abcde\n", nil},
		{"a long one", strings.Repeat("x", core.MaxSecretBytes+1), nil},
		{"four", "a" + appWide1 + "\nb" + appWide1 + "\nc" + appWide1 + "\nd" + appWide1, nil},
		{"one twice", appWide1 + "\n" + appWide2 + "\n " + appWide1, nil},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "secrets")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			secrets, err := core.SecretsFile(path).Secrets(t.Context())
			if c.want == nil {
				if err == nil || !strings.Contains(err.Error(), path) {
					t.Fatalf("got %v, want an error that names the file", err)
				}
				for line := range strings.Lines(c.text) {
					if line = strings.TrimSpace(line); line != "" && strings.Contains(err.Error(), line) {
						t.Errorf("the error has the line %q of the file: %v", line, err)
					}
				}
				return
			}
			var got []string
			for _, secret := range secrets {
				got = append(got, secret.Reveal())
			}
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestASecretsFileThatIsNotThereIsAnError(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secrets")
	if _, err := core.SecretsFile(path).Secrets(t.Context()); !errors.Is(err, fs.ErrNotExist) || strings.Count(err.Error(), path) != 1 {
		t.Errorf("got %v, want an error that names the file once", err)
	}
	if _, err := core.SecretsFile(t.TempDir()).Secrets(t.Context()); err == nil {
		t.Error("a directory: got no error")
	}
}

func TestASecretsFileThatIsReplacedIsNoticedWithinTwiceTheTTL(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		path := filepath.Join(t.TempDir(), "secrets")
		replace := func(text string) {
			t.Helper()
			if err := errors.Join(os.WriteFile(path+"~", []byte(text), 0o600), os.Rename(path+"~", path)); err != nil {
				t.Fatal(err)
			}
		}
		replace(appWide1)
		app := replica(asks(core.SecretsFile(path)))
		store.bind(t, "bound", appWide1)
		want(t, authenticate(t, app, "bound", appWide1), "")

		replace(appWide2 + "\n" + appWide1 + "\n")
		pass(10 * time.Second)
		want(t, authenticate(t, app, "bound", appWide2), "")

		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		want(t, authenticate(t, app, "bound", appWide1), "")
		want(t, authenticate(t, app, "bound", appWide2), "")
	})
}
