package kills

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/gormstore"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
	"github.com/hostbond/hostbond/gormstore/integration/internal/process"
	"github.com/hostbond/hostbond/gormstore/integration/internal/runs"
	"gorm.io/gorm"
)

const (
	kills = 100 // on each database
	sites = 8   // that work at the same time
)

// The app is a copy of this program.
func TestMain(m *testing.M) {
	process.Main()
	m.Run()
}

func TestWhatWasAnsweredSurvivesEveryKillAndNoSiteIsLockedOut(t *testing.T) {
	for _, kind := range []databases.Kind{databases.SQLite, databases.PostgreSQL} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			l := newLife(t, databases.New(t, kind, ""))
			n := runs.Scaled(kills)
			for kill := range n {
				moment := l.kill(kill)
				l.restart()
				l.check(fmt.Sprintf("kill %d, %s", kill, moment))
			}
			l.end(n)
			runs.Documented(t, "kills", string(kind), n)
		})
	}
}

// life is that of an app that is killed and started again, and of its sites.
type life struct {
	t        *testing.T
	random   *rand.Rand
	database databases.Database
	keyHost  string
	clock    process.Clock // everybody's
	app      atomic.Pointer[process.Child]
	killed   *process.Child // the one before
	sites    []*site
	gone     []*site       // left behind by an import
	begun    chan struct{} // has a value when a callback was begun
	stages   stages
}

func newLife(t *testing.T, database databases.Database) *life {
	seed := runs.Seed(t)
	l := &life{
		t: t, random: rand.New(rand.NewPCG(seed, 0)), database: database,
		keyHost: process.KeyHost(t), begun: make(chan struct{}, 1),
	}
	l.open(func(store *gormstore.Store, _ *gorm.DB) error { return store.AutoMigrate(t.Context()) })
	for n := range uint64(sites) {
		s := process.NewSite(t, l, &l.clock, fmt.Sprint("site ", n, " of seed ", seed))
		l.sites = append(l.sites, newSite(s, rand.New(rand.NewPCG(seed, n+1))))
	}
	l.start()
	return l
}

// open opens the database for as long as f runs. It must be closed when the app is killed: with SQLite, whoever opens it
// next is the first, and has to make good what the kill has left.
func (l *life) open(f func(*gormstore.Store, *gorm.DB) error) {
	l.t.Helper()
	db, disconnect, err := l.database.Connect()
	if err != nil {
		l.t.Fatal(err)
	}
	store, err := gormstore.New(db, databases.Keyring())
	if err == nil {
		err = f(store, db)
	}
	if err := errors.Join(err, disconnect()); err != nil {
		l.t.Fatal(err)
	}
}

// RoundTrip sends what a site says to the app that is alive.
func (l *life) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost {
		select {
		case l.begun <- struct{}{}:
		default:
		}
	}
	return l.app.Load().RoundTrip(r)
}

func (l *life) start() {
	l.app.Store(process.Start(l.t, process.Config{Database: l.database, KeyHost: l.keyHost, Ahead: l.clock.Ahead()}))
}

// kill lets the sites work until the app is killed, and returns when that was.
func (l *life) kill(n int) (moment string) {
	l.t.Helper()
	app := l.app.Load()
	var wait func()
	if n%2 == 0 {
		fuse := moments[(9+n/2*3)%len(moments)] // so that even a few differ
		if needsFirstInstall(fuse) {
			l.importSome()
		}
		wait, moment = killAtStatement(l.t, app, fuse, l.random)
	} else {
		wait, moment = killAfterABeginning(app, l.begun, l.random)
	}
	select {
	case <-l.begun: // of an earlier life
	default:
	}
	var work sync.WaitGroup
	for _, s := range l.sites {
		work.Go(func() { s.work(l.t.Context(), app) })
	}
	wait()
	work.Wait()
	l.killed = app
	return moment
}

// importSome replaces two sites by what a site import makes of them: the app knows nothing of those yet.
func (l *life) importSome() {
	for _, n := range l.random.Perm(sites)[:2] {
		old := l.sites[n]
		l.gone = append(l.gone, old)
		l.sites[n] = newSite(old.Import(), old.random)
	}
}

// restart starts the app again, after a while by the clocks: the next second, longer than Settle, longer than a callback's
// token and its claim live, or longer than a site counts as alive.
func (l *life) restart() {
	whiles := []time.Duration{0, 0, time.Second, time.Second, 16 * time.Minute, 16 * time.Minute, 25 * time.Minute, 25 * time.Hour}
	l.clock.SetAhead(l.clock.Ahead() + whiles[l.random.IntN(len(whiles))])
	l.start()
}

// check checks, after a restart, that no promise was broken.
func (l *life) check(when string) {
	l.t.Helper()
	var visits sync.WaitGroup
	for _, s := range l.sites {
		visits.Go(func() {
			s.visit(l.t.Context())
			s.robbed(l.t.Context(), l.clock.Now())
		})
	}
	visits.Wait()
	all := slices.Concat(l.gone, l.sites)
	l.open(func(store *gormstore.Store, db *gorm.DB) error {
		rows, err := store.List(l.t.Context(), process.AppKey, "", 1+len(all))
		if err != nil {
			return err
		}
		byKey := map[string]*core.Installation{}
		for _, row := range rows {
			byKey[row.Key.ClientKey] = row
		}
		for _, s := range all {
			s.check(byKey[s.ClientKey()])
			for _, err := range s.broken {
				l.t.Errorf("%s: %v", when, err)
			}
		}
		return l.stages.count(db, l.sites)
	})
	if l.t.Failed() {
		l.t.Fatalf("the app that was killed:\n%s\nthe app that was started after it:\n%s",
			tail(l.killed.Output()), tail(l.app.Load().Output()))
	}
}

// end stops the app, lets the database check itself, and says what the kills have hit.
func (l *life) end(kills int) {
	l.t.Helper()
	if err := l.app.Load().Stop(); err != nil {
		l.t.Error(err)
	}
	if l.database.Kind == databases.SQLite {
		l.open(func(_ *gormstore.Store, db *gorm.DB) error {
			var verdict []string
			err := db.Raw("PRAGMA integrity_check").Scan(&verdict).Error
			if len(verdict) != 1 || verdict[0] != "ok" {
				l.t.Errorf("SQLite's integrity check: got %q, want ok", verdict)
			}
			return err
		})
	}
	accepted, unavailable := 0, 0
	for _, s := range slices.Concat(l.gone, l.sites) {
		accepted += s.accepted
		unavailable += s.unavailable
	}
	l.t.Logf("%d callbacks were accepted, %d were answered 503; %+v", accepted, unavailable, l.stages)
	if least := kills / 3; l.stages.hits < least {
		l.t.Errorf("%d of %d kills have hit a callback under way, want at least %d: else this shows nothing", l.stages.hits, kills, least)
	}
	if least := kills / 20; l.stages.claimed < least || l.stages.committed < least {
		l.t.Errorf("%d callbacks were cut off between claim and commit, and %d between commit and answer, want at least %d of each",
			l.stages.claimed, l.stages.committed, least)
	}
}

// tail returns the last lines of a log.
func tail(log string) string {
	lines := strings.Split(log, "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}
