package core

import (
	"fmt"
	"reflect"
	"testing"
	"time"
)

// What a report says of a row. See rotation_test.go for the words of these tests; A1 and A2 are app-wide secrets, of
// which A2 is the newer one.

// reportedAt is the minute of the reports: ten days on.
const reportedAt = 10 * 24 * 60

// surveyOf is a report to the target on app-wide secrets, the newest first, made ten days on.
func surveyOf(t *testing.T, target Target, configured ...string) *survey {
	t.Helper()
	options, err := ReportOptions{Target: target}.withDefaults(StaticSecrets{})
	if err != nil {
		t.Fatal(err)
	}
	s := &survey{options: options, now: minute(reportedAt), settle: settle, revoked: newRevoked(nil, nil, minute(reportedAt))}
	for _, name := range configured {
		s.configured = append(s.configured, fingerprint(name))
	}
	return s
}

// offerAppWide is an installed callback that brings one of the app-wide secrets.
func offerAppWide(name string, made int) callback {
	cb := offer(name, made)
	cb.appWide = appWide{fingerprint("A2"), fingerprint("A1")}
	return cb
}

// changed returns the row after a change that no rule makes.
func changed(row *Installation, change func(*Installation)) *Installation {
	row = row.Clone()
	change(row)
	return row
}

// standing is what is decided about a row, apart from what is copied from it.
type standing struct {
	secret    SecretClass
	phase     Phase
	liveness  Liveness
	onTarget  bool
	straggler Straggler
}

func standingOf(s *survey, row *Installation) standing {
	status := s.status(row)
	return standing{status.Secret, status.Phase, status.Liveness, status.OnTarget, status.Straggler}
}

func TestAReportClassifiesARow(t *testing.T) {
	t.Parallel()
	own := offered(t, "S1")
	unsettled := apply(t, own, offerAppWide("A2", 2), 2)
	older := apply(t, own, offerAppWide("A1", 2), 2)
	revokedNewest := changed(unsettled, func(i *Installation) {
		i.revoke(func(s StoredSecret) bool { return s.Bound }, minute(3))
	})
	for _, c := range []struct {
		name        string
		row         *Installation
		appWide     standing // what a report to TargetAppWide says
		toOwn       bool     // whether one to TargetOwn has it on target
		toOwnReason Straggler
	}{
		{"that has one secret of its own", own,
			standing{SecretOwn, PhaseSettled, LivenessActive, false, StragglerNotOffered}, true, ""},
		{"that was offered the newest app-wide secret", unsettled,
			standing{SecretAppWide, PhaseUnsettled, LivenessActive, true, ""}, false, StragglerNotOffered},
		{"that is seen to sign with it", unsettled.sees("A2", 20, 20),
			standing{SecretAppWide, PhaseUnsettled, LivenessActive, true, ""}, false, StragglerNotOffered},
		{"that has settled on it", unsettled.sees("A2", 20, 20).sees("A2", 35, 35),
			standing{SecretAppWide, PhaseSettled, LivenessActive, true, ""}, false, StragglerNotOffered},
		{"that went back to its old secret", unsettled.sees("S1", 20, 20),
			standing{SecretAppWide, PhaseUnsettled, LivenessActive, false, StragglerWentBack}, false, StragglerNotOffered},
		{"that signs with both", unsettled.sees("S1", 20, 20).sees("A2", 21, 21),
			standing{SecretAppWide, PhaseContested, LivenessActive, true, ""}, false, StragglerNotOffered},
		{"that is on an older app-wide secret", older.sees("A1", 20, 20).sees("A1", 35, 35),
			standing{SecretAppWideOlder, PhaseSettled, LivenessActive, false, StragglerNotOffered}, false, StragglerNotOffered},
		{"that was offered a secret of its own again", apply(t, unsettled, offer("S3", 3), 3),
			standing{SecretOwn, PhaseUnsettled, LivenessActive, false, StragglerNotOffered}, true, ""},
		{"that went back from its own secret to the app-wide one", apply(t, unsettled, offer("S3", 3), 3).sees("A2", 20, 20),
			standing{SecretOwn, PhaseUnsettled, LivenessActive, false, StragglerNotOffered}, false, StragglerWentBack},
		{"that lost the app-wide secret to a revocation", revokedNewest,
			standing{SecretOwn, PhaseSettled, LivenessActive, false, StragglerNotOffered}, true, ""},
		{"that has a copy of the newest app-wide secret", offered(t, "S1", "A2").sees("A2", 20, 20).sees("A2", 35, 35),
			standing{SecretAppWide, PhaseSettled, LivenessActive, true, ""}, false, StragglerNotOffered},
		{"that has a copy of an older one", offered(t, "A1"),
			standing{SecretAppWideOlder, PhaseSettled, LivenessActive, false, StragglerNotOffered}, false, StragglerNotOffered},
		{"that has no secret", changed(own, func(i *Installation) { i.revoke(func(StoredSecret) bool { return true }, minute(3)) }),
			standing{SecretNone, PhaseUnsettled, LivenessActive, false, StragglerNoSecret}, false, StragglerNoSecret},
		{"that is uninstalled", apply(t, unsettled, uninstalled(3), 3),
			standing{SecretNone, PhaseUnsettled, LivenessUninstalled, false, ""}, false, ""},
		{"that is uninstalled, and keeps its secret for the next callback", changed(unsettled, func(i *Installation) {
			i.State = Uninstalled
		}), standing{SecretAppWide, PhaseUnsettled, LivenessUninstalled, false, ""}, false, ""},
		{"that is idle, and moved", changed(unsettled, func(i *Installation) { i.Watermark = minute(-30 * 24 * 60) }),
			standing{SecretAppWide, PhaseUnsettled, LivenessIdle, true, ""}, false, ""},
	} {
		t.Run("one "+c.name, func(t *testing.T) {
			if got := standingOf(surveyOf(t, TargetAppWide, "A2", "A1"), c.row); got != c.appWide {
				t.Errorf("to app-wide: got %+v, want %+v", got, c.appWide)
			}
			got := standingOf(surveyOf(t, TargetOwn, "A2", "A1"), c.row)
			want := c.appWide
			want.onTarget, want.straggler = c.toOwn, c.toOwnReason
			if got != want {
				t.Errorf("to own: got %+v, want %+v", got, want)
			}
		})
	}
}

func TestOfSeveralReasonsAReportTellsTheFirst(t *testing.T) {
	t.Parallel()
	// Each change gives a reason, the least telling one first. Each is told though all those before it fit too.
	s := surveyOf(t, TargetAppWide, "A2", "A1")
	row := offered(t, "S1")
	row.Activity.SeenAt = minute(5)
	for _, c := range []struct {
		want   Straggler
		change func(*Installation)
	}{
		{StragglerNotOffered, func(*Installation) {}},
		{StragglerWentBack, func(i *Installation) {
			*i = *apply(t, i, offerAppWide("A2", 10), 10).sees("S1", 30, 30)
		}},
		{StragglerDesync, func(i *Installation) { i.Activity.DesyncSuspectedAt = minute(40) }},
		{StragglerCallbackFailed, func(i *Installation) {
			i.Activity.RefusedAt, i.Activity.RefusedReason = minute(50), ReasonSecretsFull
		}},
		{StragglerRevoked, func(i *Installation) {
			s.revoked = newRevoked([]Revocation{{ClientKey: "site", Fingerprint: fingerprint("A2")}}, nil, minute(60))
			*i = *s.revoked.strike(i)
		}},
		{StragglerNoSecret, func(i *Installation) { i.revoke(func(StoredSecret) bool { return true }, minute(60)) }},
		{StragglerUnreadable, func(i *Installation) {
			i.Secrets = append(i.Secrets, StoredSecret{Fingerprint: fingerprint("S3"), State: Usable, Sealed: []byte("sealed")})
		}},
		{StragglerNotConfigured, func(i *Installation) {
			i.Secrets = append(i.Secrets, StoredSecret{Fingerprint: fingerprint("A0"), State: Usable, Bound: true})
		}},
	} {
		row = changed(row, c.change)
		if got := s.status(row).Straggler; got != c.want {
			t.Errorf("got %q, want %q, which comes before the others that fit", got, c.want)
		}
		if c.want.Advice() == "" {
			t.Errorf("there is no advice on %q", c.want)
		}
	}
}

func TestNoSiteCanMoveToAnAppWideSecretThatIsRevokedForAll(t *testing.T) {
	t.Parallel()
	row := offered(t, "S1")
	if got := surveyOf(t, TargetAppWide).status(row).Straggler; got != StragglerRevoked {
		t.Errorf("to app-wide: got %q, want %q, since there is none to move to", got, StragglerRevoked)
	}
	own := surveyOf(t, TargetOwn)
	if got := own.status(row); !got.OnTarget {
		t.Errorf("to own: got %q, want it on target", got.Straggler)
	}
	if got := own.status(apply(t, row, offerAppWide("A1", 2), 2)).Straggler; got != StragglerNotConfigured {
		t.Errorf("to own, and bound: got %q, want %q", got, StragglerNotConfigured)
	}
}

func TestARevokedAppWideSecretKeepsNobodyFromOneOfItsOwn(t *testing.T) {
	t.Parallel()
	s := surveyOf(t, TargetOwn, "A2", "A1")
	s.revoked = newRevoked([]Revocation{{ClientKey: "site", Fingerprint: fingerprint("A2")}}, nil, minute(3))
	row := apply(t, offered(t, "S1"), offerAppWide("A1", 2), 2)
	if got := s.status(row).Straggler; got != StragglerNotOffered {
		t.Errorf("got %q, want %q", got, StragglerNotOffered)
	}
}

func TestLivenessIsTheFirstClassThatFits(t *testing.T) {
	t.Parallel()
	const day = 24 * 60
	s := surveyOf(t, TargetOwn)
	row := offered(t, "S1")
	for _, c := range []struct { // the last class first; each fits besides all those before it
		want   Liveness
		change func(*Installation)
	}{
		{LivenessActive, func(*Installation) {}},
		{LivenessIdle, func(i *Installation) { i.Watermark = minute(reportedAt - 30*day - 1) }},
		{LivenessDevelopment, func(i *Installation) { i.Site.BaseURL = "https://acme-sandbox-314.atlassian.net" }},
		{LivenessDisabled, func(i *Installation) { i.Disabled = true }},
		{LivenessSuperseded, func(i *Installation) { i.SupersededBy = "another" }},
		{LivenessUninstalled, func(i *Installation) { i.State = Uninstalled }},
	} {
		row = changed(row, c.change)
		if got := s.liveness(row); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestASignOfLifeIsARequestOrACallback(t *testing.T) {
	t.Parallel()
	const day = 24 * 60
	s := surveyOf(t, TargetOwn)
	for _, c := range []struct {
		name   string
		change func(i *Installation, at time.Time)
		want   bool // that it is one
	}{
		{"a request", func(i *Installation, at time.Time) { i.Activity.SeenAt = at }, true},
		{"an installed callback", func(i *Installation, at time.Time) { i.Watermark = at }, true},
		{"an enabled callback", func(i *Installation, at time.Time) { i.ActivationWatermark = at }, true},
		{"a refused callback, which anybody can send", func(i *Installation, at time.Time) { i.Activity.RefusedAt = at }, false},
		{"a bad signature, which anybody can make", func(i *Installation, at time.Time) { i.Activity.DesyncSuspectedAt = at }, false},
		{"a write of our own", func(i *Installation, at time.Time) { i.UpdatedAt = at }, false},
	} {
		for ago, want := range map[int]Liveness{30 * day: LivenessActive, 30*day + 1: LivenessIdle} {
			if !c.want {
				want = LivenessIdle
			}
			row := &Installation{State: Installed}
			c.change(row, minute(reportedAt-ago))
			if got := s.liveness(row); got != want {
				t.Errorf("%s, %d minutes ago: got %q, want %q", c.name, ago, got, want)
			}
		}
	}
}

func TestADisabledSiteThatIsSeenLaterIsAlive(t *testing.T) {
	t.Parallel()
	s := surveyOf(t, TargetOwn)
	for seen, want := range map[int]Liveness{
		99:  LivenessDisabled,
		115: LivenessDisabled, // by a page that was open
		116: LivenessActive,   // it was enabled, and did not say so
	} {
		row := changed(offered(t, "S1"), func(i *Installation) {
			i.Disabled, i.ActivationWatermark, i.Activity.SeenAt = true, minute(100), minute(seen)
		})
		if got := s.liveness(row); got != want {
			t.Errorf("disabled at minute 100 and seen at %d: got %q, want %q", seen, got, want)
		}
	}
}

func TestSandboxesAndAtlassiansOwnInstancesAreForDevelopment(t *testing.T) {
	t.Parallel()
	for baseURL, want := range map[string]bool{
		"https://acme-sandbox-314.atlassian.net":      true,
		"https://acme-sandbox-314.atlassian.net/wiki": true,
		"https://ACME-Sandbox-314.atlassian.net":      true,
		"https://pug.jira-dev.com":                    true,
		"https://jira-dev.com":                        true,
		"https://acme.atlassian.net":                  false,
		"https://sandbox.atlassian.net":               false,
		"https://acme.atlassian.net/x-sandbox-1":      false,
		"https://acme.x-sandbox-1.atlassian.net":      false,
		"https://notjira-dev.com":                     false,
		"https://jira-dev.com.example":                false,
		"":                                            false,
		"://":                                         false,
	} {
		if got := looksLikeDevelopment(Site{BaseURL: baseURL}); got != want {
			t.Errorf("%q: got %v, want %v", baseURL, got, want)
		}
	}
}

func TestAStatusTellsATroubleOnlyWhileNothingHasDisprovedIt(t *testing.T) {
	t.Parallel()
	s := surveyOf(t, TargetOwn)
	for _, c := range []struct {
		name            string
		change          func(*Installation)
		failure, desync bool
	}{
		{"nothing since", func(*Installation) {}, true, true},
		{"a request in the same second", func(i *Installation) { i.Activity.SeenAt = minute(100) }, true, false},
		{"a callback made in the same second", func(i *Installation) { i.Watermark = minute(100) }, false, false},
		{"the refused callback sent again, and applied", func(i *Installation) {
			i.Watermark, i.LastOffer = minute(99), minute(101)
		}, false, false},
		{"an enabled callback", func(i *Installation) { i.ActivationWatermark = minute(101) }, true, true},
	} {
		row := changed(offered(t, "S1"), func(i *Installation) {
			i.Activity = Activity{
				SeenAt: minute(50), RefusedAt: minute(100), RefusedReason: ReasonStore, DesyncSuspectedAt: minute(100),
			}
			c.change(i)
		})
		status := s.status(row)
		if got := status.LastFailure != nil; got != c.failure {
			t.Errorf("%s: got a failed callback %v, want %v", c.name, got, c.failure)
		} else if got && *status.LastFailure != (CallbackFailure{minute(100), ReasonStore}) {
			t.Errorf("%s: got %+v, want the store's failure at minute 100", c.name, *status.LastFailure)
		}
		if got := !status.DesyncSuspectedAt.IsZero(); got != c.desync {
			t.Errorf("%s: got a desync suspected %v, want %v", c.name, got, c.desync)
		}
	}
}

func TestTheFirstUseIsThatOfTheNewestSecret(t *testing.T) {
	t.Parallel()
	s := surveyOf(t, TargetOwn)
	for name, want := range map[string]time.Time{"S2": minute(7), "S1": {}} {
		row := offered(t, "S1", "S2")
		row.Activity.FirstUsed, row.Activity.FirstUsedAt = fingerprint(name), minute(7)
		if got := s.status(row).FirstUsedAt; !got.Equal(want) {
			t.Errorf("%s was used first: got %v, want %v, since S2 is the newest", name, got, want)
		}
	}
}

func TestASiteMovesOnceHoweverOftenItsSecretIsOfferedAgain(t *testing.T) {
	t.Parallel()
	moved := offered(t, "S1", "S2") // at minute 2
	used := changed(moved, func(i *Installation) {
		i.Activity.FirstUsed, i.Activity.FirstUsedAt = fingerprint("S2"), minute(5)
	})
	for _, c := range []struct {
		name string
		row  *Installation
		want time.Time
	}{
		{"the first secret", offered(t, "S1"), time.Time{}},
		{"a second one", moved, minute(2)},
		{"one that was used later", used, minute(2)},
		{"one that was used, and offered again", apply(t, used, offer("S2", 90), 90), minute(5)},
		{"another that is not used yet", apply(t, used, offer("S3", 90), 90), minute(90)},
		{"one whose forerunner was forgotten", changed(moved, func(i *Installation) { i.Secrets = i.Secrets[1:] }), minute(2)},
		{"one whose forerunner was imported", changed(moved, func(i *Installation) { i.SecretVersion = 1 }), minute(2)},
		{"none any more", apply(t, moved, uninstalled(3), 3), time.Time{}},
	} {
		if got := c.row.movedAt(); !got.Equal(c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// A status is handed to people and attached to support cases. So no type in it may be able to hold a secret.
func TestAStatusHasNoRoomForASecret(t *testing.T) {
	t.Parallel()
	seen := map[reflect.Type]bool{}
	var visit func(path string, of reflect.Type)
	visit = func(path string, of reflect.Type) {
		if seen[of] || of == reflect.TypeFor[time.Time]() {
			return
		}
		seen[of] = true
		switch of.Kind() {
		case reflect.Struct:
			for field := range of.Fields() {
				visit(path+"."+field.Name, field.Type)
			}
		case reflect.Map:
			visit(path+" key", of.Key())
			visit(path+" value", of.Elem())
		case reflect.Slice, reflect.Pointer:
			visit(path, of.Elem())
		case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64:
		default:
			t.Errorf("%s is a %s, which may hold anything", path, of)
		}
		if of == reflect.TypeFor[Secret]() || of == reflect.TypeFor[StoredSecret]() || of == reflect.TypeFor[Installation]() {
			t.Errorf("%s is a %s", path, of)
		}
	}
	visit("Report", reflect.TypeFor[Report]())

	row := offered(t, "S1", "S2")
	row.Secrets = append(row.Secrets, StoredSecret{Fingerprint: "f", State: Usable, Value: shownSecret(t), Sealed: []byte(shown)})
	status := surveyOf(t, TargetOwn).status(row)
	status.Secrets = row.history()
	wantHidden(t, "a status", fmt.Sprintf("%+v", status))
}

func TestTheHistoryHoldsWhatEachSecretHasBecome(t *testing.T) {
	t.Parallel()
	row := apply(t, offered(t, "S1"), offerAppWide("A2", 2), 2).sees("A2", 20, 20).sees("A2", 35, 35)
	row.Secrets = append(row.Secrets, StoredSecret{Fingerprint: fingerprint("S3"), State: Usable, Sealed: []byte("sealed")})
	want := []SecretStatus{
		{Fingerprint: fingerprint("S1"), State: Retired, OfferedAt: minute(1), RetiredAt: minute(35)},
		{Fingerprint: fingerprint("A2"), State: Usable, Bound: true, OfferedAt: minute(2)},
		{Fingerprint: fingerprint("S3"), State: Usable, Unreadable: true},
	}
	if got := row.history(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// BenchmarkStatus is what one row of a report costs.
func BenchmarkStatus(b *testing.B) {
	row := &Installation{
		Key: Key{"app", "site"}, State: Installed, Signing: SignedRS256,
		Site: Site{BaseURL: "https://acme.atlassian.net"}, Watermark: minute(2), SecretVersion: 2,
		Secrets: []StoredSecret{
			{Fingerprint: fingerprint("S1"), State: Retired, OfferedAt: minute(1), RetiredAt: minute(35)},
			{Fingerprint: fingerprint("A2"), State: Usable, OfferedAt: minute(2), Bound: true},
		},
	}
	options, err := ReportOptions{}.withDefaults(StaticSecrets{})
	if err != nil {
		b.Fatal(err)
	}
	s := &survey{
		options: options, now: minute(reportedAt), settle: settle, revoked: newRevoked(nil, nil, minute(reportedAt)),
		configured: appWide{fingerprint("A2"), fingerprint("A1")},
	}
	report := newReport(s)
	b.ReportAllocs()
	for b.Loop() {
		report.count(s, row)
	}
	if report.OnTarget != report.Total {
		b.Errorf("%d of %d rows are on target, want all", report.OnTarget, report.Total)
	}
}
