package core_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

func (b *bundle) activity(t *testing.T) core.Activity {
	t.Helper()
	b.recorded(t)
	row, err := b.store.Get(t.Context(), core.Key{AppKey: appKey, ClientKey: b.site.ClientKey()})
	if err != nil {
		t.Fatal(err)
	}
	return row.Activity
}

func TestATenantIsSeenOnceAnHour(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	b.wantPage(t, http.StatusOK, "")
	seen := b.activity(t).SeenAt
	if !seen.Equal(b.clock.Now()) {
		t.Errorf("seen at %v, want %v", seen, b.clock.Now())
	}
	b.clock.advance(59 * time.Minute)
	b.wantPage(t, http.StatusOK, "")
	if again := b.activity(t).SeenAt; !again.Equal(seen) {
		t.Errorf("seen again after 59 minutes, at %v", again)
	}
	b.clock.advance(time.Minute)
	b.wantPage(t, http.StatusOK, "")
	if again := b.activity(t).SeenAt; !again.Equal(b.clock.Now()) {
		t.Errorf("seen at %v, want %v", again, b.clock.Now())
	}
}

func TestARefusedCallbackOfATenantIsRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	forged := b.site.Callback(fakehost.Installed)
	forged.Token.Claims["aud"] = "https://other.example.com"
	b.wantRefused(t, forged, 401, core.ReasonAudience)
	if a := b.activity(t); a.RefusedReason != core.ReasonAudience || !a.RefusedAt.Equal(b.clock.Now()) {
		t.Errorf("got %q at %v, want audience now", a.RefusedReason, a.RefusedAt)
	}
}

func TestARefusedCallbackIsRecordedAgainAfterAMinute(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	forged := b.site.Callback(fakehost.Installed)
	forged.Token.Claims["aud"] = "https://other.example.com"
	b.wantRefused(t, forged, 401, core.ReasonAudience)
	first := b.activity(t).RefusedAt
	b.clock.advance(59 * time.Second)
	b.wantRefused(t, forged, 401, core.ReasonAudience)
	if again := b.activity(t).RefusedAt; !again.Equal(first) {
		t.Errorf("recorded again after 59 seconds, at %v", again)
	}
	b.clock.advance(time.Second)
	b.wantRefused(t, forged, 401, core.ReasonAudience)
	if again := b.activity(t).RefusedAt; !again.Equal(b.clock.Now()) {
		t.Errorf("recorded at %v, want %v: it goes on", again, b.clock.Now())
	}
}

// After a restart, say: callbacks that Atlassian signs do not read the tenant.
func TestARefusedCallbackIsRecordedOfATenantThatNobodyHasVisitedHere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	restarted := newApp(t, core.Config{
		AppKey: appKey, BaseURL: b.server.URL, Store: b.store, KeyHosts: []string{b.keyHost.URL}, Now: b.clock.Now, Logger: slog.New(b.log),
	})
	b.store.touches.Store(0)
	for n := range 100 {
		guess := b.site.Callback(fakehost.Installed)
		guess.Token.Claims["iss"], guess.Token.Claims["aud"] = fmt.Sprint("nobody-", n), "https://other.example.com"
		if n == 5 {
			guess.Token.Claims["iss"] = b.site.ClientKey()
		}
		if _, err := restarted.Lifecycle(t.Context(), core.EventInstalled, callbackRequest(t, guess)); core.Reason(err) != core.ReasonAudience {
			t.Fatalf("got %v, want it refused for its audience", err)
		}
	}
	if err := core.Flush(t.Context(), restarted); err != nil {
		t.Fatal(err)
	}
	if a := b.activity(t); a.RefusedReason != core.ReasonAudience || !a.RefusedAt.Equal(b.clock.Now()) {
		t.Errorf("got %q at %v, want audience now", a.RefusedReason, a.RefusedAt)
	}
	if touches := b.store.touches.Load(); touches > 10 {
		t.Errorf("a hundred guesses made %d writes, want 10 at most", touches)
	}
}

func TestASettledTenantCausesNoMoreWrites(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	if _, err := b.site.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.use(t)
	b.use(t)
	puts := b.store.puts.Load()
	b.use(t)
	if more := b.store.puts.Load() - puts; more > 0 {
		t.Errorf("got %d more writes", more)
	}
}

func TestTwoSecretsInUseWriteOnceInThirtySeconds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	stolen := b.site.Secret()
	if _, err := b.site.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.clock.advance(16 * time.Minute)
	puts := b.store.puts.Load()
	for range 10 {
		for range 10 {
			b.wantPage(t, http.StatusOK, "")
			thief := b.site.Token(http.MethodGet, "/panel")
			thief.Key = []byte(stolen)
			if answer, err := b.site.Do(t.Context(), http.MethodGet, "/panel", thief, nil); err != nil || answer.StatusCode != 200 {
				t.Fatalf("got %d, %v", answer.StatusCode, err)
			}
			b.recorded(t)
		}
		b.clock.advance(10 * time.Second)
	}
	if more := b.store.puts.Load() - puts; more > 5 {
		t.Errorf("200 requests within 100 seconds made %d writes, want one in 30 seconds", more)
	}
	if !b.row(t).Contested {
		t.Error("the row is not contested")
	}
	// One of the two falls silent.
	b.clock.advance(8 * 24 * time.Hour)
	b.wantPage(t, http.StatusOK, "")
	b.recorded(t)
	b.clock.advance(8 * 24 * time.Hour)
	b.wantPage(t, http.StatusOK, "")
	b.recorded(t)
	if b.row(t).Contested || strings.Contains(b.log.String(), "contested: ") {
		t.Errorf("the contest is over, but the row says contested %v, and the log\n%s", b.row(t).Contested, b.log)
	}
}

func TestEvidenceThatMeetsAConflictIsDroppedAndSaidAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	b.clock.advance(16 * time.Minute)
	meanwhile := func() {
		row := b.row(t)
		if _, err := b.store.Store.Put(t.Context(), row); err != nil {
			t.Error(err)
		}
	}
	b.store.before.Store(&meanwhile)
	b.wantPage(t, http.StatusOK, "")
	b.recorded(t)
	if run := b.row(t).Run; run != (core.Run{}) {
		t.Fatalf("a run was written in spite of the conflict: %+v", run)
	}
	b.wantPage(t, http.StatusOK, "")
	b.recorded(t)
	if run := b.row(t).Run; run.Fingerprint == "" {
		t.Error("the next request did not say it again")
	}
}

func TestMaintainForgetsOldHistoryAndCounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	if _, err := b.site.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	unsettled, err := b.app.Maintain(t.Context())
	if err != nil || unsettled != (core.Maintenance{Installed: 1, Unsettled: 1}) {
		t.Errorf("got %+v, %v, want one unsettled installation", unsettled, err)
	}
	b.use(t)
	b.clock.advance(91 * 24 * time.Hour)
	settled, err := b.app.Maintain(t.Context())
	if err != nil || settled != (core.Maintenance{Installed: 1, Forgotten: 1}) {
		t.Errorf("got %+v, %v, want the retired secret forgotten", settled, err)
	}
	if n := len(b.row(t).Secrets); n != 1 {
		t.Errorf("got %d secrets, want 1", n)
	}
}
