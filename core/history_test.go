package core

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// Random lives of one site and its row, on the rules alone. The site swaps its secret before it calls, keeps the new one
// only on a yes that it has seen, and goes back otherwise. Calls and answers get lost, callbacks are replayed, and page
// tokens arrive late and in any order. Whenever the site is outside a callback, its secret must verify.

// site is the site's side, and what is under way between it and the app.
type site struct {
	random  *rand.Rand
	now     time.Time
	appWide bool // the same secret is offered each time, and no call gets lost: see the limits in the package comment

	row        *Installation
	live, kept string // the secret it signs with, and the one it goes back to
	began      time.Time
	calling    bool
	call       *callback // not yet arrived
	yes        bool
	past       []callback
	pages      []page
	offers     int
	story      []string
}

type page struct {
	secret string
	made   time.Time
}

func (s *site) tell(format string, args ...any) {
	s.story = append(s.story, s.now.Format("02 15:04:05 ")+fmt.Sprintf(format, args...))
}

// step lets one thing happen.
func (s *site) step(settle time.Duration) {
	switch s.random.IntN(7) {
	case 0: // Time goes by; a callback is over within ten seconds.
		pause := time.Duration(1+s.random.IntN(5)) * time.Second
		if !s.calling {
			pause = []time.Duration{pause, 7 * time.Minute, 16 * time.Minute, 5 * time.Hour}[s.random.IntN(4)]
		} else if s.now.Add(pause).Sub(s.began) > 10*time.Second {
			return
		}
		s.now = s.now.Add(pause)
	case 1:
		if !s.calling {
			s.swap()
		}
	case 2:
		if s.call != nil {
			s.arrive(*s.call, settle)
			s.call = nil
		}
	case 3:
		if s.calling {
			s.hangUp()
		}
	case 4:
		s.pages = append(s.pages, page{s.live, s.now})
		s.tell("a page is made with %s", s.live)
	case 5:
		if len(s.pages) > 0 {
			n := s.random.IntN(len(s.pages))
			s.open(s.pages[n], settle)
			s.pages = slices.Delete(s.pages, n, n+1)
		}
	case 6:
		if len(s.past) > 0 {
			s.replay(s.past[s.random.IntN(len(s.past))], settle)
		}
	}
}

// swap takes a new secret into use and calls the app.
func (s *site) swap() {
	s.offers++
	next := fmt.Sprint("S", s.offers)
	if s.appWide {
		next = "S1"
	}
	s.kept, s.live = s.live, next
	s.calling, s.began, s.yes = true, s.now, false
	s.call = &callback{
		event: EventInstalled, signing: SignedRS256, issuedAt: s.now, claim: [32]byte{byte(s.offers), byte(s.offers >> 8)},
		key: Key{"app", "site"}, site: Site{BaseURL: "https://acme.atlassian.net"}, secret: secret(next),
	}
	s.tell("the site swaps to %s and calls", next)
}

func (s *site) arrive(cb callback, settle time.Duration) {
	step, refusal := decide(s.row, cb, s.now, settle)
	s.past = append(s.past, cb)
	if refusal != nil {
		s.tell("the app refuses: %v", refusal)
		return
	}
	s.yes = true
	if step.next != nil {
		s.row = step.next
	}
	s.tell("the app accepts %s: usable %s", s.live, s.row.usableNames())
}

// hangUp ends the callback: with the answer if there is one and it is not lost.
func (s *site) hangUp() {
	if s.call != nil && s.appWide {
		return
	}
	if s.yes && s.random.IntN(2) == 0 {
		s.tell("the site keeps %s", s.live)
	} else {
		s.live = s.kept
		s.tell("the site goes back to %s", s.live)
	}
	s.calling, s.call = false, nil
}

// open lets the token of a page reach the app.
func (s *site) open(p page, settle time.Duration) {
	if i := s.row.find(fingerprint(p.secret)); i < 0 || s.row.Secrets[i].State != Usable {
		return
	}
	next := s.row.Clone()
	retired := next.weigh(evidence{fingerprint(p.secret), p.made}, s.now, settle)
	if s.now.Sub(next.Activity.SeenAt) >= seenEvery {
		next.Activity.SeenAt = s.now
	}
	s.row = next
	s.tell("a page of %s, made at %s, opens: %d retired", p.secret, p.made.Format("02 15:04:05"), len(retired))
}

// replay sends a callback again, as a thief may. It must not change the row.
func (s *site) replay(cb callback, settle time.Duration) {
	if step, _ := decide(s.row, cb, s.now, settle); step.next != nil {
		s.tell("REPLAYED: a callback of %s was applied again", cb.issuedAt.Format("02 15:04:05"))
		s.live = "nothing, after a replay"
	}
}

// lockedOut lives the history of a seed and returns its story if the site was locked out.
func lockedOut(seed uint64, appWide bool, settle time.Duration) []string {
	s := &site{random: rand.New(rand.NewPCG(seed, 1)), now: minute(0), live: "S0", appWide: appWide}
	s.row = &Installation{
		Key: Key{"app", "site"}, State: Installed, Signing: SignedRS256,
		Secrets: []StoredSecret{{Fingerprint: fingerprint("S0"), State: Usable, Value: secret("S0")}},
	}
	for range 120 {
		before := s.row.Watermark
		s.step(settle)
		i := s.row.find(fingerprint(s.live))
		if !s.calling && (i < 0 || s.row.Secrets[i].State != Usable) {
			return append(s.story, "LOCKED OUT: the site signs with "+s.live)
		}
		if s.row.Watermark.Before(before) || s.row.usable() > maxUsable {
			return append(s.story, "the watermark went back, or there are too many secrets")
		}
	}
	return nil
}

// Fixed seeds: what is found once is found always.
const histories = 3000

func TestNoHistoryLocksASiteOut(t *testing.T) {
	t.Parallel()
	for name, appWide := range map[string]bool{"fresh secrets, calls and answers lost": false, "one secret offered again, answers lost": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(histories) {
				if story := lockedOut(seed, appWide, settle); story != nil {
					t.Fatalf("seed %d:\n%s", seed, strings.Join(story, "\n"))
				}
			}
		})
	}
}

// A run that settles at once is one of the simpler rules that lock sites out. The histories must notice.
func TestHistoriesNoticeARuleThatIsTooSimple(t *testing.T) {
	t.Parallel()
	for seed := range uint64(histories) {
		if lockedOut(seed, false, 0) != nil {
			return
		}
	}
	t.Errorf("%d histories without Settle locked nobody out", histories)
}
