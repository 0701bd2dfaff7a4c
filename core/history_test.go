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

// life is what the site is offered, and by whom it is heard.
type life struct {
	name     string
	offers   func(n int, random *rand.Rand) string // the secret of the n-th callback
	callLost bool                                  // never where a secret comes again: see the limits in the package comment
	replicas []appWide                             // the app-wide secrets of each; the first one has all
}

func fresh(n int, _ *rand.Rand) string { return fmt.Sprint("S", n) }

var lives = []life{
	{"fresh secrets, calls and answers lost", fresh, true, []appWide{nil}},
	{"one secret offered again, answers lost", func(int, *rand.Rand) string { return "S1" }, false, []appWide{nil}},
	{"two app-wide secrets", func(_ int, random *rand.Rand) string {
		return fmt.Sprint("A", 1+random.IntN(2))
	}, false, []appWide{newestFirst("A2 A1")}},
	{"two app-wide secrets, one of them on one replica only, and its own", func(n int, random *rand.Rand) string {
		return []string{"A1", "A2", fresh(n, nil)}[random.IntN(3)]
	}, false, []appWide{newestFirst("A2 A1"), newestFirst("A1")}},
}

// site is the site's side, and what is under way between it and the app.
type site struct {
	life
	random *rand.Rand
	now    time.Time

	row        *Installation
	live, kept string // the secret it signs with, and the one it goes back to
	began      time.Time
	calling    bool
	call       *callback // not yet arrived
	yes        bool
	past       []callback
	pages      []page
	calls      int
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
	s.calls++
	next := s.offers(s.calls, s.random)
	s.kept, s.live = s.live, next
	s.calling, s.began, s.yes = true, s.now, false
	s.call = &callback{
		event: EventInstalled, signing: SignedRS256, issuedAt: s.now, claim: [32]byte{byte(s.calls), byte(s.calls >> 8)},
		key: Key{"app", "site"}, site: Site{BaseURL: "https://acme.atlassian.net"}, secret: secret(next),
	}
	s.tell("the site swaps to %s and calls", next)
}

// replica returns the app-wide secrets of the replica that is reached.
func (s *site) replica() appWide {
	return s.replicas[s.random.IntN(len(s.replicas))]
}

func (s *site) arrive(cb callback, settle time.Duration) {
	cb.appWide = s.replica()
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
	if s.call != nil && !s.callLost {
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
	configured := s.replica()
	i := s.row.find(fingerprint(p.secret))
	missing := i >= 0 && s.row.Secrets[i].Bound && !slices.Contains(configured, fingerprint(p.secret))
	if missing || !s.row.accepts(fingerprint(p.secret), configured) {
		return
	}
	next := s.row.Clone()
	next.bind(fingerprint(p.secret), configured, s.now)
	retired := next.weigh(evidence{fingerprint(p.secret), p.made}, s.now, settle)
	if s.now.Sub(next.Activity.SeenAt) >= seenEvery {
		next.Activity.SeenAt = s.now
	}
	s.row = next
	s.tell("a page of %s, made at %s, opens: %d retired", p.secret, p.made.Format("02 15:04:05"), len(retired))
}

// replay sends a callback again, as a thief may. It must not change the row.
func (s *site) replay(cb callback, settle time.Duration) {
	cb.appWide = s.replica()
	if step, _ := decide(s.row, cb, s.now, settle); step.next != nil {
		s.tell("REPLAYED: a callback of %s was applied again", cb.issuedAt.Format("02 15:04:05"))
		s.live = "nothing, after a replay"
	}
}

// lockedOut lives the history of a seed and returns its story if the site was locked out.
func lockedOut(seed uint64, life life, settle time.Duration) []string {
	s := &site{life: life, random: rand.New(rand.NewPCG(seed, 1)), now: minute(0), live: "S0"}
	s.row = &Installation{
		Key: Key{"app", "site"}, State: Installed, Signing: SignedRS256,
		Secrets: []StoredSecret{{Fingerprint: fingerprint("S0"), State: Usable, Value: secret("S0")}},
	}
	for range 120 {
		before := s.row.Watermark
		s.step(settle)
		if !s.calling && !s.row.accepts(fingerprint(s.live), s.replicas[0]) {
			return append(s.story, "LOCKED OUT: the site signs with "+s.live)
		}
		room := maxUsable + max(0, len(s.replicas[0])-1) // a token binds a full row too
		if s.row.Watermark.Before(before) || s.row.usable() > room {
			return append(s.story, "the watermark went back, or there are too many secrets")
		}
	}
	return nil
}

// Fixed seeds: what is found once is found always.
const histories = 3000

func TestNoHistoryLocksASiteOut(t *testing.T) {
	t.Parallel()
	for _, life := range lives {
		t.Run(life.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(histories) {
				if story := lockedOut(seed, life, settle); story != nil {
					t.Fatalf("seed %d:\n%s", seed, strings.Join(story, "\n"))
				}
			}
		})
	}
}

// A run that settles at once is one of the simpler rules that lock sites out. The histories must notice.
func TestHistoriesNoticeARuleThatIsTooSimple(t *testing.T) {
	t.Parallel()
	for _, life := range []life{lives[0], lives[len(lives)-1]} {
		noticed := false
		for seed := uint64(0); seed < histories && !noticed; seed++ {
			noticed = lockedOut(seed, life, 0) != nil
		}
		if !noticed {
			t.Errorf("%s: %d histories without Settle locked nobody out", life.name, histories)
		}
	}
}
