package core

import (
	"fmt"
	"slices"
	"testing"
)

// What a callback offers to a row while app-wide secrets are configured. See binding_test.go for the words.

// with is the callback while these app-wide secrets are configured, the newest first.
func (cb callback) with(names string) callback {
	cb.appWide = newestFirst(names)
	return cb
}

// firstBy is a first install that is signed with the app-wide secret, where that is accepted.
func (cb callback) firstBy(name, configured string) callback {
	cb = cb.by(name).with(configured)
	cb.firstAppWide = true
	return cb
}

// wantSecret holds the usable secret of the row against what is stored of it.
func wantSecret(t *testing.T, row *Installation, name string, bound bool) {
	t.Helper()
	n := row.find(fingerprint(name))
	if n < 0 || row.Secrets[n].State != Usable {
		t.Errorf("%s is not usable: %s", name, row.usableNames())
		return
	}
	if s := row.Secrets[n]; s.Bound != bound || s.Value.IsZero() != bound || s.Unreadable() {
		t.Errorf("%s: got bound %t, with a copy %t; want bound %t, and a copy only if it is not", name, s.Bound, !s.Value.IsZero(), bound)
	}
}

func TestACallbackThatBringsAnAppWideSecretBindsAndStoresNoCopy(t *testing.T) {
	row := apply(t, nil, offer("A1", 1).with("A2 A1"), 1)
	wantUsable(t, row, "A1")
	wantSecret(t, row, "A1", true)
	row = apply(t, row, offer("A2", 2).with("A2 A1"), 2)
	wantUsable(t, row, "A1 A2")
	if row.SecretVersion != 2 || !row.LastOffer.Equal(minute(2)) || !row.Secrets[1].OfferedAt.Equal(minute(2)) {
		t.Errorf("got version %d, last offer %v, offered at %v; want it offered as any other secret",
			row.SecretVersion, row.LastOffer, row.Secrets[1].OfferedAt)
	}
}

func TestACallbackThatBringsAnotherSecretIsTheSitesOwn(t *testing.T) {
	row := apply(t, having("A1"), offer("S1", 1).with("A2 A1"), 1)
	wantUsable(t, row, "A1 S1")
	wantSecret(t, row, "S1", false)
	// And back to the app-wide one.
	row = apply(t, row, offer("A1", 2).with("A2 A1"), 2)
	wantUsable(t, row, "S1 A1")
	wantSecret(t, row, "A1", true)
}

func TestAnAppWideSecretThatIsNotConfiguredHereIsStored(t *testing.T) {
	row := apply(t, having("A1"), offer("A2", 1).with("A1"), 1)
	wantUsable(t, row, "A1 A2")
	wantSecret(t, row, "A2", false)
}

func TestACopyOfAnAppWideSecretBecomesABindingWhenItIsOfferedAgain(t *testing.T) {
	copied := apply(t, nil, offer("A1", 1), 1)
	wantSecret(t, copied, "A1", false)
	row := apply(t, copied, offer("A1", 2).with("A1"), 2)
	wantSecret(t, row, "A1", true)
	if len(row.Secrets) != 1 || row.SecretVersion != copied.SecretVersion {
		t.Errorf("got %d secrets at version %d, want the one at %d: it is the same secret",
			len(row.Secrets), row.SecretVersion, copied.SecretVersion)
	}
}

func TestABindingBecomesACopyWhenItIsOfferedWhereItIsNotConfigured(t *testing.T) {
	row := apply(t, having("A1", "A2"), offer("A1", 2).with("A2"), 2)
	wantUsable(t, row, "A2 A1")
	wantSecret(t, row, "A1", false)
	wantSecret(t, row, "A2", true)
}

func TestABindingThatWasLeftBehindComesBackOnlyByANewerCallback(t *testing.T) {
	row := having("A1 retired 40", "A2")
	refused(t, row, offer("A1", 30).with("A2 A1"), 50, ReasonStale)
	row = apply(t, row, offer("A1", 50).with("A2 A1"), 50)
	wantUsable(t, row, "A2 A1")
	wantSecret(t, row, "A1", true)
}

func TestWithoutASecretAnUnknownTenantIsBoundToAllAppWideOnesTheNewestLast(t *testing.T) {
	row := apply(t, nil, offer("", 1).with("A3 A2 A1"), 1)
	wantUsable(t, row, "A1 A2 A3")
	wantSecret(t, row, "A1", true)
	wantSecret(t, row, "A3", true)
	if row.SecretVersion != 1 || !row.LastOffer.Equal(minute(1)) {
		t.Errorf("got version %d, last offer %v; want it offered at minute 1", row.SecretVersion, row.LastOffer)
	}
	refused(t, nil, offer("", 1), 1, ReasonSecretMissing)
}

func TestWithoutASecretAKnownTenantKeepsWhatItHas(t *testing.T) {
	for _, row := range []*Installation{
		having("S1"), having("A1"), having("A2"), having("A1", "S1"), having("A1 retired 0", "S1"), having("A4"),
	} {
		before := row.usableNames()
		next := apply(t, row, offer("", 5).with("A3 A2 A1"), 5)
		wantUsable(t, next, before)
		if next.SecretVersion != row.SecretVersion || next.LastOffer != row.LastOffer {
			t.Errorf("%s: got version %d, last offer %v; want nothing offered", before, next.SecretVersion, next.LastOffer)
		}
	}
}

func TestWithoutASecretASiteThatComesBackIsBoundToAllAppWideOnes(t *testing.T) {
	for _, row := range []*Installation{having("S1"), having("A1"), having("A2"), having("A1", "S1")} {
		gone := apply(t, row, uninstalled(5), 5)
		back := apply(t, gone, offer("", 6).with("A2 A1"), 6)
		wantUsable(t, back, "A1 A2")
		wantSecret(t, back, "A1", true)
		wantSecret(t, back, "A2", true)
		if back.State != Installed {
			t.Errorf("got %s, want it installed", back.State)
		}
		refused(t, gone, offer("", 6), 6, ReasonSecretMissing)
	}
}

func TestWithoutASecretASiteWhoseBindingWasRevokedIsBoundToTheNewestThatIsLeft(t *testing.T) {
	row := having("A2").revoking(3, "A2")
	wantUsable(t, apply(t, row, offer("", 5).with("A1"), 5), "A1")
	refused(t, row, offer("", 5), 5, ReasonSecretMissing)
}

func TestARevokedAppWideSecretIsRefusedWhoeverBringsIt(t *testing.T) {
	brought := offer("A2", 5).with("A1") // what is revoked is not among those that may verify
	brought.revoked = true
	for _, row := range []*Installation{nil, having("A1"), having("A2"), having("S1")} {
		refused(t, row, brought, 5, ReasonRevoked)
	}
	refused(t, having("A1", "A2 revoked 3"), offer("A2", 5).with("A2 A1"), 5, ReasonRevoked) // also if the revocation is gone
}

func TestABindingTakesItsPlaceInAFullRowAsAnyOtherSecret(t *testing.T) {
	full := having("S1", "S2", "S3", "S4", "S5", "S6", "S7", "A1")
	alive := full.Clone()
	alive.Activity.SeenAt = minute(4)
	refused(t, alive, offer("A2", 5).with("A2 A1"), 5, ReasonSecretsFull)
	wantUsable(t, apply(t, full, offer("A2", 5).with("A2 A1"), 5), "S2 S3 S4 S5 S6 S7 A1 A2")
	wantUsable(t, apply(t, alive, offer("A1", 5).with("A2 A1"), 5), "S1 S2 S3 S4 S5 S6 S7 A1")
	wantUsable(t, apply(t, alive, offer("", 5).with("A2 A1"), 5), "S1 S2 S3 S4 S5 S6 S7 A1")
}

// symmetricRow is having for a site that signs its callbacks itself.
func symmetricRow(entries ...string) *Installation {
	row := having(entries...)
	row.Signing = SignedHS256
	return row
}

func TestACallbackOfABoundSiteMayBeSignedWithAnyAppWideSecretThatItHasNotLeftBehind(t *testing.T) {
	for _, c := range []struct {
		rule   string
		row    *Installation
		signer string
		want   string // usable afterwards, or "" for a refusal
	}{
		{"its binding", symmetricRow("A1"), "A1", "A1 S9"},
		{"a newer one", symmetricRow("A1"), "A2", "A1 A2 S9"},
		{"an older one", symmetricRow("A2"), "A1", "A1 A2 S9"},
		{"left behind", symmetricRow("A1 retired 3", "A2"), "A1", ""},
		{"revoked", symmetricRow("A1 revoked 3", "A2"), "A1", ""},
		{"not configured", symmetricRow("A1"), "A4", ""},
		{"of a row that waits for another", symmetricRow("A1 revoked 3"), "A2", "A2 S9"},
		{"of a row with a secret of its own", symmetricRow("S1"), "A1", ""},
		{"of a row that settled on its own", symmetricRow("A1 retired 3", "S1"), "A2", ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			cb := offer("S9", 5).by(c.signer).with("A3 A2 A1")
			if c.want == "" {
				refused(t, c.row, cb, 5, ReasonBadSignature)
				return
			}
			wantUsable(t, apply(t, c.row, cb, 5), c.want)
		})
	}
	refused(t, having("A1"), offer("S9", 5).by("A1").with("A1"), 5, ReasonAlgorithm) // never below Atlassian's own signature
}

func TestTheAppWideSignerOfASymmetricCallbackIsEvidence(t *testing.T) {
	row := symmetricRow("A1", "A2")
	row.Run = Run{Fingerprint: fingerprint("A2"), StartedAt: minute(20), ArrivedAt: minute(20)}
	step, refusal := decide(row, offer("", 40).by("A2").with("A2 A1"), minute(40), settle)
	if refusal != nil {
		t.Fatal(refusal)
	}
	wantUsable(t, step.next, "A2")
	if !slices.Equal(step.retired, newestFirst("A1")) {
		t.Errorf("retired: got %v, want A1", step.retired)
	}
}

func TestAFirstInstallMaySignWithAnAppWideSecretWhereThatIsAccepted(t *testing.T) {
	for _, c := range []struct{ rule, brings, signer, want, bound string }{
		{"no secret: the one that signed, and not the newest", "", "A1", "A1", "A1"},
		{"no secret, signed with the newest", "", "A2", "A2", "A2"},
		{"the one that signed", "A2", "A2", "A2", "A2"},
		{"another app-wide one", "A2", "A1", "A1 A2", "A2"},
		{"one of its own", "S1", "A2", "A2 S1", "A2"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			row := apply(t, nil, offer(c.brings, 1).firstBy(c.signer, "A2 A1"), 1)
			wantUsable(t, row, c.want)
			wantSecret(t, row, c.bound, true)
			if row.Signing != SignedHS256 || row.SecretVersion != 1 || !row.LastOffer.Equal(minute(1)) {
				t.Errorf("got %s, version %d, last offer %v; want HS256, 1, minute 1", row.Signing, row.SecretVersion, row.LastOffer)
			}
		})
	}
}

// It has forgotten the secret that it offered, and signs the next first install as it signed this one.
func TestASiteThatDidNotSeeTheAnswerToItsFirstInstallCanInstallAgain(t *testing.T) {
	for _, brings := range []string{"", "A1", "A2", "S1"} {
		row := apply(t, nil, offer(brings, 1).firstBy("A2", "A2 A1"), 1)
		again := offer(brings, 2).firstBy("A2", "A2 A1")
		if brings == "S1" {
			again = offer("S2", 2).firstBy("A2", "A2 A1")
		}
		if row = apply(t, row, again, 2); row.State != Installed {
			t.Errorf("bringing %q: got %s, want it installed", brings, row.State)
		}
		if done, _ := decide(row, again, minute(3), settle); done.outcome != OutcomeUnchanged {
			t.Errorf("bringing %q: the same callback once more: got %s, want unchanged", brings, done.outcome)
		}
	}
}

func TestAFirstInstallSignedOtherwiseIsThatOfAnUnknownTenant(t *testing.T) {
	refused(t, nil, offer("A2", 1).by("A2").with("A2 A1"), 1, ReasonUnknownTenant) // it is not accepted here
	refused(t, nil, offer("A2", 1).firstBy("A2", "A1"), 1, ReasonUnknownTenant)    // not configured, or revoked
	refused(t, nil, offer("S1", 1).firstBy("S1", "A2 A1"), 1, ReasonUnknownTenant)
	for _, event := range []Event{EventUninstalled, EventEnabled, EventDisabled} {
		cb := offer("", 1).firstBy("A2", "A2 A1")
		cb.event = event
		refused(t, nil, cb, 1, ReasonUnknownTenant)
	}
}

func TestAnAppWideSecretInstallsNoTenantThatIsKnownAndNotBound(t *testing.T) {
	cb := offer("S9", 5).firstBy("A2", "A2 A1")
	refused(t, symmetricRow("S1"), cb, 5, ReasonBadSignature)
	refused(t, apply(t, symmetricRow("S1"), uninstalled(4).by("S1"), 4), cb, 5, ReasonBadSignature)
	refused(t, having("S1"), cb, 5, ReasonAlgorithm)
	refused(t, apply(t, having("S1"), uninstalled(4), 4), cb, 5, ReasonAlgorithm)
	unsigned := symmetricRow("S1")
	unsigned.Signing = Unsigned
	refused(t, unsigned, cb, 5, ReasonBadSignature)
}

func TestOffersOfOneAppWideSecretAgainAndAgainLeaveNoTrace(t *testing.T) {
	row := having("S1")
	for n := range 50 {
		row = apply(t, row, offer(fmt.Sprint("A", 1+n%2), n+1).with("A2 A1"), n+1)
	}
	wantUsable(t, row, "S1 A1 A2")
	if len(row.Secrets) != 3 {
		t.Errorf("got %d entries, want 3", len(row.Secrets))
	}
}
