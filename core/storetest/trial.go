package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/hostbond/hostbond/core"
)

// trial is one rule put to the test on one store. Every failure quotes the rule.
type trial struct {
	tester
	store core.Store
	app   string // an app key that is this trial's own, and so is each that it makes from that
	rule  string
}

func (t *trial) Errorf(format string, args ...any) {
	t.Helper()
	t.tester.Errorf("%s\n\trule: %s", fmt.Sprintf(format, args...), t.rule)
}

func (t *trial) Fatalf(format string, args ...any) {
	t.Helper()
	t.tester.Fatalf("%s\n\trule: %s", fmt.Sprintf(format, args...), t.rule)
}

// noon is when the trials take place. Stores keep no clock, so any time will do.
var noon = time.Date(2024, time.February, 29, 12, 0, 0, 0, time.UTC)

func (t *trial) key(clientKey string) core.Key {
	return core.Key{AppKey: t.app, ClientKey: clientKey}
}

// installation returns an ordinary installation of the trial's app that is yet to be put.
func (t *trial) installation(clientKey string) *core.Installation {
	secret := t.secret("a shared secret of " + t.app + clientKey)
	return &core.Installation{
		Key:     t.key(clientKey),
		State:   core.Installed,
		Signing: core.SignedRS256,
		Site:    core.Site{BaseURL: "https://site.example", ProductType: "jira"},
		Secrets: []core.StoredSecret{{
			Fingerprint: secret.Fingerprint(), State: core.Usable, OfferedAt: noon, Value: secret,
		}},
		SecretVersion: 1,
		LastOffer:     noon,
		Watermark:     noon,
		CreatedAt:     noon,
		UpdatedAt:     noon,
	}
}

func (t *trial) secret(value string) core.Secret {
	t.Helper()
	secret, err := core.NewSecret(value)
	if err != nil {
		t.Fatalf("storetest made an invalid secret: %v", err)
	}
	return secret
}

// put puts i, which must succeed, and returns what the store must hold now.
func (t *trial) put(i *core.Installation) *core.Installation {
	t.Helper()
	revision, err := t.store.Put(t.Context(), i.Clone())
	if err != nil {
		t.Fatalf("Put(%+q at revision %d): got error %v, want none", i.Key, i.Revision, err)
	}
	stored := i.Clone()
	stored.Revision = revision
	return stored
}

// putAll puts an ordinary installation for each client key.
func (t *trial) putAll(clientKeys ...string) {
	t.Helper()
	for _, clientKey := range clientKeys {
		t.put(t.installation(clientKey))
	}
}

// neighbours puts an installation of the same app, and one of the same client, and returns both.
func (t *trial) neighbours(key core.Key) []*core.Installation {
	t.Helper()
	ofApp := t.installation(key.ClientKey + "b")
	ofClient := t.installation(key.ClientKey)
	ofClient.Key.AppKey += ".other"
	return []*core.Installation{t.put(ofApp), t.put(ofClient)}
}

func (t *trial) get(key core.Key) *core.Installation {
	t.Helper()
	i, err := t.store.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("Get(%+q): got error %v, want the installation", key, err)
	}
	if i == nil {
		t.Fatalf("Get(%+q): got neither an installation nor an error", key)
	}
	return i
}

func (t *trial) delete(i *core.Installation) {
	t.Helper()
	if err := t.store.Delete(t.Context(), i.Key, i.Revision); err != nil {
		t.Fatalf("Delete(%+q at revision %d): got error %v, want none", i.Key, i.Revision, err)
	}
}

func (t *trial) touch(key core.Key, activity core.Activity) {
	t.Helper()
	if err := t.store.Touch(t.Context(), key, activity); err != nil {
		t.Fatalf("Touch(%+q, %+v): got error %v, want none", key, activity, err)
	}
}

func (t *trial) claim(c core.Claim) core.Claim {
	t.Helper()
	stored, err := t.store.Claim(t.Context(), c)
	if err != nil {
		t.Fatalf("Claim: got error %v, want none", err)
	}
	return stored
}

func (t *trial) revoke(r core.Revocation) {
	t.Helper()
	if err := t.store.Revoke(t.Context(), r); err != nil {
		t.Fatalf("Revoke: got error %v, want none", err)
	}
}

func (t *trial) revocations(appKey string) []core.Revocation {
	t.Helper()
	revocations, err := t.store.Revocations(t.Context(), appKey)
	if err != nil {
		t.Fatalf("Revocations: got error %v, want none", err)
	}
	return revocations
}

func (t *trial) list(appKey, after string, limit int) []*core.Installation {
	t.Helper()
	page, err := t.store.List(t.Context(), appKey, after, limit)
	if err != nil {
		t.Fatalf("List(after %+q, limit %d): got error %v, want none", after, limit, err)
	}
	if slices.Contains(page, nil) {
		t.Fatalf("List(after %+q, limit %d): got a nil installation", after, limit)
	}
	return page
}

// wantStored checks that the store holds each of want, the whole of it, under its key.
func (t *trial) wantStored(want ...*core.Installation) {
	t.Helper()
	for _, i := range want {
		if difference := diff(t.get(i.Key), i); difference != "" {
			t.Errorf("the stored installation %+q differs: %s", i.Key, difference)
		}
	}
}

func (t *trial) wantMissing(key core.Key) {
	t.Helper()
	_, err := t.store.Get(t.Context(), key)
	t.wantError(err, core.ErrNotFound, "Get(%+q)", key)
}

// wantError checks that the call, which is described as by [fmt.Sprintf], failed with an error that is want.
func (t *trial) wantError(err, want error, call string, args ...any) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", fmt.Sprintf(call, args...), err, want)
	}
}

// wantListed checks the client keys of a page.
func (t *trial) wantListed(page []*core.Installation, clientKeys ...string) {
	t.Helper()
	var got []string
	for _, i := range page {
		got = append(got, i.Key.ClientKey)
	}
	if !slices.Equal(got, clientKeys) {
		t.Errorf("List: got client keys %+q, want %+q", got, clientKeys)
	}
}

// wantFound checks the client keys that Find returns, and that they are the app's.
func (t *trial) wantFound(appKey string, by core.By, value string, clientKeys ...string) {
	t.Helper()
	got, err := t.store.Find(t.Context(), appKey, by, value)
	if err != nil {
		t.Fatalf("Find(%s, %+q): got error %v, want none", by, value, err)
	}
	var want []core.Key
	for _, clientKey := range clientKeys {
		want = append(want, core.Key{AppKey: appKey, ClientKey: clientKey})
	}
	if !slices.Equal(got, want) {
		t.Errorf("Find(%s, %+q): got %+q, want %+q", by, value, got, want)
	}
}

// wantEqual checks claims, revocations and the like, field by field.
func (t *trial) wantEqual(what string, got, want any) {
	t.Helper()
	if difference := diff(got, want); difference != "" {
		t.Errorf("%s differs: %s", what, difference)
	}
}

// wantOneOf checks that what came back is one of those that went in, untouched.
func wantOneOf[T any](t *trial, what string, got T, candidates []T) {
	t.Helper()
	if !slices.ContainsFunc(candidates, func(c T) bool { return diff(got, c) == "" }) {
		t.Errorf("%s: got %s, which nobody stored", what, show(reflect.ValueOf(got)))
	}
}

// A race between rivals is run several times, since a store may win one by luck.
const (
	rivals = 16
	rounds = 8
)

// together calls f with each number below n, on as many goroutines, all at the same moment, and waits for them.
func together(n int, f func(int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			<-start
			f(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}

// race has the rivals call f at the same moment. Exactly one must succeed, each other must fail with an error that is
// one of lost. It returns the number of the winner.
func (t *trial) race(f func(rival int) error, lost ...error) int {
	t.Helper()
	errs := make([]error, rivals)
	together(rivals, func(rival int) { errs[rival] = f(rival) })

	var winners []int
	for rival, err := range errs {
		if err == nil {
			winners = append(winners, rival)
		} else if !slices.ContainsFunc(lost, func(target error) bool { return errors.Is(err, target) }) {
			t.Fatalf("a loser of %d at once: got error %v, want one of %q", rivals, err, lost)
		}
	}
	if len(winners) != 1 {
		t.Fatalf("%d at once on one revision: %d succeeded, want 1", rivals, len(winners))
	}
	return winners[0]
}
