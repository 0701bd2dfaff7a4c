package requirements

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

// report returns what the app reports, and lists no stragglers.
func (w *world) report(o core.ReportOptions) *core.Report {
	w.Helper()
	synctest.Wait() // for what requests have shown to be written
	o.Stragglers = -1
	report, err := w.app.Report(w.Context(), o)
	if err != nil {
		w.Fatal(err)
	}
	return report
}

// reports fails the test unless so many live sites are on target.
func (w *world) reports(o core.ReportOptions, onTarget, live int) *core.Report {
	w.Helper()
	report := w.report(o)
	if report.OnTarget != onTarget || report.Live != live {
		w.Errorf("got %d of %d live sites on target, want %d of %d", report.OnTarget, report.Live, onTarget, live)
	}
	return report
}

// status returns what the app tells of the site.
func (w *world) status(site *fakehost.Site) *core.TenantStatus {
	w.Helper()
	synctest.Wait()
	status, err := w.app.Tenant(w.Context(), site.ClientKey(), core.ReportOptions{})
	if err != nil {
		w.Fatal(err)
	}
	return status
}

// same fails the test if the maps differ.
func same[K comparable, V comparable](w *world, what string, got, want map[K]V) {
	w.Helper()
	if !maps.Equal(got, want) {
		w.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestR08TheSecretIsKnownByItsFingerprint(t *testing.T) {
	play(t, func(w *world) {
		site := w.site()
		installedAt := time.Now()
		w.accepts(site.Install(w.Context()))
		first, before := site.Secret(), w.status(site)
		w.pass(day)
		rotatedAt := time.Now()
		w.accepts(site.Rotate(w.Context()))
		rotated, after := site.Secret(), w.status(site)
		w.pass(day)
		boundAt := time.Now()
		w.offers(site, appSecret1)
		bound := w.status(site)

		for n, test := range []struct {
			got  *core.TenantStatus
			want core.TenantStatus
		}{
			{before, core.TenantStatus{
				Fingerprint: fingerprint(first), SecretVersion: 1, Secret: core.SecretOwn, OfferedAt: installedAt,
			}},
			{after, core.TenantStatus{
				Fingerprint: fingerprint(rotated), SecretVersion: 2, Secret: core.SecretOwn, OfferedAt: rotatedAt,
			}},
			{bound, core.TenantStatus{
				Fingerprint: fingerprint(appSecret1), SecretVersion: 3, Secret: core.SecretAppWide, OfferedAt: boundAt,
			}},
		} {
			got, want := test.got, test.want
			if got.Fingerprint != want.Fingerprint || got.SecretVersion != want.SecretVersion ||
				got.Secret != want.Secret || !got.OfferedAt.Equal(want.OfferedAt) {
				t.Errorf("step %d: got secret %s, version %d, %s, of %s; want %+v",
					n, got.Fingerprint.Short(), got.SecretVersion, got.Secret, got.OfferedAt, want)
			}
		}
		if before.Fingerprint == after.Fingerprint || after.Fingerprint == bound.Fingerprint {
			t.Error("two secrets have one fingerprint")
		}
		w.hides(bound, first, rotated, appSecret1)
	}, appWide(appSecret1))
}

// hides fails the test if one of the secrets can be read in the value's JSON.
func (w *world) hides(value any, secrets ...string) (text string) {
	w.Helper()
	encoded, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		w.Fatal(err)
	}
	for _, secret := range secrets {
		if secret == "" || strings.Contains(string(encoded), secret) {
			w.Errorf("a secret can be read: %s", encoded)
		}
	}
	return string(encoded)
}

func TestR40TheReportTellsHowFarTheSitesAreAndWhatHoldsTheRestBack(t *testing.T) {
	play(t, func(w *world) {
		start := time.Now()
		var sites []*fakehost.Site
		for range 13 {
			sites = append(sites, w.installed())
		}
		idle, gone := sites[10:12], sites[12]
		w.pass(31 * day)
		w.accepts(gone.Uninstall(w.Context()))
		for _, site := range sites[:10] {
			w.serves(site, "a page of a site that is in use")
		}
		var moved time.Time
		for n := range 8 { // one a day
			w.pass(day)
			moved = time.Now()
			w.offers(sites[n], appSecret1)
		}
		key := sites[8].Callback(fakehost.Installed)
		key.Token.Claims["aud"] = "https://staging.example"
		refused := time.Now()
		w.denies(core.ReasonAudience, "made for another address of the app")(key.Send(w.Context()))
		w.settles(sites[:10]...)

		report, err := w.app.Report(w.Context(), core.ReportOptions{})
		if err != nil {
			t.Fatal(err)
		}
		type progress struct {
			Total, Live, OnTarget, Day, Week int
			Percent                          float64
			LastMovedAt                      time.Time
		}
		got := progress{
			report.Total, report.Live, report.OnTarget, report.MovedLastDay, report.MovedLastWeek, report.Percent, report.LastMovedAt,
		}
		if want := (progress{13, 10, 8, 1, 7, 80, moved.UTC().Truncate(second)}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		same(w, "stragglers", report.ByStraggler, map[core.Straggler]int{
			core.StragglerCallbackFailed: 1, core.StragglerNotOffered: 1,
		})
		same(w, "liveness", report.ByLiveness, liveness(map[core.Liveness]core.Tally{
			core.LivenessActive: {Total: 10, OnTarget: 8}, core.LivenessIdle: {Total: 2}, core.LivenessUninstalled: {Total: 1},
		}))
		for _, straggler := range report.Stragglers {
			want := map[string]core.Straggler{
				sites[8].ClientKey(): core.StragglerCallbackFailed, sites[9].ClientKey(): core.StragglerNotOffered,
			}[straggler.ClientKey]
			if straggler.Straggler != want || report.Advice[want] == "" {
				t.Errorf("%s: got %q, want %q, and an advice", straggler.ClientKey, straggler.Straggler, want)
			}
			failure := straggler.LastFailure
			if want == core.StragglerCallbackFailed &&
				(failure == nil || failure.Reason != core.ReasonAudience || !failure.At.Equal(refused.Truncate(second))) {
				t.Errorf("got failure %+v, want that of %s", failure, refused)
			}
		}
		if len(report.Stragglers) != 2 {
			t.Errorf("got %d stragglers listed, want 2", len(report.Stragglers))
		}
		for _, site := range idle {
			status := w.status(site)
			if status.Liveness != core.LivenessIdle || !status.LastCallbackAt.Before(start.Add(time.Minute)) {
				t.Errorf("got %s, last callback of %s; want idle since the install", status.Liveness, status.LastCallbackAt)
			}
		}
		text := w.hides(report, appSecret1, sites[8].Secret())
		for _, member := range []string{`"live": 10`, `"onTarget": 8`, `"percent": 80`, `"movedLastWeek": 7`} {
			if !strings.Contains(text, member) {
				t.Errorf("the JSON has no %s: %s", member, text)
			}
		}
	}, appWide(appSecret1))
}

// liveness returns the tallies with those that are zero.
func liveness(some map[core.Liveness]core.Tally) map[core.Liveness]core.Tally {
	all := map[core.Liveness]core.Tally{
		core.LivenessActive: {}, core.LivenessIdle: {}, core.LivenessDevelopment: {},
		core.LivenessDisabled: {}, core.LivenessSuperseded: {}, core.LivenessUninstalled: {},
	}
	maps.Copy(all, some)
	return all
}

func TestR41AFailedAttemptIsRecorded(t *testing.T) {
	play(t, func(w *world) {
		site, other := w.installed(), w.installed()
		w.serves(site, "the site is known here")
		w.pass(day)
		failed := time.Now()
		attempt := site.Callback(fakehost.Installed).Offer(appSecret1)
		attempt.Token.Header["kid"] = "a-key-that-nobody-has"
		answer, err := attempt.Send(w.Context())
		w.denies(core.ReasonUnknownKey, "no key host knows the key")(answer, err)

		want := core.CallbackFailure{At: failed.UTC().Truncate(second), Reason: core.ReasonUnknownKey}
		status := w.status(site)
		if status.LastFailure == nil || *status.LastFailure != want || status.Straggler != core.StragglerCallbackFailed {
			t.Errorf("got failure %+v, straggler %q; want %+v", status.LastFailure, status.Straggler, want)
		}
		if status := w.status(other); status.LastFailure != nil {
			t.Errorf("another tenant: got failure %+v, want none", status.LastFailure)
		}
		report := w.reports(core.ReportOptions{}, 0, 2)
		if report.Trouble.FailedCallbacks != 1 || report.ByStraggler[core.StragglerCallbackFailed] != 1 {
			t.Errorf("got trouble %+v and stragglers %v, want one failed callback", report.Trouble, report.ByStraggler)
		}
		id := answer.Header.Get("X-Correlation-Id")
		if !slices.ContainsFunc(w.log.lines(site.ClientKey()), func(l line) bool { return l.CorrelationID == id }) {
			t.Errorf("the log has no line of the tenant with the correlation id %q that the site got", id)
		}

		w.pass(second)
		w.offers(site, appSecret1)
		report = w.reports(core.ReportOptions{}, 1, 2)
		if report.Trouble.FailedCallbacks != 0 || w.status(site).LastFailure != nil {
			t.Errorf("got trouble %+v after the next attempt was accepted, want none", report.Trouble)
		}
	}, appWide(appSecret1))
}

func TestR42SitesForDevelopmentAreCountedApart(t *testing.T) {
	play(t, func(w *world) {
		at := func(url string) func(*fakehost.Config) { return func(c *fakehost.Config) { c.BaseURL = url } }
		w.offers(w.site(at("https://acme.atlassian.net")), appSecret1)
		w.installed(at("https://acme-sandbox-314.atlassian.net"))
		w.installed(at("https://vendor-dev.atlassian.net"))

		report := w.reports(core.ReportOptions{}, 1, 2)
		same(w, "a sandbox", report.ByLiveness, liveness(map[core.Liveness]core.Tally{
			core.LivenessActive: {Total: 2, OnTarget: 1}, core.LivenessDevelopment: {Total: 1},
		}))
		ours := core.ReportOptions{Development: func(s core.Site) bool { return strings.Contains(s.BaseURL, "vendor-dev.") }}
		report = w.reports(ours, 1, 2)
		same(w, "by a rule of the team's own", report.ByLiveness, liveness(map[core.Liveness]core.Tally{
			core.LivenessActive: {Total: 2, OnTarget: 1}, core.LivenessDevelopment: {Total: 1},
		}))
		for status, err := range w.app.Tenants(w.Context(), ours) {
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.Contains(status.BaseURL, "vendor-dev."); (status.Liveness == core.LivenessDevelopment) != want {
				t.Errorf("%s: got %s, want development: %t", status.BaseURL, status.Liveness, want)
			}
		}
	}, appWide(appSecret1))
}

func TestR43WhatIsKnownOfATenantCanBeAttachedToATicket(t *testing.T) {
	play(t, func(w *world) {
		site := w.installed()
		first := site.Secret()
		w.settles(site)
		w.accepts(site.Rotate(w.Context()))
		w.settles(site)
		rotated := site.Secret()
		lost := site.Callback(fakehost.Installed).Offer(appSecret1)
		w.loses(site, lost)
		w.settles(site)
		forged := site.Callback(fakehost.Installed)
		forged.Token.Claims["aud"] = "https://staging.example"
		w.denies(core.ReasonAudience, "made for another address of the app")(forged.Post(w.Context()))
		w.pass(second)

		text := w.hides(w.status(site), first, rotated, appSecret1)
		var bundle core.TenantStatus
		if err := json.Unmarshal([]byte(text), &bundle); err != nil {
			t.Fatal(err)
		}
		type secret struct {
			fingerprint core.Fingerprint
			state       core.SecretState
			bound       bool
		}
		var history []secret
		for _, s := range bundle.Secrets {
			history = append(history, secret{s.Fingerprint, s.State, s.Bound})
		}
		want := []secret{
			{fingerprint(first), core.Retired, false},
			{fingerprint(rotated), core.Usable, false},
			{fingerprint(appSecret1), core.Usable, true},
		}
		if !slices.Equal(history, want) {
			t.Errorf("got history %+v, want %+v", history, want)
		}
		if bundle.SignsWith != fingerprint(rotated) || bundle.Phase != core.PhaseUnsettled || bundle.OnTarget ||
			bundle.LastFailure == nil || bundle.LastFailure.Reason != core.ReasonAudience {
			t.Errorf("got %s, want it to tell which secret the site is on, that it is not settled, and what failed last", text)
		}
		if strings.Contains(text, "eyJ") || strings.Contains(w.log.String(), "eyJ") {
			t.Error("a token can be read")
		}

		var story []string
		for _, l := range w.log.lines(site.ClientKey()) {
			story = append(story, l.Message+" "+string(l.Outcome)+string(l.Reason))
		}
		wantStory := []string{
			"lifecycle callback applied installed",
			"the site signs with this secret ",
			"first request with the newest secret ",
			"lifecycle callback applied updated",
			"the site signs with this secret ",
			"first request with the newest secret ",
			"the site has settled on this secret, and those it left behind are retired ",
			"lifecycle callback applied updated",
			"the site signs with this secret ",
			"installed callback refused audience",
		}
		if !slices.Equal(story, wantStory) {
			t.Errorf("the log tells of the tenant\n%q, want\n%q", story, wantStory)
		}
	}, appWide(appSecret1))
}

func TestR44WhoIsGoneIsTold(t *testing.T) {
	play(t, func(w *world) {
		active, idle, disabled, gone, imported := w.installed(), w.installed(), w.installed(), w.installed(), w.installed()
		w.pass(40 * day)
		w.accepts(gone.Uninstall(w.Context()))
		w.accepts(disabled.Disable(w.Context()))
		again := imported.Import()
		w.accepts(again.Install(w.Context()))
		w.serves(active, "a page of a site that is in use")
		w.pass(second)

		want := map[string]core.Liveness{
			active.ClientKey(): core.LivenessActive, idle.ClientKey(): core.LivenessIdle,
			disabled.ClientKey(): core.LivenessDisabled, gone.ClientKey(): core.LivenessUninstalled,
			imported.ClientKey(): core.LivenessSuperseded, again.ClientKey(): core.LivenessActive,
		}
		got := map[string]core.Liveness{}
		for status, err := range w.app.Tenants(w.Context(), core.ReportOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			got[status.ClientKey] = status.Liveness
		}
		same(w, "liveness", got, want)
		report := w.reports(core.ReportOptions{}, 2, 2)
		same(w, "liveness", report.ByLiveness, liveness(map[core.Liveness]core.Tally{
			core.LivenessActive: {Total: 2, OnTarget: 2}, core.LivenessIdle: {Total: 1, OnTarget: 1},
			core.LivenessDisabled: {Total: 1, OnTarget: 1}, core.LivenessUninstalled: {Total: 1},
			core.LivenessSuperseded: {Total: 1, OnTarget: 1},
		}))

		w.serves(idle, "it was not gone after all")
		if status := w.status(idle); status.Liveness != core.LivenessActive {
			t.Errorf("after a page: got %s, want active", status.Liveness)
		}
	})
}

func TestR45OnlyActiveInstallationsAreInTheDenominator(t *testing.T) {
	play(t, func(w *world) {
		excluded := map[string]bool{}
		for n := range 100 {
			site := w.installed()
			if n%5 == 0 {
				w.accepts(site.Uninstall(w.Context()))
				excluded[site.ClientKey()] = true
				continue
			}
			w.offers(site, appSecret1)
		}
		report := w.reports(core.ReportOptions{}, 80, 80)
		if report.Total != 100 || report.Percent != 100 {
			t.Errorf("got %v %% of %d rows, want 100 %% of the active ones among 100", report.Percent, report.Total)
		}
		same(w, "liveness", report.ByLiveness, liveness(map[core.Liveness]core.Tally{
			core.LivenessActive: {Total: 80, OnTarget: 80}, core.LivenessUninstalled: {Total: 20},
		}))
		listed := map[string]bool{}
		for status, err := range w.app.Tenants(w.Context(), core.ReportOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			if status.Liveness != core.LivenessActive {
				listed[status.ClientKey] = true
			}
		}
		same(w, "excluded", listed, excluded)
	}, appWide(appSecret1))
}
