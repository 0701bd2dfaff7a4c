package storetest

import (
	"time"

	"github.com/hostbond/hostbond/core"
)

var claimRules = []rule{
	{
		name:  "every field",
		text:  stated("Every field of a claim comes back as it was stored, its times in UTC."),
		check: claimEveryField,
	},
	{
		name:  "first stays",
		text:  stated("A second claim of an ID changes nothing, and is answered with the first one, the whole of it."),
		check: claimFirstStays,
	},
	{
		name:  "ids apart",
		text:  stated("Claims of different IDs, or of the same ID under different app keys, know nothing of each other."),
		check: claimIDsApart,
	},
	{
		name:  "one winner",
		text:  stated("Of many that claim an ID at once one is stored, and all are answered with it."),
		check: claimOneWinner,
	},
	{
		name:  "kept until it expires",
		text:  stated("A claim is not forgotten before it has expired by the At of another claim, however many come."),
		check: claimKept,
	},
	{
		name:  "expired",
		text:  stated("A claim of an expired ID is answered with the expired claim or the new one, which then stays."),
		check: claimExpired,
	},
}

// sampleClaim returns a claim of the trial's app that expires after 20 minutes.
func (t *trial) sampleClaim(id, body byte) core.Claim {
	return core.Claim{
		AppKey: t.app, ID: [32]byte{31: id}, Body: [32]byte{31: body}, At: noon, ExpiresAt: noon.Add(20 * time.Minute),
	}
}

func claimEveryField(t *trial) {
	var c core.Claim
	fill(&c, 1, time.FixedZone("west", -8*60*60))
	c.AppKey = t.app
	t.wantEqual("the answer to the first claim", t.claim(c), c)
	t.wantEqual("the answer to the second claim", t.claim(c), c)
}

func claimFirstStays(t *trial) {
	first := t.sampleClaim(1, 1)
	t.wantEqual("the first claim", t.claim(first), first)
	t.wantEqual("the same claim again", t.claim(first), first)

	later := first
	later.At, later.ExpiresAt = first.At.Add(time.Minute), first.ExpiresAt.Add(time.Minute)
	t.wantEqual("the answer to the same body, later", t.claim(later), first)

	other := later
	other.Body = [32]byte{0xff}
	t.wantEqual("the answer to another body", t.claim(other), first)
	t.wantEqual("the answer to the first body", t.claim(first), first)
}

func claimIDsApart(t *trial) {
	claims := []core.Claim{t.sampleClaim(1, 1), t.sampleClaim(2, 2), t.sampleClaim(1, 3), t.sampleClaim(1, 4)}
	claims[2].ID[0] = 1
	claims[3].AppKey += ".other"
	for range 2 {
		for _, c := range claims {
			t.wantEqual("a claim of an ID of its own", t.claim(c), c)
		}
	}
}

func claimOneWinner(t *trial) {
	for round := range rounds {
		var claims, stored [rivals]core.Claim
		var errs [rivals]error
		for rival := range claims {
			claims[rival] = t.sampleClaim(byte(round), byte(rival))
			claims[rival].At = noon.Add(time.Duration(rival) * time.Second)
		}
		together(rivals, func(rival int) {
			stored[rival], errs[rival] = t.store.Claim(t.Context(), claims[rival])
		})
		for rival, err := range errs {
			if err != nil {
				t.Fatalf("one of %d claims at once: got error %v, want none", rivals, err)
			}
			t.wantEqual("the answer to another rival", stored[rival], stored[0])
		}
		wantOneOf(t, "the winner", stored[0], claims[:])
		t.wantEqual("the claim, asked for again", t.claim(claims[rivals-1]), stored[0])
	}
}

func claimKept(t *trial) {
	short := t.sampleClaim(1, 1)
	long := t.sampleClaim(2, 2)
	long.ExpiresAt = noon.Add(time.Hour)
	t.claim(short)
	t.claim(long)

	// wantKept claims c at that time for another body, and something else just before.
	busy := byte(100)
	wantKept := func(c core.Claim, at time.Time) {
		t.Helper()
		busy++
		other := t.sampleClaim(busy, busy)
		other.At, other.ExpiresAt = at, at.Add(20*time.Minute)
		t.claim(other)

		thief := c
		thief.Body, thief.At, thief.ExpiresAt = [32]byte{0xff}, at, at.Add(20*time.Minute)
		t.wantEqual("an unexpired claim, "+at.Sub(noon).String()+" later", t.claim(thief), c)
	}
	wantKept(short, noon)
	wantKept(short, noon.Add(10*time.Minute))
	wantKept(short, short.ExpiresAt.Add(-time.Second))
	wantKept(short, short.ExpiresAt) // it has expired before a time only if that is later

	// By now the short one has expired. That is no reason to forget the long one.
	wantKept(long, noon.Add(40*time.Minute))
	wantKept(long, long.ExpiresAt)
}

func claimExpired(t *trial) {
	first := t.sampleClaim(1, 1)
	t.claim(first)

	second := t.sampleClaim(1, 2)
	second.At, second.ExpiresAt = first.ExpiresAt.Add(time.Second), first.ExpiresAt.Add(time.Hour)
	answer := t.claim(second)
	wantOneOf(t, "the answer to a claim of an expired ID", answer, []core.Claim{first, second})

	third := t.sampleClaim(1, 3)
	third.At, third.ExpiresAt = second.At.Add(time.Minute), second.ExpiresAt.Add(time.Hour)
	if answer == second {
		t.wantEqual("the claim that replaced the expired one", t.claim(third), second)
	}
}
