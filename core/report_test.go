package core_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/memstore"
)

// The app-wide secrets of these tests, of which the second is the newer one, and one that is configured no more.
const (
	reportA0 = "A0, a secret for the whole app"
	reportA1 = "A1, a secret for the whole app"
	reportA2 = "A2, a secret for the whole app"
)

var reportNow = time.Date(2026, time.March, 31, 12, 0, 0, 0, time.UTC)

// reporting returns an app on the store that has A2 and A1, and makes its reports at reportNow.
func reporting(t *testing.T, store core.Store, configure ...func(*core.Config)) *core.App {
	t.Helper()
	config := core.Config{
		AppKey: appKey, BaseURL: "https://app.example", Store: store, Now: func() time.Time { return reportNow },
		AppSecrets: core.StaticSecrets{secretOf(t, reportA2), secretOf(t, reportA1)}, Logger: slog.New(slog.DiscardHandler),
	}
	for _, change := range configure {
		change(&config)
	}
	return newApp(t, config)
}

func secretOf(t testing.TB, value string) core.Secret {
	t.Helper()
	secret, err := core.NewSecret(value)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// boundTo is a binding that was offered some days ago.
func boundTo(t testing.TB, value string, daysAgo int) core.StoredSecret {
	t.Helper()
	return core.StoredSecret{
		Fingerprint: secretOf(t, value).Fingerprint(), State: core.Usable, Bound: true, OfferedAt: reportNow.AddDate(0, 0, -daysAgo),
	}
}

// ownSecret is one of the site's own that was offered some days ago.
func ownSecret(t testing.TB, value string, daysAgo int) core.StoredSecret {
	t.Helper()
	stored := boundTo(t, value, daysAgo)
	stored.Bound, stored.Value = false, secretOf(t, value)
	return stored
}

// putRow stores an installation whose last callback was made three days ago, unless it says otherwise.
func putRow(t *testing.T, store core.Store, clientKey string, row core.Installation) {
	t.Helper()
	row.Key = core.Key{AppKey: appKey, ClientKey: clientKey}
	row.State, row.Signing = cmp.Or(row.State, core.Installed), cmp.Or(row.Signing, core.SignedRS256)
	row.Site.BaseURL = cmp.Or(row.Site.BaseURL, "https://"+clientKey+".atlassian.net")
	if row.Watermark.IsZero() {
		row.Watermark = reportNow.AddDate(0, 0, -3)
	}
	row.SecretVersion = int64(len(row.Secrets))
	if _, err := store.Put(t.Context(), &row); err != nil {
		t.Fatal(err)
	}
	if err := store.Touch(t.Context(), row.Key, row.Activity); err != nil {
		t.Fatal(err)
	}
}

func report(t *testing.T, app *core.App, o core.ReportOptions) *core.Report {
	t.Helper()
	report, err := app.Report(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestAReportFollowsASiteThatMoves(t *testing.T) {
	t.Parallel()
	const secret = "a secret that all sites are sent"
	b := setup(t, func(c *core.Config) { c.AppSecrets = core.StaticSecrets{secretOf(t, secret)} })
	b.install(t)
	want := func(step string, class core.SecretClass, phase core.Phase, straggler core.Straggler) {
		t.Helper()
		b.recorded(t)
		status, err := b.app.Tenant(t.Context(), b.site.ClientKey(), core.ReportOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if status.Secret != class || status.Phase != phase || status.Straggler != straggler || status.OnTarget != (straggler == "") {
			t.Errorf("%s: got %s, %s, on target %v, %q; want %s, %s, %q",
				step, status.Secret, status.Phase, status.OnTarget, status.Straggler, class, phase, straggler)
		}
	}
	want("installed", core.SecretOwn, core.PhaseSettled, core.StragglerNotOffered)

	b.store.unwritable.Store(true)
	if _, err := b.site.Callback(fakehost.Installed).Offer(secret).Send(t.Context()); err == nil {
		t.Fatal("a callback that could not be written was accepted")
	}
	b.store.unwritable.Store(false)
	b.wantPage(t, http.StatusOK, "")
	want("after a callback that failed", core.SecretOwn, core.PhaseSettled, core.StragglerCallbackFailed)

	b.clock.advance(time.Minute)
	b.site.LoseNextAnswer()
	if _, err := b.site.Callback(fakehost.Installed).Offer(secret).Send(t.Context()); !errors.Is(err, fakehost.ErrNoAnswer) {
		t.Fatal(err)
	}
	want("offered", core.SecretAppWide, core.PhaseUnsettled, "")
	b.clock.advance(time.Hour)
	b.wantPage(t, http.StatusOK, "")
	want("seen on its old secret", core.SecretAppWide, core.PhaseUnsettled, core.StragglerWentBack)

	if _, err := b.site.Callback(fakehost.Installed).Offer(secret).Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.clock.advance(time.Hour)
		b.wantPage(t, http.StatusOK, "")
		b.recorded(t)
	}
	want("settled", core.SecretAppWide, core.PhaseSettled, "")
}

// population is a site of each kind that the golden report shows.
func population(t *testing.T) core.Store {
	t.Helper()
	store := memstore.New()
	moved := ownSecret(t, "a secret of moved", 300)
	moved.State, moved.Value, moved.RetiredAt = core.Retired, core.Secret{}, reportNow.AddDate(0, 0, -2)
	putRow(t, store, "moved", core.Installation{
		Secrets: []core.StoredSecret{moved, boundTo(t, reportA2, 3)}, Activity: core.Activity{SeenAt: reportNow},
	})
	putRow(t, store, "failed", core.Installation{
		Secrets: []core.StoredSecret{ownSecret(t, "a secret of failed", 300)},
		Activity: core.Activity{
			SeenAt: reportNow.Add(-time.Hour), RefusedAt: reportNow.Add(-time.Minute), RefusedReason: core.ReasonSecretsFull,
		},
	})
	putRow(t, store, "idle", core.Installation{
		Secrets: []core.StoredSecret{boundTo(t, reportA1, 90)}, Watermark: reportNow.AddDate(0, 0, -90),
	})
	return store
}

const goldenReport = `{
	"at": "2026-03-31T12:00:00Z",
	"target": "app_wide",
	"appSecrets": ["<A2>", "<A1>"],
	"total": 3,
	"live": 2,
	"onTarget": 1,
	"percent": 50,
	"bySecret": {
		"app_wide": {"total": 1, "onTarget": 1},
		"app_wide_older": {"total": 0, "onTarget": 0},
		"none": {"total": 0, "onTarget": 0},
		"own": {"total": 1, "onTarget": 0}
	},
	"byPhase": {
		"contested": {"total": 0, "onTarget": 0},
		"settled": {"total": 2, "onTarget": 1},
		"unsettled": {"total": 0, "onTarget": 0}
	},
	"byLiveness": {
		"active": {"total": 2, "onTarget": 1},
		"development": {"total": 0, "onTarget": 0},
		"disabled": {"total": 0, "onTarget": 0},
		"idle": {"total": 1, "onTarget": 0},
		"superseded": {"total": 0, "onTarget": 0},
		"uninstalled": {"total": 0, "onTarget": 0}
	},
	"byStraggler": {"callback_failed": 1},
	"advice": {"callback_failed": "<advice>"},
	"needed": {"<A2>": {"live": 1, "other": 0}, "<A1>": {"live": 0, "other": 1}},
	"storedCopies": 0,
	"movedLastDay": 0,
	"movedLastWeek": 1,
	"lastMovedAt": "2026-03-28T12:00:00Z",
	"trouble": {"contested": 0, "failedCallbacks": 1, "desyncSuspected": 0, "notConfigured": 0, "unreadable": 0},
	"stragglers": [{
		"clientKey": "failed",
		"baseUrl": "https://failed.atlassian.net",
		"state": "installed",
		"signing": "RS256",
		"secret": "own",
		"fingerprint": "<own>",
		"secretVersion": 1,
		"phase": "settled",
		"liveness": "active",
		"onTarget": false,
		"straggler": "callback_failed",
		"offeredAt": "2025-06-04T12:00:00Z",
		"seenAt": "2026-03-31T11:00:00Z",
		"lastCallbackAt": "2026-03-28T12:00:00Z",
		"lastFailure": {"at": "2026-03-31T11:59:00Z", "reason": "secrets_full"}
	}],
	"stragglersLeftOut": 0
}`

const goldenTenant = `{
	"clientKey": "moved",
	"baseUrl": "https://moved.atlassian.net",
	"state": "installed",
	"signing": "RS256",
	"secret": "app_wide",
	"fingerprint": "<A2>",
	"secretVersion": 2,
	"phase": "settled",
	"liveness": "active",
	"onTarget": true,
	"offeredAt": "2026-03-28T12:00:00Z",
	"seenAt": "2026-03-31T12:00:00Z",
	"lastCallbackAt": "2026-03-28T12:00:00Z",
	"secrets": [
		{"fingerprint": "<old>", "state": "retired", "offeredAt": "2025-06-04T12:00:00Z", "retiredAt": "2026-03-29T12:00:00Z"},
		{"fingerprint": "<A2>", "state": "usable", "bound": true, "offeredAt": "2026-03-28T12:00:00Z"}
	]
}`

// wantJSON compares the JSON of a value, order and all, with a golden one that names fingerprints.
func wantJSON(t *testing.T, value any, golden string) {
	t.Helper()
	named := strings.NewReplacer(
		"<A1>", string(secretOf(t, reportA1).Fingerprint()), "<A2>", string(secretOf(t, reportA2).Fingerprint()),
		"<own>", string(secretOf(t, "a secret of failed").Fingerprint()),
		"<old>", string(secretOf(t, "a secret of moved").Fingerprint()),
		"<advice>", core.StragglerCallbackFailed.Advice(),
	).Replace(golden)
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	got, want := members(t, text), members(t, []byte(named))
	for n := range max(len(got), len(want)) {
		if n >= len(got) || n >= len(want) || got[n] != want[n] {
			t.Errorf("from line %d on\ngot  %q\nwant %q", n+1, got[min(n, len(got)):], want[min(n, len(want)):])
			return
		}
	}
}

// members returns the JSON with each member on a line of its own.
func members(t *testing.T, text []byte) []string {
	t.Helper()
	var indented bytes.Buffer
	if err := json.Indent(&indented, text, "", ""); err != nil {
		t.Fatal(err)
	}
	return strings.Split(indented.String(), "\n")
}

func TestTheJSONOfAReportIsStable(t *testing.T) {
	t.Parallel()
	app := reporting(t, population(t))
	for range 3 { // maps have an order of their own each time
		wantJSON(t, report(t, app, core.ReportOptions{}), goldenReport)
	}
	status, err := app.Tenant(t.Context(), "moved", core.ReportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wantJSON(t, status, goldenTenant)
}

func TestTheTenantsAreThoseOfTheReportInOrder(t *testing.T) {
	t.Parallel()
	app := reporting(t, population(t))
	var got []string
	for status, err := range app.Tenants(t.Context(), core.ReportOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(status.ClientKey, " ", status.OnTarget, " ", status.Liveness))
		if status.Secrets != nil {
			t.Errorf("%s comes with its history, which is of App.Tenant only", status.ClientKey)
		}
	}
	if want := []string{"failed false active", "idle false idle", "moved true active"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for status := range app.Tenants(t.Context(), core.ReportOptions{}) {
		if status.ClientKey != "failed" {
			t.Error("the tenants go on after a break")
		}
		break
	}
}

func TestTheTargetIsAppWideIfThereIsAnAppWideSecret(t *testing.T) {
	t.Parallel()
	store := population(t)
	none := func(c *core.Config) { c.AppSecrets = nil }
	for _, c := range []struct {
		name     string
		app      *core.App
		options  core.ReportOptions
		target   core.Target
		onTarget int
	}{
		{"with app-wide secrets", reporting(t, store), core.ReportOptions{}, core.TargetAppWide, 1},
		{"with app-wide secrets, on the way back", reporting(t, store), core.ReportOptions{Target: core.TargetOwn}, core.TargetOwn, 1},
		{"without", reporting(t, store, none), core.ReportOptions{}, core.TargetOwn, 1},
	} {
		got := report(t, c.app, c.options)
		if got.Target != c.target || got.OnTarget != c.onTarget {
			t.Errorf("%s: got %s, %d on target, want %s, %d", c.name, got.Target, got.OnTarget, c.target, c.onTarget)
		}
	}
	back := report(t, reporting(t, store), core.ReportOptions{Target: core.TargetOwn})
	if got := back.Stragglers[0].ClientKey; got != "moved" {
		t.Errorf("on the way back: got the straggler %q, want moved, which has the app-wide secret", got)
	}
}

func TestAReportListsTheFirstStragglersOnly(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	for n := range 105 {
		putRow(t, store, fmt.Sprintf("site-%03d", n), core.Installation{
			Secrets: []core.StoredSecret{ownSecret(t, "a secret that the sites have", 300)},
		})
	}
	app := reporting(t, store)
	for given, listed := range map[int]int{0: 100, 3: 3, 105: 105, 200: 105, -1: 0} {
		got := report(t, app, core.ReportOptions{Stragglers: given})
		if len(got.Stragglers) != listed || got.StragglersLeftOut != 105-listed || got.ByStraggler[core.StragglerNotOffered] != 105 {
			t.Errorf("Stragglers %d: got %d listed, %d left out and %v, want %d listed of 105",
				given, len(got.Stragglers), got.StragglersLeftOut, got.ByStraggler, listed)
		}
		if got.Stragglers == nil {
			t.Errorf("Stragglers %d: got a nil list, which is null in JSON", given)
		}
		for n, status := range got.Stragglers {
			if want := fmt.Sprintf("site-%03d", n); status.ClientKey != want {
				t.Errorf("Stragglers %d: got %q at %d, want %q", given, status.ClientKey, n, want)
			}
		}
	}
}

func TestThePercentageIsNeverRoundedUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		live, onTarget int
		want           float64
	}{{0, 0, 100}, {3, 2, 66.6}, {2000, 1999, 99.9}, {2000, 2000, 100}, {2000, 1, 0}} {
		app := reporting(t, &madeStore{Store: memstore.New(), total: c.live, row: func(n int) *core.Installation {
			row := &core.Installation{State: core.Installed, Watermark: reportNow, Secrets: []core.StoredSecret{boundTo(t, reportA2, 1)}}
			if n >= c.onTarget {
				row.Secrets[0].Fingerprint = secretOf(t, reportA1).Fingerprint()
			}
			return row
		}})
		if got := report(t, app, core.ReportOptions{Stragglers: -1}); got.Percent != c.want || got.Live != c.live || got.OnTarget != c.onTarget {
			t.Errorf("got %v %% and %d of %d, want %v %% and %d of %d", got.Percent, got.OnTarget, got.Live, c.want, c.onTarget, c.live)
		}
	}
}

func TestAReportTellsWhichAppWideSecretsAreStillNeeded(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	both := []core.StoredSecret{boundTo(t, reportA0, 100), boundTo(t, reportA2, 3)}
	putRow(t, store, "bound-to-two", core.Installation{Secrets: both})
	putRow(t, store, "sandbox", core.Installation{
		Secrets: both[1:], Site: core.Site{BaseURL: "https://acme-sandbox-314.atlassian.net"},
	})
	putRow(t, store, "uninstalled", core.Installation{
		Secrets: both[:1], State: core.Uninstalled, Signing: core.SignedHS256, // its next callback is signed with it
	})
	left := []core.StoredSecret{boundTo(t, reportA0, 100), ownSecret(t, reportA1, 90), boundTo(t, reportA2, 3)}
	for n := range 2 {
		left[n].State, left[n].Value, left[n].RetiredAt = core.Retired, core.Secret{}, reportNow.AddDate(0, 0, -2)
	}
	putRow(t, store, "left-two-behind", core.Installation{Secrets: left})
	putRow(t, store, "has-a-copy", core.Installation{Secrets: []core.StoredSecret{ownSecret(t, reportA1, 100)}})
	got := report(t, reporting(t, store), core.ReportOptions{})
	want := map[core.Fingerprint]core.Need{
		secretOf(t, reportA0).Fingerprint(): {Live: 1, Other: 1},
		secretOf(t, reportA1).Fingerprint(): {},
		secretOf(t, reportA2).Fingerprint(): {Live: 2, Other: 1},
	}
	if !maps.Equal(got.Needed, want) {
		t.Errorf("got %v, want %v: A1 can be dropped", got.Needed, want)
	}
	if got.StoredCopies != 1 {
		t.Errorf("got %d stored copies, want 1", got.StoredCopies)
	}
	if got.Trouble.NotConfigured != 1 {
		t.Errorf("got %d that need a secret which is not configured, want 1, since one is not installed", got.Trouble.NotConfigured)
	}
}

func TestAReportTellsWhetherTheMoveGoesOn(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	store := memstore.New()
	old := ownSecret(t, "a secret that a site had", 300)
	for n, ago := range []time.Duration{day, day + time.Second, 7 * day, 7*day + time.Second} {
		now := boundTo(t, reportA2, 0)
		now.OfferedAt = reportNow.Add(-ago)
		putRow(t, store, fmt.Sprint("moved-", n), core.Installation{Secrets: []core.StoredSecret{old, now}})
	}
	offeredNow := []core.StoredSecret{old, boundTo(t, reportA2, 0)}
	putRow(t, store, "updated", core.Installation{ // on it for long, and sent it again today
		Secrets:  offeredNow,
		Activity: core.Activity{FirstUsed: offeredNow[1].Fingerprint, FirstUsedAt: reportNow.AddDate(0, 0, -60)},
	})
	putRow(t, store, "went-back", core.Installation{
		Secrets: offeredNow, Run: core.Run{Fingerprint: old.Fingerprint, StartedAt: reportNow, ArrivedAt: reportNow},
	})
	putRow(t, store, "new", core.Installation{Secrets: offeredNow[1:]})
	putRow(t, store, "sandbox", core.Installation{
		Secrets: offeredNow, Site: core.Site{BaseURL: "https://acme-sandbox-314.atlassian.net"},
	})
	got := report(t, reporting(t, store), core.ReportOptions{})
	if got.MovedLastDay != 1 || got.MovedLastWeek != 3 || !got.LastMovedAt.Equal(reportNow.Add(-day)) {
		t.Errorf("got %d in the last day, %d in the last week, the last at %v; want 1, 3, a day ago",
			got.MovedLastDay, got.MovedLastWeek, got.LastMovedAt)
	}
}

func TestSignsOfTroubleAreCountedThoughNobodyIsLive(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	row := core.Installation{
		Contested: true,
		Secrets:   []core.StoredSecret{boundTo(t, reportA0, 300), {Fingerprint: "f", State: core.Usable, Sealed: []byte("sealed")}},
		Activity:  core.Activity{RefusedAt: reportNow, RefusedReason: core.ReasonStore, DesyncSuspectedAt: reportNow},
		Watermark: reportNow.AddDate(0, 0, -300),
	}
	putRow(t, store, "locked-out", row)
	row.State = core.Uninstalled
	putRow(t, store, "uninstalled", row)
	got := report(t, reporting(t, store), core.ReportOptions{})
	want := core.Trouble{Contested: 1, FailedCallbacks: 1, DesyncSuspected: 1, NotConfigured: 1, Unreadable: 1}
	if got.Trouble != want || got.Live != 0 {
		t.Errorf("got %+v and %d live, want %+v, of the installed one, and none live", got.Trouble, got.Live, want)
	}
}

func TestRevocationsCountBeforeTheyAreWrittenDown(t *testing.T) {
	t.Parallel()
	a1, a2 := secretOf(t, reportA1).Fingerprint(), secretOf(t, reportA2).Fingerprint()
	for _, c := range []struct {
		name      string
		revoke    func(*testing.T, core.Store, *core.Config)
		class     core.SecretClass
		straggler core.Straggler
		want      []core.Fingerprint // configured
	}{
		{"not at all", func(*testing.T, core.Store, *core.Config) {}, core.SecretAppWide, "", []core.Fingerprint{a2, a1}},
		{"for all tenants", func(t *testing.T, store core.Store, _ *core.Config) {
			t.Helper()
			if err := store.Revoke(t.Context(), core.Revocation{AppKey: appKey, Fingerprint: a2, Reason: "leaked", At: reportNow}); err != nil {
				t.Fatal(err)
			}
		}, core.SecretAppWide, "", []core.Fingerprint{a1}}, // A1 is the newest one now
		{"for the tenant", func(t *testing.T, store core.Store, _ *core.Config) {
			t.Helper()
			revocation := core.Revocation{AppKey: appKey, ClientKey: "site", Fingerprint: a2, Reason: "leaked", At: reportNow}
			if err := store.Revoke(t.Context(), revocation); err != nil {
				t.Fatal(err)
			}
		}, core.SecretAppWideOlder, core.StragglerRevoked, []core.Fingerprint{a2, a1}},
		{"in the configuration", func(_ *testing.T, _ core.Store, config *core.Config) {
			config.RevokedFingerprints = []core.Fingerprint{a1, a2}
		}, core.SecretNone, core.StragglerNoSecret, []core.Fingerprint{}},
	} {
		store := memstore.New()
		putRow(t, store, "site", core.Installation{Secrets: []core.StoredSecret{boundTo(t, reportA1, 90), boundTo(t, reportA2, 3)}})
		app := reporting(t, store, func(config *core.Config) { c.revoke(t, store, config) })
		status, err := app.Tenant(t.Context(), "site", core.ReportOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if status.Secret != c.class || status.Straggler != c.straggler {
			t.Errorf("%s: got %s, %q, want %s, %q", c.name, status.Secret, status.Straggler, c.class, c.straggler)
		}
		for listed, err := range app.Tenants(t.Context(), core.ReportOptions{}) {
			if err != nil || listed.Secret != c.class || listed.Straggler != c.straggler {
				t.Errorf("%s: listed as %s, %q, %v, want %s, %q", c.name, listed.Secret, listed.Straggler, err, c.class, c.straggler)
			}
		}
		got := report(t, app, core.ReportOptions{})
		if !slices.Equal(got.AppSecrets, c.want) || got.BySecret[c.class].Total != 1 || got.OnTarget == 1 != (c.straggler == "") {
			t.Errorf("%s: got the secrets %v, the classes %v and %d on target", c.name, got.AppSecrets, got.BySecret, got.OnTarget)
		}
	}
}

// switchedSource gives its secrets until it is switched off.
type switchedSource struct {
	mu      sync.Mutex
	secrets []core.Secret
	err     error
}

func (s *switchedSource) Secrets(context.Context) ([]core.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secrets, s.err
}

func (s *switchedSource) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// reports are the ways to ask, each of which says what went wrong.
var reports = map[string]func(context.Context, *core.App, core.ReportOptions) error{
	"Report": func(ctx context.Context, app *core.App, o core.ReportOptions) error {
		report, err := app.Report(ctx, o)
		if err != nil && report != nil {
			return errors.New("got a report beside the error")
		}
		return err
	},
	"Tenants": func(ctx context.Context, app *core.App, o core.ReportOptions) (last error) {
		for status, err := range app.Tenants(ctx, o) {
			if last != nil {
				return errors.New("the tenants go on after an error")
			}
			if last = err; err != nil && status.ClientKey != "" {
				return errors.New("got a status beside the error")
			}
		}
		return last
	},
	"Tenant": func(ctx context.Context, app *core.App, o core.ReportOptions) error {
		status, err := app.Tenant(ctx, "moved", o)
		if err != nil && status != nil {
			return errors.New("got a status beside the error")
		}
		return err
	},
}

func TestThereIsNoReportWithoutTheAppWideSecrets(t *testing.T) {
	t.Parallel()
	errSource := errors.New("the secret manager is down")
	source := &switchedSource{secrets: []core.Secret{secretOf(t, reportA2)}}
	app := reporting(t, population(t), func(c *core.Config) { c.AppSecrets = source })
	for name, ask := range reports {
		source.fail(nil)
		if err := ask(t.Context(), app, core.ReportOptions{}); err != nil {
			t.Errorf("%s: got %v, want none while the source answers", name, err)
		}
		source.fail(errSource)
		for _, target := range []core.Target{core.TargetAppWide, core.TargetOwn} {
			err := ask(t.Context(), app, core.ReportOptions{Target: target})
			if !errors.Is(err, core.ErrAppSecrets) || !errors.Is(err, errSource) {
				t.Errorf("%s to %s: got %v, want ErrAppSecrets for the source's error, though the secrets were known before",
					name, target, err)
			}
		}
	}
}

func TestThereIsNoReportWithWrongOptions(t *testing.T) {
	t.Parallel()
	app := reporting(t, population(t), func(c *core.Config) { c.AppSecrets = nil })
	for name, ask := range reports {
		if err := ask(t.Context(), app, core.ReportOptions{Target: core.TargetAppWide}); !errors.Is(err, core.ErrAppSecrets) {
			t.Errorf("%s to app-wide: got %v, want ErrAppSecrets, since none is configured", name, err)
		}
		for said, o := range map[string]core.ReportOptions{"target": {Target: "elsewhere"}, "ActiveWithin": {ActiveWithin: -1}} {
			if err := ask(t.Context(), app, o); err == nil || !strings.Contains(err.Error(), said) {
				t.Errorf("%s with %+v: got %v, want an error that names the %s", name, o, err, said)
			}
		}
	}
}

func TestThereIsNoReportWithoutTheStore(t *testing.T) {
	t.Parallel()
	for name, ask := range reports {
		store := &faultyStore{Store: population(t)}
		app := reporting(t, store)
		store.down.Store(true)
		if err := ask(t.Context(), app, core.ReportOptions{}); !errors.Is(err, errDown) {
			t.Errorf("%s: got %v, want the store's error", name, err)
		}
		store.down.Store(false)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := ask(ctx, app, core.ReportOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, cancelled: got %v, want that it is", name, err)
		}
	}
	if _, err := reporting(t, population(t)).Tenant(t.Context(), "nobody", core.ReportOptions{}); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("a tenant that is not known: got %v, want ErrNotFound", err)
	}
}

func TestAFailureHalfwayIsReturnedAndNotAReport(t *testing.T) {
	t.Parallel()
	store := &madeStore{Store: memstore.New(), total: 1000, fails: 500, row: func(int) *core.Installation {
		return &core.Installation{State: core.Installed}
	}}
	app := reporting(t, store)
	for _, name := range []string{"Report", "Tenants"} {
		if err := reports[name](t.Context(), app, core.ReportOptions{}); !errors.Is(err, errDown) {
			t.Errorf("%s: got %v, want the store's error", name, err)
		}
	}
	n := 0
	for _, err := range app.Tenants(t.Context(), core.ReportOptions{}) {
		if err == nil {
			n++
		}
	}
	if n == 0 || n > 500 {
		t.Errorf("got %d tenants before the error, want those of the pages that could be read", n)
	}
}

// madeStore makes its rows when they are asked for, and knows how many of them are still in use.
type madeStore struct {
	core.Store // for the rest, and empty
	total      int
	fails      int // a page with this row cannot be read; 0: all can
	row        func(n int) *core.Installation

	lists, most int
	made        []weak.Pointer[core.Installation]
}

func (s *madeStore) List(_ context.Context, appKey, after string, limit int) ([]*core.Installation, error) {
	if s.lists++; s.lists%25 == 0 {
		s.most = max(s.most, s.inUse())
	}
	first := 0
	if after != "" {
		last, err := strconv.Atoi(after)
		if err != nil {
			return nil, err
		}
		first = last + 1
	}
	var page []*core.Installation
	for n := first; n < min(first+limit, s.total); n++ {
		if s.fails > 0 && n == s.fails {
			return nil, errDown
		}
		row := s.row(n)
		row.Key = core.Key{AppKey: appKey, ClientKey: fmt.Sprintf("%06d", n)}
		page = append(page, row)
		s.made = append(s.made, weak.Make(row))
	}
	return page, nil
}

// inUse counts the rows that the collector has to leave.
func (s *madeStore) inUse() int {
	runtime.GC()
	s.made = slices.DeleteFunc(s.made, func(p weak.Pointer[core.Installation]) bool { return p.Value() == nil })
	return len(s.made)
}

func TestAReportHoldsAPageOfRowsHoweverManyThereAre(t *testing.T) {
	t.Parallel()
	const rows, page = 100_000, 200
	newest, older, own := boundTo(t, reportA2, 3), boundTo(t, reportA1, 90), ownSecret(t, "a secret that the sites have", 90)
	newStore := func() *madeStore {
		return &madeStore{Store: memstore.New(), total: rows, row: func(n int) *core.Installation {
			secrets := []core.StoredSecret{newest}
			if n%10 == 0 {
				secrets = []core.StoredSecret{own, older} // a straggler
			}
			return &core.Installation{
				State: core.Installed, Signing: core.SignedRS256, Watermark: reportNow, Secrets: secrets,
				Site: core.Site{BaseURL: "https://acme.atlassian.net"},
			}
		}}
	}
	store := newStore()
	got := report(t, reporting(t, store), core.ReportOptions{})
	if got.Total != rows || got.OnTarget != rows*9/10 || len(got.Stragglers) != 100 || got.StragglersLeftOut != rows/10-100 {
		t.Errorf("got %d rows, %d on target, %d stragglers and %d left out", got.Total, got.OnTarget, len(got.Stragglers), got.StragglersLeftOut)
	}
	if store.most > 2*page {
		t.Errorf("Report: %d rows were in use at a time, want no more than two pages", store.most)
	}

	store = newStore()
	n := 0
	for _, err := range reporting(t, store).Tenants(t.Context(), core.ReportOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != rows || store.most > 2*page {
		t.Errorf("Tenants: got %d, with %d rows in use at a time, want %d, and no more than two pages", n, store.most, rows)
	}

	held, err := store.List(t.Context(), appKey, "", rows)
	if inUse := store.inUse(); err != nil || inUse < rows {
		t.Errorf("the count itself is wrong: %d rows are in use, %v, want the %d that are held", inUse, err, rows)
	}
	runtime.KeepAlive(held)
}
