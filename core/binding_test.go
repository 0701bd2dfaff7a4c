package core

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The rules of binding.go. A1 to A4 are app-wide secrets, S1 and on are a site's own; rotation_test.go has the rest of the
// words. On a row, A1 is a binding.

// newestFirst returns the fingerprints of app-wide secrets as they are configured: "A2 A1" has A2 as the newest.
func newestFirst(names string) (list appWide) {
	for name := range strings.FieldsSeq(names) {
		list = append(list, fingerprint(name))
	}
	return list
}

// having returns an RS256 row with the secrets, the one offered last at the end: "A1 revoked 5" is a binding that was
// revoked at minute 5, "S1" a usable secret of the site's own.
func having(entries ...string) *Installation {
	row := &Installation{Key: Key{"app", "site"}, State: Installed, Signing: SignedRS256, SecretVersion: 1}
	for _, entry := range entries {
		name, rest, _ := strings.Cut(entry, " ")
		s := StoredSecret{Fingerprint: fingerprint(name), State: Usable, Bound: name[0] == 'A'}
		if !s.Bound && rest == "" {
			s.Value = secret(name)
		}
		if rest != "" {
			var at int
			if _, err := fmt.Sscanf(rest, "%s %d", &s.State, &at); err != nil {
				panic(err)
			}
			s.RetiredAt = minute(at)
		}
		row.Secrets = append(row.Secrets, s)
	}
	return row
}

// revoking revokes the secrets at the minute.
func (i *Installation) revoking(at int, names ...string) *Installation {
	i.revoke(func(s StoredSecret) bool {
		return slices.ContainsFunc(names, func(name string) bool { return s.Fingerprint == fingerprint(name) })
	}, minute(at))
	return i
}

// takes lets a token of the secret bind the row, as the recorder does, and weighs it.
func (i *Installation) takes(name, configured string, now int) *Installation {
	next := i.Clone()
	next.bind(fingerprint(name), newestFirst(configured), minute(now))
	next.weigh(evidence{fingerprint(name), minute(now)}, minute(now), settle)
	return next
}

func wantAccepted(t *testing.T, row *Installation, configured, want string) {
	t.Helper()
	var got []string
	for n := range 10 {
		for _, name := range []string{fmt.Sprint("A", n), fmt.Sprint("S", n)} {
			if row.accepts(fingerprint(name), newestFirst(configured)) {
				got = append(got, name)
			}
		}
	}
	if strings.Join(got, " ") != want {
		t.Errorf("verifies with %q, want %q", got, want)
	}
}

func TestARowIsBoundWhileItHasABindingThatItHasNotLeftBehind(t *testing.T) {
	for _, c := range []struct {
		rule string
		row  *Installation
		want bool
	}{
		{"no secret at all", having(), false},
		{"its own only", having("S1"), false},
		{"a binding only", having("A1"), true},
		{"its own after the binding: it may have gone back", having("A1", "S1"), true},
		{"the binding after its own", having("S1", "A1"), true},
		{"the binding is left behind", having("A1 retired 5", "S1"), false},
		{"the binding is revoked, and its own is left: it may have gone back", having("A1 revoked 5", "S1"), true},
		{"one binding of two is left", having("A1 revoked 5", "A2"), true},
		{"uninstalled", having("A1 retired 5"), false},
	} {
		if got := c.row.bound(newestFirst("A3 A2 A1")); got != c.want {
			t.Errorf("%s: got %t, want %t", c.rule, got, c.want)
		}
	}
}

// A site that may have signed with an app-wide secret when that was revoked may come with another app-wide one.
func TestARevokedBindingKeepsTheRowBoundUnlessItWasLeftBehind(t *testing.T) {
	for _, c := range []struct {
		rule string
		row  *Installation
		want bool
	}{
		{"its only secret", having("A1").revoking(5, "A1"), true},
		{"its only secret, and its own one", having("S1").revoking(5, "S1"), false},
		{"both at once, the binding was offered last", having("S1", "A1").revoking(5, "S1", "A1"), true},
		{"both at once, its own was offered last", having("A1", "S1").revoking(5, "S1", "A1"), true},
		{"the binding first, then its own", having("S1", "A1").revoking(4, "A1").revoking(5, "S1"), true},
		{"its own first, then the binding", having("A1", "S1").revoking(4, "S1").revoking(5, "A1"), true},
		{"its own, after it had left the binding behind", having("A1 retired 3", "S1").revoking(5, "S1"), false},
		{"its own, beside a younger binding that it never took up", having("S1", "A1 retired 3").revoking(5, "S1", "A1"), false},
		{"the binding, beside a younger secret that it never took up", having("A1", "S1 retired 3").revoking(5, "S1", "A1"), true},
		{"a binding that it had left behind already", having("A1 retired 3", "S1").revoking(4, "A1").revoking(5, "S1"), false},
	} {
		if got := c.row.bound(newestFirst("A3 A2 A1")); got != c.want {
			t.Errorf("%s: got %t, want %t", c.rule, got, c.want)
		}
	}
}

func TestAnUninstallEndsTheWaitForAnotherAppWideSecret(t *testing.T) {
	row := apply(t, having("A1").revoking(5, "A1"), uninstalled(6), 6)
	if row.bound(newestFirst("A3 A2 A1")) {
		t.Error("got a row that is bound though the app is not installed")
	}
	wantAccepted(t, row, "A2 A1", "")
}

// The next install of a symmetric site is signed with what it has.
func TestASymmetricRowStaysBoundWhenItIsUninstalled(t *testing.T) {
	row := having("A1")
	row.Signing = SignedHS256
	row = apply(t, row, uninstalled(5).by("A1"), 5)
	wantAccepted(t, row, "A2 A1", "A1 A2")
	waiting := row.Clone().revoking(6, "A1")
	wantAccepted(t, waiting, "A2 A1", "A2")
}

func TestABoundRowVerifiesWithEveryAppWideSecretThatItHasNotLeftBehind(t *testing.T) {
	for _, c := range []struct {
		rule       string
		row        *Installation
		configured string
		want       string
	}{
		{"one that is not configured verifies no less in the row", having("A1"), "", "A1"},
		{"all that are configured", having("A1"), "A3 A2 A1", "A1 A2 A3"},
		{"one that is not configured any more, and those that are", having("A1"), "A3 A2", "A1 A2 A3"},
		{"its own too", having("S1", "A1"), "A2 A1", "A1 S1 A2"},
		{"its own newest one too", having("A1", "S1"), "A2 A1", "A1 S1 A2"},
		{"not what it left behind", having("A1 retired 5", "A2"), "A3 A2 A1", "A2 A3"},
		{"not what was revoked", having("A1", "A2 revoked 5"), "A3 A2 A1", "A1 A3"},
		{"no app-wide one after its own has settled", having("A1 retired 5", "S1"), "A3 A2 A1", "S1"},
		{"no app-wide one if it was never bound", having("S1"), "A3 A2 A1", "S1"},
		{"none at all while nothing was ever offered", having(), "A3 A2 A1", ""},
		{"one that waits: the others", having("A1 revoked 5"), "A3 A2 A1", "A2 A3"},
		{"one that waits, and there is no other", having("A1 revoked 5"), "A1", ""},
	} {
		t.Run(c.rule, func(t *testing.T) { wantAccepted(t, c.row, c.configured, c.want) })
	}
}

func TestOpenAreThoseThatTheRowSaysNothingOfTheNewestFirst(t *testing.T) {
	configured := newestFirst("A4 A3 A2 A1")
	got := having("A1 retired 5", "A3").open(configured)
	if !slices.Equal(got, newestFirst("A4 A2")) {
		t.Errorf("got %v, want A4 and A2", got)
	}
	if !slices.Equal(configured, newestFirst("A4 A3 A2 A1")) {
		t.Errorf("what is configured was changed to %v: all rows share it", configured)
	}
}

func TestATokenBindsTheRowBehindOlderBindingsAndBeforeNewerOnes(t *testing.T) {
	for _, c := range []struct {
		rule       string
		row        *Installation
		name       string
		configured string
		want       string
	}{
		{"a newer one is the newest", having("A1"), "A2", "A2 A1", "A1 A2"},
		{"far newer", having("A1"), "A3", "A3 A2 A1", "A1 A3"},
		{"newer than both", having("A1", "A2"), "A3", "A3 A2 A1", "A1 A2 A3"},
		{"an older one is not", having("A2"), "A1", "A2 A1", "A1 A2"},
		{"older than both", having("A2", "A3"), "A1", "A3 A2 A1", "A1 A2 A3"},
		{"between the two", having("A1", "A3"), "A2", "A3 A2 A1", "A1 A2 A3"},
		{"its own, offered later, stays the newest", having("A1", "S1"), "A2", "A2 A1", "A1 A2 S1"},
		{"its own, offered before, stays the oldest", having("S1", "A1"), "A2", "A2 A1", "S1 A1 A2"},
		{"older, behind its own", having("S1", "A2"), "A1", "A2 A1", "S1 A1 A2"},
		{"between the two, before its own", having("A1", "S1", "A3"), "A2", "A3 A2 A1", "A1 A2 S1 A3"},
		{"one that is not configured here may be newer", having("A2"), "A1", "A1", "A1 A2"},
		{"not configured here, beside a newer one", having("A1", "A3"), "A2", "A3 A2", "A2 A1 A3"},
		// Atlassian has gone back from A3 to A1: a token of A2 is no reason to leave A1.
		{"newer than one binding, and not than the other", having("A3", "A1"), "A2", "A3 A2 A1", "A2 A3 A1"},
		{"what was left behind has no say", having("A1 retired 3", "S1", "A2"), "A3", "A3 A2 A1", "S1 A2 A3"},
		{"a newer one that was left behind has no say", having("A3 retired 3", "A1"), "A2", "A3 A2 A1", "A1 A2"},
		{"in place of one that was revoked", having("A1 revoked 5"), "A2", "A2 A1", "A2"},
		{"an older one in place of one that was revoked", having("A2 revoked 5"), "A1", "A2 A1", "A1"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			row := c.row.Clone()
			if !row.bind(fingerprint(c.name), newestFirst(c.configured), minute(10)) {
				t.Fatal("the token bound nothing")
			}
			wantUsable(t, row, c.want)
			bound := row.Secrets[row.find(fingerprint(c.name))]
			if !bound.Bound || bound.State != Usable || !bound.Value.IsZero() || !bound.OfferedAt.Equal(minute(10)) {
				t.Errorf("got %+v, want a usable binding of minute 10, without a value", bound)
			}
			if !row.UpdatedAt.Equal(minute(10)) {
				t.Errorf("updated at %v, want minute 10", row.UpdatedAt)
			}
			grown := int64(0)
			if c.row.Newest() != row.Newest() {
				grown = 1
			}
			if got := row.SecretVersion - c.row.SecretVersion; got != grown {
				t.Errorf("the secret version grew by %d, want %d: %s was the newest, and %s is",
					got, grown, c.row.Newest().Short(), row.Newest().Short())
			}
		})
	}
}

func TestATokenBindsNoRowToWhatItDoesNotVerifyWithOrHasAlready(t *testing.T) {
	for _, c := range []struct {
		rule string
		row  *Installation
		name string
	}{
		{"bound to it already", having("A1"), "A1"},
		{"left behind", having("A1 retired 5", "A2"), "A1"},
		{"revoked", having("A1 revoked 5", "A2"), "A1"},
		{"a row that is not bound", having("S1"), "A1"},
		{"its own secret", having("S1", "A2"), "S1"},
		{"not configured", having("A1"), "A4"},
		{"no secret", having("A1"), "S9"},
	} {
		row := c.row.Clone()
		if row.bind(fingerprint(c.name), newestFirst("A3 A2 A1"), minute(10)) {
			t.Errorf("%s: the token was written down", c.rule)
		}
		if got, want := fmt.Sprint(*row), fmt.Sprint(*c.row); got != want {
			t.Errorf("%s: the row was changed from %s to %s", c.rule, want, got)
		}
	}
}

// Another site of the same fleet may be moved back, and its callback may have failed: so a binding is like an offer.
func TestATokenThatMakesABindingTheNewestIsLikeAnOffer(t *testing.T) {
	row := having("A1").takes("A1", "A2 A1", 20)
	if row.Run.Fingerprint != fingerprint("A1") {
		t.Fatal("no run to end")
	}
	row = row.takes("A2", "A2 A1", 30)
	if row.Run != (Run{}) || !row.LastOffer.Equal(minute(30)) {
		t.Errorf("got a run of %s and the last offer at %v, want none, and minute 30", row.Run.Fingerprint.Short(), row.LastOffer)
	}
	if row.Proven != fingerprint("A1") {
		t.Error("what the run of A1 had proved is forgotten")
	}
	// Whoever has the newer secret can make such tokens, and the site may be asleep.
	const week = 7 * 24 * 60
	later := row.takes("A2", "A2 A1", 46).takes("A2", "A2 A1", 45+week)
	wantUsable(t, later, "A1 A2")
	later = later.takes("A2", "A2 A1", 46+week)
	wantUsable(t, later, "A2")
}

func TestACallbackThatBringsWhatTokensHaveShownNeedsNoWeek(t *testing.T) {
	row := having("A1").takes("A2", "A2 A1", 20)
	row = apply(t, row, offer("A2", 30).with("A2 A1"), 30)
	row = row.takes("A2", "A2 A1", 46).takes("A2", "A2 A1", 62)
	wantUsable(t, row, "A2")
}

// The callback never reached the app, which has seen one page of it only, and the site goes back.
func TestASiteThatGoesBackAfterAPageOfAnotherAppWideSecretIsNotContested(t *testing.T) {
	row := having("A1").takes("A1", "A2 A1", 20).takes("A2", "A2 A1", 30)
	for at := 31; at < 90; at += 10 {
		row = row.takes("A1", "A2 A1", at)
	}
	if row.Contested {
		t.Error("contested: there was no thief")
	}
	wantUsable(t, row, "A1 A2")
}

func TestATokenOfAnOlderAppWideSecretLeavesTheRunAsItIs(t *testing.T) {
	row := having("A2")
	row.Run = Run{Fingerprint: fingerprint("A2"), StartedAt: minute(20), ArrivedAt: minute(20)}
	before := *row
	row.bind(fingerprint("A1"), newestFirst("A2 A1"), minute(30))
	if row.Run != before.Run || !row.LastOffer.Equal(before.LastOffer) || row.SecretVersion != before.SecretVersion {
		t.Errorf("got run %+v, last offer %v, version %d; want them as they were", row.Run, row.LastOffer, row.SecretVersion)
	}
}

// An own secret and bindings are proved and left behind alike.
func TestASiteThatHasSettledOnItsOwnSecretVerifiesWithNoAppWideOne(t *testing.T) {
	row := apply(t, having("A1"), offer("S1", 1), 1)
	wantAccepted(t, row, "A2 A1", "A1 S1 A2")
	row = row.sees("S1", 20, 20).sees("S1", 35, 35)
	wantAccepted(t, row, "A2 A1", "S1")
}

func TestASiteThatWentBackToAnAppWideSecretKeepsItThoughItsOwnIsNewer(t *testing.T) {
	row := apply(t, having("A1"), offer("S1", 1), 1)
	row = row.takes("A1", "A2 A1", 20).takes("A1", "A2 A1", 36)
	wantAccepted(t, row, "A2 A1", "A1 S1 A2")
	const month = 31 * 24 * 60
	row = row.takes("A1", "A2 A1", month)
	wantAccepted(t, row, "A2 A1", "A1 A2")
}

func TestABoundSiteMovesThroughThreeAppWideSecretsByTokensAlone(t *testing.T) {
	row, at := having("A1"), 0
	for _, c := range []struct{ name, configured, want string }{
		{"A1", "A2 A1", "A1"}, {"A2", "A2 A1", "A2"}, {"A3", "A3 A2", "A3"},
	} {
		for range 9 {
			at += 24 * 60
			row = row.takes(c.name, c.configured, at)
		}
		wantUsable(t, row, c.want)
	}
	if row.SecretVersion != 3 || row.Contested {
		t.Errorf("got version %d, contested %t; want 3, one for each secret, and no contest", row.SecretVersion, row.Contested)
	}
}

// It makes no more work than before: the row verified with that secret already.
func TestAFullRowIsBoundByATokenAllTheSame(t *testing.T) {
	row := having("A1", "S1", "S2", "S3", "S4", "S5", "S6", "S7").takes("A2", "A3 A2 A1", 20).takes("A3", "A3 A2 A1", 20)
	wantUsable(t, row, "A1 A2 A3 S1 S2 S3 S4 S5 S6 S7")
	for n := 8; n < 20; n++ {
		row = apply(t, row, offer(fmt.Sprint("S", n), n+20), n+20)
		if got := row.usable(); got > maxUsable+MaxAppSecrets-1 {
			t.Errorf("the row grew to %d usable secrets, want at most %d", got, maxUsable+MaxAppSecrets-1)
		}
	}
}

func TestACopyOfAnAppWideSecretThatWasLeftBehindIsNotForgotten(t *testing.T) {
	row := having("A1 retired 5", "A2")
	row.Secrets[0].Bound = false // it was stored before it was configured
	kept := row.keepLeftBehind(newestFirst("A2 A1"))
	if forgotten := kept.forgetRetired(minute(100)); forgotten != 0 {
		t.Errorf("%d secrets forgotten, want none: A1 would verify again", forgotten)
	}
	wantAccepted(t, kept, "A2 A1", "A2")
	if row.keepLeftBehind(newestFirst("A2")) != row {
		t.Error("nothing of it is configured, and yet the row was copied")
	}
}

func TestAVersionGrowsByOneForACallbackHoweverManySecretsItShows(t *testing.T) {
	row := having("S1", "A1")
	row.Signing = SignedHS256
	next := apply(t, row, offer("A1", 5).with("A2 A1").by("A2"), 5)
	if next.Newest() != row.Newest() || next.SecretVersion != row.SecretVersion {
		t.Errorf("got version %d and the newest %s, want both as they were", next.SecretVersion, next.Newest().Short())
	}
}
