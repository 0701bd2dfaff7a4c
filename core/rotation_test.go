package core

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The rules of rotation.go, one test each. Minutes stand for times; Settle is 15 of them.

const settle = 15 * time.Minute

func minute(m int) time.Time {
	return time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(m) * time.Minute)
}

func secret(name string) Secret {
	s, err := NewSecret(name + " is a shared secret of a site")
	if err != nil {
		panic(err)
	}
	return s
}

func fingerprint(name string) Fingerprint { return secret(name).Fingerprint() }

// offered returns an RS256 row that was offered the secrets in this order, one a minute from minute 1 on.
func offered(t *testing.T, names ...string) *Installation {
	t.Helper()
	row := &Installation{Key: Key{"app", "site"}, State: Installed, Signing: SignedRS256}
	for n, name := range names {
		row = apply(t, row, offer(name, n+1), n+1)
	}
	return row
}

// offer is an installed callback made at the minute. An empty name brings no secret.
func offer(name string, made int) callback {
	cb := callback{
		event: EventInstalled, signing: SignedRS256, issuedAt: minute(made), claim: [32]byte{byte(made)},
		key: Key{"app", "site"}, site: Site{BaseURL: "https://acme.atlassian.net"},
	}
	if name != "" {
		cb.secret = secret(name)
	}
	return cb
}

func uninstalled(made int) callback {
	cb := offer("", made)
	cb.event, cb.claim[1] = EventUninstalled, 1
	return cb
}

// by makes the callback one that a site has signed with the secret.
func (cb callback) by(name string) callback {
	cb.signing, cb.signer = SignedHS256, fingerprint(name)
	return cb
}

// apply decides on the callback and returns the row after it.
func apply(t *testing.T, row *Installation, cb callback, now int) *Installation {
	t.Helper()
	step, refusal := decide(row, cb, minute(now), settle)
	if refusal != nil {
		t.Fatalf("callback refused: %v", refusal)
	}
	if step.next == nil {
		return row
	}
	return step.next
}

// refused decides on the callback, which must be refused for the reason.
func refused(t *testing.T, row *Installation, cb callback, now int, want ReasonCode) {
	t.Helper()
	if _, refusal := decide(row, cb, minute(now), settle); refusal == nil || refusal.reason != want {
		t.Errorf("got %v, want a refusal for %s", refusal, want)
	}
}

// sees weighs a token of the secret, made and verified at the minutes.
func (i *Installation) sees(name string, made, now int) *Installation {
	next := i.Clone()
	next.weigh(evidence{fingerprint(name), minute(made)}, minute(now), settle)
	return next
}

// usableNames returns which of S0 to S20, and of A0 to A9, are usable, in their order of offer.
func (i *Installation) usableNames() string {
	var names []string
	for _, s := range i.Secrets {
		if name := secretNames()[s.Fingerprint]; s.State == Usable && name != "" {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// secretNames are those of secrets in these tests: S for a site's own, A for app-wide ones.
var secretNames = sync.OnceValue(func() map[Fingerprint]string {
	names := map[Fingerprint]string{}
	for n := range 21 {
		names[fingerprint(fmt.Sprint("S", n))] = fmt.Sprint("S", n)
	}
	for n := range 10 {
		names[fingerprint(fmt.Sprint("A", n))] = fmt.Sprint("A", n)
	}
	return names
})

func wantUsable(t *testing.T, row *Installation, want string) {
	t.Helper()
	if got := row.usableNames(); got != want {
		t.Errorf("usable secrets: got %q, want %q", got, want)
	}
}

func TestRule1AnOfferIsAddedAndAllUsableSecretsStay(t *testing.T) {
	row := offered(t, "S1", "S2")
	wantUsable(t, row, "S1 S2")
	if row.Newest() != fingerprint("S2") {
		t.Errorf("newest: got %s, want S2", row.Newest().Short())
	}
	if row.SecretVersion != 2 {
		t.Errorf("secret version: got %d, want 2", row.SecretVersion)
	}
}

func TestRule1AKnownSecretMovesToNewest(t *testing.T) {
	row := offered(t, "S1", "S2", "S1")
	wantUsable(t, row, "S2 S1")
	if len(row.Secrets) != 2 {
		t.Errorf("got %d secrets, want the known one moved, not doubled", len(row.Secrets))
	}
}

func TestRule1TheNewestOfferedAgainIsNoChangeOfSecret(t *testing.T) {
	row := offered(t, "S1", "S1")
	if row.SecretVersion != 1 {
		t.Errorf("secret version: got %d, want 1", row.SecretVersion)
	}
}

func TestRule1AnOfferClearsTheRunAndRemembersWhatItProved(t *testing.T) {
	row := offered(t, "S1", "S2").sees("S2", 20, 20)
	if row.Run.Fingerprint != fingerprint("S2") {
		t.Fatal("no run to clear")
	}
	row = apply(t, row, offer("S3", 21), 21)
	if row.Run != (Run{}) {
		t.Errorf("run: got %+v, want none", row.Run)
	}
	if row.Proven != fingerprint("S2") {
		t.Errorf("proven: got %s, want S2", row.Proven.Short())
	}
}

func TestRule1TheLastOfferIsTheLaterOfArrivalAndIssue(t *testing.T) {
	for _, c := range []struct{ made, now, want int }{{made: 5, now: 7, want: 7}, {made: 7, now: 5, want: 7}} {
		row := apply(t, nil, offer("S1", c.made), c.now)
		if !row.LastOffer.Equal(minute(c.want)) {
			t.Errorf("made at %d, arrived at %d: last offer %v, want minute %d", c.made, c.now, row.LastOffer, c.want)
		}
	}
}

func TestRule3AFullRS256RowRetiresTheOldest(t *testing.T) {
	row := offered(t, "S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8")
	step, refusal := decide(row, offer("S9", 9), minute(9), settle)
	if refusal != nil {
		t.Fatal(refusal)
	}
	wantUsable(t, step.next, "S2 S3 S4 S5 S6 S7 S8 S9")
	if !slices.Equal(step.retired, []Fingerprint{fingerprint("S1")}) {
		t.Errorf("retired: got %v, want S1", step.retired)
	}
}

func TestRule3WhatARunHasProvenIsSpared(t *testing.T) {
	row := offered(t, "S1").sees("S1", 20, 20)
	for n := 2; n <= 12; n++ {
		row = apply(t, row, offer(fmt.Sprint("S", n), 20+n), 20+n)
	}
	// Eleven updates of an idle site, each of them answered into the void: it is still on S1.
	wantUsable(t, row, "S1 S6 S7 S8 S9 S10 S11 S12")
}

func TestRule3TheNewestThreeAreSpared(t *testing.T) {
	row := offered(t, "S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8")
	for range 5 {
		row.evict(minute(9))
	}
	row.evict(minute(9)) // nothing is left to retire
	wantUsable(t, row, "S6 S7 S8")
}

func TestRule3OfASiteThatIsAliveNoneIsRetired(t *testing.T) {
	row := offered(t, "S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8")
	row.Activity.SeenAt = minute(8)
	refused(t, row, offer("S9", 9), 9, ReasonSecretsFull)
	// A day without a page load later, an update must get through.
	wantUsable(t, apply(t, row, offer("S9", 8+24*60), 8+24*60), "S2 S3 S4 S5 S6 S7 S8 S9")
}

func TestRule3AFullSymmetricRowKeepsTheSignerAndWhatIsUnderWay(t *testing.T) {
	row := offered(t, "S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8")
	row.Signing = SignedHS256
	wantUsable(t, apply(t, row, offer("S9", 20).by("S1"), 20), "S1 S5 S6 S7 S8 S9")
}

func TestRule3AFullSymmetricRowKeepsWhatIsOfferedAgain(t *testing.T) {
	row := offered(t, "S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8")
	row.Signing = SignedHS256
	wantUsable(t, apply(t, row, offer("S2", 60).by("S1"), 60), "S1 S2")
}

func TestRule3AFullSymmetricRowRefusesAndStaysAsItIs(t *testing.T) {
	row := offered(t, "S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8")
	row.Signing = SignedHS256
	refused(t, row, offer("S9", 9).by("S1"), 9, ReasonSecretsFull)
	wantUsable(t, apply(t, row, offer("S1", 9).by("S1"), 9), "S2 S3 S4 S5 S6 S7 S8 S1")
}

func TestRule4ARetiredSecretComesBackOnlyByANewerCallback(t *testing.T) {
	row := offered(t, "S1", "S2").sees("S2", 20, 20).sees("S2", 35, 35)
	refused(t, row, offer("S1", 29), 40, ReasonStale)
	wantUsable(t, apply(t, row, offer("S1", 30), 40), "S2 S1") // retired at minute 35, by a clock that may be 5 ahead
}

// TestRule4 says what must come back; here the row is full besides, of usable secrets and of retired ones.
func TestASecretThatWasRetiredComesBackToAFullRow(t *testing.T) {
	row := offered(t, "S0")
	for n := 1; n <= maxRetired; n++ { // each settles
		at := n * 60
		row = apply(t, row, offer(fmt.Sprint("S", n), at), at)
		row = row.sees(fmt.Sprint("S", n), at+20, at+20).sees(fmt.Sprint("S", n), at+40, at+40)
	}
	live, days := fmt.Sprint("S", maxRetired), 3*24*60
	for n := range maxUsable - 1 { // none is heard
		row = apply(t, row, offer(fmt.Sprint("F", n), days+n), days+n)
	}
	again := fmt.Sprint("S", maxRetired-1)
	row = apply(t, row, offer(again, days+20), days+20)
	for _, name := range []string{live, again} {
		if n := row.find(fingerprint(name)); n < 0 || row.Secrets[n].State != Usable {
			t.Errorf("%s is gone, want it usable: %s", name, row.usableNames())
		}
	}
	names := map[Fingerprint]int{}
	for _, s := range row.Secrets {
		if names[s.Fingerprint]++; names[s.Fingerprint] > 1 {
			t.Errorf("the row has %s twice", s.Fingerprint.Short())
		}
	}
}

func TestRule4ARevokedSecretNeverComesBack(t *testing.T) {
	row := offered(t, "S1", "S2")
	row.Secrets[0].State, row.Secrets[0].Value = Revoked, Secret{}
	refused(t, row, offer("S1", 40), 40, ReasonRevoked)
}

func TestRule5UninstalledErasesTheSecretsOfAnRS256Row(t *testing.T) {
	row := apply(t, offered(t, "S1", "S2"), uninstalled(5), 6)
	wantUsable(t, row, "")
	if row.State != Uninstalled || row.Run != (Run{}) {
		t.Errorf("got %s with run %+v, want uninstalled without a run", row.State, row.Run)
	}
	for _, s := range row.Secrets {
		if !s.Value.IsZero() {
			t.Error("a secret was kept")
		}
	}
	// The site may offer the very same secret when it installs again.
	wantUsable(t, apply(t, row, offer("S2", 5), 7), "S2")
}

func TestRule5UninstalledKeepsTheSecretsOfASymmetricRow(t *testing.T) {
	row := offered(t, "S1", "S2")
	row.Signing = SignedHS256
	row = apply(t, row, uninstalled(5).by("S2"), 6)
	wantUsable(t, row, "S1 S2")
	row = apply(t, row, offer("S3", 7).by("S2"), 7)
	if row.State != Installed {
		t.Errorf("state: got %s, want installed", row.State)
	}
}

func TestRule5UninstalledOfAnUnknownTenantChangesNothing(t *testing.T) {
	step, refusal := decide(nil, uninstalled(5), minute(5), settle)
	if refusal != nil || step.next != nil || step.outcome != OutcomeUnchanged {
		t.Errorf("got %+v, %v, want unchanged", step, refusal)
	}
}

func TestRule6ACallbackWithoutASecretUpdatesMetadataAndBlanksNothing(t *testing.T) {
	row := offered(t, "S1")
	row.Site.InstallationID, row.Site.OAuthClientID = "ari:installation", "client id"
	cb := offer("", 5)
	cb.site = Site{BaseURL: "https://renamed.atlassian.net", Description: "now with a description"}
	row = apply(t, row, cb, 5)
	wantUsable(t, row, "S1")
	want := Site{
		BaseURL: "https://renamed.atlassian.net", Description: "now with a description",
		InstallationID: "ari:installation", OAuthClientID: "client id",
	}
	if row.Site != want {
		t.Errorf("site: got %+v, want %+v", row.Site, want)
	}
	if !row.LastOffer.Equal(minute(1)) {
		t.Error("a callback without a secret counted as an offer")
	}
}

func TestRule6ACallbackWithoutASecretCannotInstall(t *testing.T) {
	refused(t, nil, offer("", 5), 5, ReasonSecretMissing)
	refused(t, apply(t, offered(t, "S1"), uninstalled(5), 5), offer("", 6), 6, ReasonSecretMissing)
}

func TestWatermarkAnOlderCallbackIsRefused(t *testing.T) {
	row := apply(t, offered(t, "S1"), uninstalled(5), 6)
	refused(t, row, offer("S2", 4), 7, ReasonStale)
	refused(t, row, uninstalled(4), 7, ReasonStale)
}

func TestWatermarkOneSecondHasRoomForSixteenCallbacks(t *testing.T) {
	row := offered(t, "S1")
	same := func(n byte) callback {
		cb := offer("S1", 1)
		cb.claim[1] = n
		return cb
	}
	for n := range byte(maxApplied - 1) {
		row = apply(t, row, same(n+1), 2)
	}
	refused(t, row, same(99), 2, ReasonBusy)
}

func TestWatermarkTheSameClaimIsADuplicate(t *testing.T) {
	row := offered(t, "S1")
	step, refusal := decide(row, offer("S1", 1), minute(9), settle)
	if refusal != nil || step.next != nil || step.outcome != OutcomeUnchanged {
		t.Errorf("got %+v, %v, want unchanged", step, refusal)
	}
}

func TestWatermarkAtEqualTimesArrivalDecides(t *testing.T) {
	again := uninstalled(1)
	row := apply(t, offered(t, "S1"), again, 2)
	if row.State != Uninstalled || len(row.Applied) != 2 {
		t.Errorf("got %s with %d claims applied, want uninstalled with both", row.State, len(row.Applied))
	}
	// And neither of the two is applied again.
	for _, cb := range []callback{offer("S1", 1), again} {
		if step, refusal := decide(row, cb, minute(3), settle); refusal != nil || step.next != nil {
			t.Errorf("%s: got %+v, %v, want unchanged", cb.event, step, refusal)
		}
	}
}

func TestSigningNeverStepsBackFromRS256(t *testing.T) {
	row := offered(t, "S1")
	refused(t, row, offer("S2", 5).by("S1"), 5, ReasonAlgorithm)
	unsigned := offer("S2", 5)
	unsigned.signing = Unsigned
	refused(t, row, unsigned, 5, ReasonTokenMissing)
}

func TestSigningSymmetricNeedsASecretThatIsStillUsable(t *testing.T) {
	row := offered(t, "S1", "S2")
	row.Signing = SignedHS256
	refused(t, row, offer("S3", 5).by("S9"), 5, ReasonBadSignature)
	refused(t, nil, offer("S3", 5).by("S1"), 5, ReasonUnknownTenant)
	row = row.sees("S2", 20, 20).sees("S2", 35, 35)
	refused(t, row, offer("S3", 40).by("S1"), 40, ReasonBadSignature)
}

func TestDisabledInformsAndNeverBeatsUninstalled(t *testing.T) {
	disabled := func(made int) callback {
		cb := offer("", made)
		cb.event = EventDisabled
		return cb
	}
	row := apply(t, offered(t, "S1"), disabled(5), 5)
	if !row.Disabled || row.State != Installed {
		t.Errorf("got disabled %v, %s, want disabled, installed", row.Disabled, row.State)
	}
	wantUsable(t, row, "S1")
	refused(t, row, disabled(4), 6, ReasonStale)
	gone := apply(t, row, uninstalled(5), 6)
	if after := apply(t, gone, disabled(7), 7); after != gone {
		t.Error("a late disabled changed an uninstalled row")
	}
}

func TestAnOldDisabledDoesNotReachANewInstall(t *testing.T) {
	row := apply(t, offered(t, "S1"), uninstalled(5), 5)
	row = apply(t, row, offer("S2", 10), 10)
	cb := offer("", 8)
	cb.event = EventDisabled
	refused(t, row, cb, 11, ReasonStale)
}

func TestUninstallEndsTheRun(t *testing.T) {
	row := offered(t, "S1").sees("S1", 20, 20)
	row.Signing = SignedHS256
	if row = apply(t, row, uninstalled(30).by("S1"), 30); row.Run != (Run{}) {
		t.Errorf("got a run of %s", row.Run.Fingerprint.Short())
	}
}

func TestWhatWasRetiredFirstIsForgottenFirst(t *testing.T) {
	row := offered(t, "S0")
	retire := func(name string, at int) {
		row.retire(minute(at), func(_ int, s StoredSecret) bool { return s.Fingerprint == fingerprint(name) })
	}
	for n := 1; n <= maxRetired; n++ {
		name := fmt.Sprint("S", n)
		row = apply(t, row, offer(name, n+1), n+1)
		retire(name, n+1)
	}
	retire("S0", 60) // the oldest in the row is the last one to be retired
	if row.find(fingerprint("S0")) < 0 || row.find(fingerprint("S1")) >= 0 || row.find(fingerprint("S2")) < 0 {
		t.Error("want S0 kept, which was retired now, and S1 forgotten, which was retired first")
	}
}

func TestOfTwoInstallsAtOneURLInOneSecondOneSupersedesTheOther(t *testing.T) {
	a, b := offered(t, "S1"), offered(t, "S1")
	a.Key.ClientKey, b.Key.ClientKey = "a", "b"
	if a.supersedes(b) || !b.supersedes(a) {
		t.Errorf("a supersedes b: %t, b supersedes a: %t, want the second only", a.supersedes(b), b.supersedes(a))
	}
}

func TestHistoryIsBounded(t *testing.T) {
	row := offered(t, "S0")
	for n := range 100 {
		row = apply(t, row, offer(fmt.Sprint("S", 1000+n), 2+n), 2+n)
	}
	retired := len(row.Secrets) - row.usable()
	if row.usable() != maxUsable || retired != maxRetired {
		t.Errorf("got %d usable and %d retired secrets, want %d and %d", row.usable(), retired, maxUsable, maxRetired)
	}
}

func TestRevokingErasesASecretAndVoidsWhatItHasProved(t *testing.T) {
	t.Parallel()
	row := offered(t, "S1", "S2")
	row.weigh(evidence{fingerprint("S2"), minute(30)}, minute(30), settle)
	version := row.SecretVersion
	row.revoke(func(s StoredSecret) bool { return s.Fingerprint == fingerprint("S2") }, minute(31))
	revoked := row.Secrets[row.find(fingerprint("S2"))]
	if revoked.State != Revoked || !revoked.Value.IsZero() || !revoked.RetiredAt.Equal(minute(31)) {
		t.Errorf("got %s, erased %t, at %v, want it revoked at minute 31", revoked.State, revoked.Value.IsZero(), revoked.RetiredAt)
	}
	if row.Run != (Run{}) || row.Proven != "" {
		t.Errorf("got run %v and proven %q, want none", row.Run, row.Proven.Short())
	}
	if row.Newest() != fingerprint("S1") || row.SecretVersion != version+1 {
		t.Error("want S1 as the newest, and the version to tell")
	}
	if row.judge(evidence{fingerprint("S2"), minute(60)}, minute(60), settle) != provesNothing {
		t.Error("a revoked secret still proves something")
	}
}

func TestARevokedSecretIsRefusedThoughTheRowHasNeverHadIt(t *testing.T) {
	t.Parallel()
	cb := offer("S2", 2)
	cb.revoked = true
	refused(t, offered(t, "S1"), cb, 2, ReasonRevoked)
	refused(t, nil, cb, 2, ReasonRevoked)
}
