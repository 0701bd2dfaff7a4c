package core

import "testing"

// Evidence: which secret a site has shown to have kept. See rotation_test.go for the words of these tests.

func TestRule2ARunStartsSettleAfterTheLastOffer(t *testing.T) {
	row := offered(t, "S1", "S2") // the last offer is at minute 2
	if got := row.sees("S2", 16, 16).Run; got != (Run{}) {
		t.Errorf("a token made 14 minutes after the offer started a run: %+v", got)
	}
	want := Run{Fingerprint: fingerprint("S2"), StartedAt: minute(17), ArrivedAt: minute(30)}
	if got := row.sees("S2", 17, 30).Run; got != want {
		t.Errorf("run: got %+v, want %+v", got, want)
	}
}

func TestRule2ARunSettlesAndRetiresWhatWasOfferedBefore(t *testing.T) {
	running := offered(t, "S1", "S2", "S3").sees("S2", 20, 21)
	for _, c := range []struct {
		name      string
		made, now int
		want      string
	}{
		{"made too early", 34, 60, "S1 S2 S3"},
		{"arrived too early", 36, 35, "S1 S2 S3"},
		{"long enough", 35, 36, "S2 S3"},
	} {
		t.Run(c.name, func(t *testing.T) { wantUsable(t, running.sees("S2", c.made, c.now), c.want) })
	}
}

func TestRule2ARetiredSecretIsErasedAndItsFingerprintStays(t *testing.T) {
	row := offered(t, "S1", "S2").sees("S2", 20, 20).sees("S2", 35, 35)
	old := row.Secrets[0]
	if old.Fingerprint != fingerprint("S1") || old.State != Retired || !old.RetiredAt.Equal(minute(35)) {
		t.Errorf("got %+v, want S1 retired at minute 35", old)
	}
	if !old.Value.IsZero() || old.Sealed != nil {
		t.Error("the retired secret was kept")
	}
}

func TestRule2AnotherSecretTakesTheRunOverAndTheRowIsContested(t *testing.T) {
	row := offered(t, "S1", "S2").sees("S2", 20, 20)
	if got := row.sees("S1", 19, 25); got.Run.Fingerprint != fingerprint("S2") {
		t.Error("a token made before the run's start took it over")
	}
	row = row.sees("S1", 20, 25)
	if row.Run.Fingerprint != fingerprint("S1") || !row.Run.StartedAt.Equal(minute(20)) || !row.Run.ArrivedAt.Equal(minute(25)) {
		t.Errorf("run: got %+v, want one of S1 from minute 20, arrived at 25", row.Run)
	}
	if !row.Contested {
		t.Error("the run changed hands and nobody is told")
	}
	if row = apply(t, row, offer("S3", 26), 26); !row.Contested || row.Run != (Run{}) {
		t.Error("an offer ended the contest, and whoever has S1 needs no quiet week any more")
	}
}

func TestRule2AContestedRunNeedsAWeek(t *testing.T) {
	const day = 24 * 60
	row := offered(t, "S1", "S2").sees("S1", 20, 20).sees("S2", 21, 21)
	for quiet := 22; quiet < 7*day; quiet += day { // a thief with S2, while the site sleeps
		row = row.sees("S2", quiet, quiet)
	}
	wantUsable(t, row, "S1 S2")
	row = row.sees("S2", 7*day+21, 7*day+21)
	wantUsable(t, row, "S2")
	if row.Contested {
		t.Error("the row is settled and still contested")
	}
}

func TestRule2AContestedRunRetiresNoYoungerSecret(t *testing.T) {
	const day = 24 * 60
	row := offered(t, "S1", "S2").sees("S2", 20, 20).sees("S1", 21, 21) // a thief with the old one
	row = row.sees("S1", 31*day, 31*day)
	wantUsable(t, row, "S1 S2")
	row = row.sees("S1", 61*day-1, 61*day-1) // the contest is over, and the thirty days begin
	wantUsable(t, row, "S1 S2")
	row = row.sees("S1", 61*day, 61*day)
	wantUsable(t, row, "S1")
	if row.SecretVersion != 3 {
		t.Errorf("secret version: got %d, want 3, since S1 has become the newest", row.SecretVersion)
	}
}

func TestRule2YoungerSecretsStayForThirtyDaysOfTheRun(t *testing.T) {
	const day = 24 * 60
	row := offered(t, "S1", "S2").sees("S1", 20, 20) // the site went back to S1
	row = row.sees("S1", 30*day+19, 30*day+19)
	wantUsable(t, row, "S1 S2")
	row = row.sees("S1", 30*day+20, 30*day+20)
	wantUsable(t, row, "S1")
}

func TestRule2ATokenFromTheFutureCountsAsMadeNow(t *testing.T) {
	row := offered(t, "S1", "S2").sees("S2", 18, 17)
	if !row.Run.StartedAt.Equal(minute(17)) {
		t.Errorf("run started at %v, want minute 17, when the token arrived", row.Run.StartedAt)
	}
}

func TestRule2EvidenceOfARetiredOrUnknownSecretProvesNothing(t *testing.T) {
	settled := offered(t, "S1", "S2").sees("S2", 20, 20).sees("S2", 35, 35)
	for _, name := range []string{"S1", "S9"} {
		if got := settled.judge(evidence{fingerprint(name), minute(60)}, minute(60), settle); got != provesNothing {
			t.Errorf("%s: got verdict %d, want none", name, got)
		}
	}
}

func TestRule2ASettledRowNeedsNoMoreWrites(t *testing.T) {
	settled := offered(t, "S1", "S2").sees("S2", 20, 20).sees("S2", 35, 35)
	if got := settled.judge(evidence{fingerprint("S2"), minute(90)}, minute(90), settle); got != provesNothing {
		t.Errorf("got verdict %d, want none", got)
	}
}

func TestRule2TheSignerOfASymmetricCallbackIsEvidence(t *testing.T) {
	row := offered(t, "S1", "S2")
	row.Signing = SignedHS256
	row = row.sees("S2", 20, 20)
	row = apply(t, row, offer("S3", 40).by("S2"), 40)
	wantUsable(t, row, "S2 S3")
}

// The sites of the four histories below were locked out by simpler rules than a run.
func TestNoSingleTokenRetiresASecret(t *testing.T) {
	for _, c := range []struct {
		name      string
		made, now int
	}{
		{"made inside the callback that failed", 2, 3},
		{"made inside it and arrived hours later", 2, 600},
		{"made well after the offer", 100, 100},
		{"forged by a thief with the newest secret", 600, 600},
	} {
		t.Run(c.name, func(t *testing.T) { wantUsable(t, offered(t, "S1", "S2").sees("S2", c.made, c.now), "S1 S2") })
	}
}
