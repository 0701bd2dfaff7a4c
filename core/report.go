package core

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// ReportOptions say what a report is to show. The zero value is useful.
type ReportOptions struct {
	// Target is what the sites are to move to. Default: TargetAppWide if Config.AppSecrets is set, else TargetOwn.
	Target Target

	// ActiveWithin is how long after its last sign of life a site counts as active. Not negative. Default: 30 days.
	ActiveWithin time.Duration

	// Development says which sites nobody works on, so that they are left out of the count that matters. Default: what
	// the base URL gives away, which is "-sandbox-" in the first part of the host, as Atlassian names a sandbox unless
	// the customer chose another name, and hosts under jira-dev.com. A developer's own site has a base URL like any other.
	Development func(Site) bool

	// Stragglers is how many of them a report lists. Negative: none. Default: 100.
	Stragglers int
}

const (
	defaultActiveWithin = 30 * 24 * time.Hour
	defaultStragglers   = 100
)

// withDefaults returns the options with every default filled in, or what is wrong with them.
func (o ReportOptions) withDefaults(source SecretSource) (ReportOptions, error) {
	target := TargetOwn
	if source != nil {
		target = TargetAppWide
	}
	setDefault(&o.Target, target)
	setDefault(&o.ActiveWithin, defaultActiveWithin)
	setDefault(&o.Stragglers, defaultStragglers)
	if o.Development == nil {
		o.Development = looksLikeDevelopment
	}
	switch {
	case o.Target != TargetAppWide && o.Target != TargetOwn:
		return o, fmt.Errorf("hostbond: report: there is no target %q", o.Target)
	case o.Target == TargetAppWide && source == nil:
		return o, fmt.Errorf("%w: none is configured to move to", ErrAppSecrets)
	case o.ActiveWithin < 0:
		return o, errors.New("hostbond: report: ActiveWithin is negative")
	}
	return o, nil
}

// Tally counts installations.
type Tally struct {
	Total    int `json:"total"`
	OnTarget int `json:"onTarget"`
}

func (t *Tally) add(onTarget bool) {
	t.Total++
	if onTarget {
		t.OnTarget++
	}
}

// Need counts the installations that have a usable binding to an app-wide secret.
type Need struct {
	Live  int `json:"live"`
	Other int `json:"other"` // idle, say, or uninstalled with callbacks that are still signed with it
}

// Trouble counts installed sites, live or not, that show signs of trouble. A site may show several. Of a site that is
// locked out, the signs stay while it becomes idle.
type Trouble struct {
	Contested       int `json:"contested"`       // see Installation.Contested: a secret may have leaked
	FailedCallbacks int `json:"failedCallbacks"` // see TenantStatus.LastFailure
	DesyncSuspected int `json:"desyncSuspected"` // see TenantStatus.DesyncSuspectedAt
	NotConfigured   int `json:"notConfigured"`   // see TenantStatus.NotConfigured
	Unreadable      int `json:"unreadable"`      // see TenantStatus.Unreadable
}

// Report tells how far the sites have moved to a secret, and why the rest does not move. It holds no secret. Made of the
// same rows at the same time it is the same, and so is its JSON.
type Report struct {
	At     time.Time `json:"at"`
	Target Target    `json:"target"`

	// AppSecrets are the app-wide secrets that are configured, and not revoked for all tenants, the newest first.
	AppSecrets []Fingerprint `json:"appSecrets"`

	Total    int     `json:"total"`    // every row of the app
	Live     int     `json:"live"`     // the active ones: what the move is about
	OnTarget int     `json:"onTarget"` // of the live ones
	Percent  float64 `json:"percent"`  // OnTarget of Live, with one decimal, never rounded up; 100 if nobody is live

	BySecret   map[SecretClass]Tally `json:"bySecret"`   // of the live ones, every class
	ByPhase    map[Phase]Tally       `json:"byPhase"`    // of the live ones, every phase
	ByLiveness map[Liveness]Tally    `json:"byLiveness"` // of all

	// ByStraggler counts the live ones off target by what holds them back, and Advice says what to do about it. Reasons
	// that hold nobody back are left out.
	ByStraggler map[Straggler]int    `json:"byStraggler"`
	Advice      map[Straggler]string `json:"advice"`

	// Needed tells which app-wide secrets are still needed, and by how many: those that are configured, and those that a
	// row is bound to. One that is needed by nobody can be dropped.
	Needed map[Fingerprint]Need `json:"needed"`

	// StoredCopies counts all rows with a usable secret that is an app-wide one, but stored in the row. Such a site has
	// moved, and its row does not need the configured secret. App.AdoptAppSecret makes bindings of the copies.
	StoredCopies int `json:"storedCopies"`

	// The trend: live sites on target that were on another secret before, by when they moved. That is the last offer of
	// the secret, or its first use, if that was earlier: an offer that repeats a secret in use moves nobody.
	MovedLastDay  int       `json:"movedLastDay"`
	MovedLastWeek int       `json:"movedLastWeek"`
	LastMovedAt   time.Time `json:"lastMovedAt,omitzero"`

	Trouble Trouble `json:"trouble"`

	Stragglers        []TenantStatus `json:"stragglers"` // the first ones by client key: see ReportOptions
	StragglersLeftOut int            `json:"stragglersLeftOut"`
}

// Report goes through all installations of the app, a page at a time, so that it needs no more memory for many. It reads
// the store past the cache, and revocations count also where they are not written down yet. Rows that change meanwhile
// are counted as they were when their page was read.
//
// It is for people and schedulers; a health check calls [App.Check]. There is no report unless every row was read. If the
// app-wide secrets cannot be read, or TargetAppWide is asked for and none is configured, the error is [ErrAppSecrets].
func (a *App) Report(ctx context.Context, o ReportOptions) (*Report, error) {
	s, err := a.survey(ctx, o)
	if err != nil {
		return nil, err
	}
	report := newReport(s)
	for row, err := range a.installations(ctx) {
		if err != nil {
			return nil, incomplete(err)
		}
		report.count(s, s.revoked.strike(row))
	}
	if report.Live > 0 {
		report.Percent = float64(1000*report.OnTarget/report.Live) / 10
	}
	return report, nil
}

// Tenants tells for each installation of the app what [App.Report] counts, in the order of their client keys, a page at a
// time. It ends with the first error, which is one that Report would return.
func (a *App) Tenants(ctx context.Context, o ReportOptions) iter.Seq2[TenantStatus, error] {
	return func(yield func(TenantStatus, error) bool) {
		s, err := a.survey(ctx, o)
		if err != nil {
			yield(TenantStatus{}, err)
			return
		}
		for row, err := range a.installations(ctx) {
			if err != nil {
				yield(TenantStatus{}, incomplete(err))
				return
			}
			if !yield(s.status(s.revoked.strike(row)), nil) {
				return
			}
		}
	}
}

// Tenant tells the same for one tenant, with the history of its secrets: for a support case. The status has no room for
// a secret nor for a token, so that it can be attached as it is. It is an error, [ErrNotFound], if the tenant is not
// known.
func (a *App) Tenant(ctx context.Context, clientKey string, o ReportOptions) (*TenantStatus, error) {
	s, err := a.survey(ctx, o)
	if err != nil {
		return nil, err
	}
	row, err := within(ctx, func(ctx context.Context) (*Installation, error) {
		return a.config.Store.Get(ctx, Key{a.config.AppKey, clientKey})
	})
	if err != nil {
		return nil, fmt.Errorf("hostbond: the installation could not be read: %w", err)
	}
	row = s.revoked.strike(row)
	status := s.status(row)
	status.Secrets = row.history()
	return &status, nil
}

func incomplete(err error) error {
	return fmt.Errorf("hostbond: not every installation was gone through: %w", err)
}

// survey reads, once for all rows, what they are held against.
func (a *App) survey(ctx context.Context, o ReportOptions) (*survey, error) {
	o, err := o.withDefaults(a.config.AppSecrets)
	if err != nil {
		return nil, err
	}
	revoked, err := a.tenants.revocations.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("hostbond: the revocations could not be read: %w", err)
	}
	secrets, err := a.tenants.appSecrets.current(ctx)
	if err != nil {
		return nil, err
	}
	return &survey{
		options: o, now: wholeSeconds(a.config.Now()), settle: a.config.Settle,
		revoked: revoked, configured: fingerprints(secrets, revoked, ""),
	}, nil
}

// newReport returns a report of no rows. Classes that are few are all there, so that a dashboard can rely on them.
func newReport(s *survey) *Report {
	report := &Report{
		At: s.now, Target: s.options.Target, AppSecrets: s.configured, Percent: 100,
		BySecret: tallies(SecretOwn, SecretAppWide, SecretAppWideOlder, SecretNone),
		ByPhase:  tallies(PhaseSettled, PhaseUnsettled, PhaseContested),
		ByLiveness: tallies(LivenessActive, LivenessIdle, LivenessDevelopment, LivenessDisabled,
			LivenessSuperseded, LivenessUninstalled),
		ByStraggler: map[Straggler]int{},
		Advice:      map[Straggler]string{},
		Needed:      map[Fingerprint]Need{},
		Stragglers:  []TenantStatus{},
	}
	for _, f := range s.configured {
		report.Needed[f] = Need{}
	}
	return report
}

func tallies[K comparable](classes ...K) map[K]Tally {
	all := make(map[K]Tally, len(classes))
	for _, class := range classes {
		all[class] = Tally{}
	}
	return all
}

func tally[K comparable](all map[K]Tally, class K, onTarget bool) {
	t := all[class]
	t.add(onTarget)
	all[class] = t
}

// count adds a row, without its revoked secrets, to the report.
func (r *Report) count(s *survey, row *Installation) {
	status := s.status(row)
	r.Total++
	tally(r.ByLiveness, status.Liveness, status.OnTarget)
	if status.StoredCopy {
		r.StoredCopies++
	}
	live := status.Liveness == LivenessActive
	for _, secret := range row.Secrets {
		if secret.Bound && secret.State == Usable {
			need := r.Needed[secret.Fingerprint]
			if live {
				need.Live++
			} else {
				need.Other++
			}
			r.Needed[secret.Fingerprint] = need
		}
	}
	if row.State == Installed {
		r.Trouble.count(&status)
	}
	if !live {
		return
	}
	r.Live++
	tally(r.BySecret, status.Secret, status.OnTarget)
	tally(r.ByPhase, status.Phase, status.OnTarget)
	if status.OnTarget {
		r.OnTarget++
		r.moved(row.movedAt())
		return
	}
	r.ByStraggler[status.Straggler]++
	r.Advice[status.Straggler] = status.Straggler.Advice()
	if len(r.Stragglers) < s.options.Stragglers {
		r.Stragglers = append(r.Stragglers, status)
	} else {
		r.StragglersLeftOut++
	}
}

// moved notes when a site on target has moved there; zero if it has always been.
func (r *Report) moved(at time.Time) {
	if at.IsZero() {
		return
	}
	r.LastMovedAt = later(r.LastMovedAt, at)
	switch age := r.At.Sub(at); {
	case age <= 24*time.Hour:
		r.MovedLastDay++
		r.MovedLastWeek++
	case age <= 7*24*time.Hour:
		r.MovedLastWeek++
	}
}

func (t *Trouble) count(status *TenantStatus) {
	for _, sign := range []struct {
		shown bool
		count *int
	}{
		{status.Phase == PhaseContested, &t.Contested},
		{status.LastFailure != nil, &t.FailedCallbacks},
		{!status.DesyncSuspectedAt.IsZero(), &t.DesyncSuspected},
		{len(status.NotConfigured) > 0, &t.NotConfigured},
		{status.Unreadable, &t.Unreadable},
	} {
		if sign.shown {
			*sign.count++
		}
	}
}
