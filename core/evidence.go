package core

import "time"

const (
	// contestedSettle is how long a run must be when secrets are in use side by side: a thief needs no more than a
	// quiet quarter of an hour for a run of Settle, and hardly finds a quiet week.
	contestedSettle = 7 * 24 * time.Hour
	// abandonAfter is how long a run must be to end the use of younger secrets, which the site did not adopt.
	abandonAfter = 30 * 24 * time.Hour
)

// evidence is a verified token, or what is as good as one.
type evidence struct {
	fingerprint Fingerprint
	issuedAt    time.Time
}

// verdict is what evidence says about a row.
type verdict int

const (
	provesNothing verdict = iota
	startsRun             // the first token made well after the last offer
	takesRunOver          // another secret, and a token not before the run's start
	settlesRun            // the run is long enough: secrets that the site left behind can go
)

// judge is weigh without the writing, so that a request can ask it of a cached row. It returns provesNothing for
// evidence that would leave the row as it is.
//
// One token is not enough, however late: it may have been made inside a callback that failed after all. Two, made and
// arrived Settle apart with no offer between, cannot both be.
func (i *Installation) judge(e evidence, now time.Time, settle time.Duration) verdict {
	index := i.find(e.fingerprint)
	if i.State != Installed || index < 0 || i.Secrets[index].State != Usable {
		return provesNothing
	}
	made := earlier(e.issuedAt, now)
	switch {
	case made.Before(i.LastOffer.Add(settle)):
		return provesNothing
	case i.Run.Fingerprint == "":
		return startsRun
	case i.Run.Fingerprint != e.fingerprint:
		if made.Before(i.Run.StartedAt) {
			return provesNothing
		}
		return takesRunOver
	}
	length := settle
	if i.Contested || i.Secrets[index].Unoffered {
		length = max(settle, contestedSettle)
	}
	if made.Before(i.Run.StartedAt.Add(length)) || now.Before(i.Run.ArrivedAt.Add(length)) {
		return provesNothing
	}
	for n, s := range i.Secrets {
		if i.Contested || i.leftBehind(s, n, index, now) {
			return settlesRun
		}
	}
	return provesNothing
}

// weigh lets evidence change the row, and returns the secrets that it retired.
func (i *Installation) weigh(e evidence, now time.Time, settle time.Duration) (retired []Fingerprint) {
	verdict := i.judge(e, now, settle)
	switch verdict {
	case provesNothing:
		return nil
	case startsRun, takesRunOver:
		i.Run = Run{Fingerprint: e.fingerprint, StartedAt: earlier(e.issuedAt, now), ArrivedAt: now}
		i.Proven = e.fingerprint
		// Nobody offered a secret, and yet the site signs with another: it was restored, or a secret has leaked.
		i.Contested = i.Contested || verdict == takesRunOver
	case settlesRun:
		kept, newest := i.find(e.fingerprint), i.Newest()
		i.Secrets[kept].Unoffered = false // the week has shown it
		left := func(n int, s StoredSecret) bool { return i.leftBehind(s, n, kept, now) }
		dropped := i.leave(kept, left)
		retired = append(i.retire(now, left), dropped...)
		if i.Contested {
			// From here on it is sure, and not for the time before.
			i.Contested, i.Run.StartedAt, i.Run.ArrivedAt = false, earlier(e.issuedAt, now), now
		}
		if i.Newest() != newest {
			i.SecretVersion++
		}
	}
	i.UpdatedAt = now
	return retired
}

// leftBehind tells whether a settled run of the secret at index kept ends the use of s at index n: at once if s was
// offered before, and after 30 days of it if s was offered later and not adopted. Of a contested run the latter is not
// sure.
func (i *Installation) leftBehind(s StoredSecret, n, kept int, now time.Time) bool {
	if s.State != Usable && !(s.State == Revoked && s.Bound) {
		return false
	}
	return n < kept || n > kept && !i.Contested && !now.Before(i.Run.ArrivedAt.Add(abandonAfter))
}
