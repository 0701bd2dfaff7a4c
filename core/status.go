package core

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// This file holds what a report says of one row: pure functions of the row, of the app-wide secrets that are configured,
// and of the time.

// Target is what sites are to move to.
type Target string

// The targets.
const (
	TargetAppWide Target = "app_wide" // the newest app-wide secret
	TargetOwn     Target = "own"      // a secret of each site's own
)

// SecretClass says what the newest usable secret of an installation is.
type SecretClass string

// The classes.
const (
	SecretOwn          SecretClass = "own"            // stored, and none of the configured app-wide ones; it may be a copy of a former one
	SecretAppWide      SecretClass = "app_wide"       // the newest one that is configured, as a binding or as a stored copy
	SecretAppWideOlder SecretClass = "app_wide_older" // another app-wide one, be it configured or not
	SecretNone         SecretClass = "none"           // there is no usable secret
)

// Phase says how sure it is which secret the site signs with.
type Phase string

// The phases.
const (
	PhaseSettled   Phase = "settled"   // there is one usable secret
	PhaseUnsettled Phase = "unsettled" // there are several, until the site has shown which one it kept; or there is none
	PhaseContested Phase = "contested" // the site changed secrets though none was offered: see Installation.Contested
)

// Liveness says whether anybody would notice if the site did not move.
type Liveness string

// Each installation is the first of these that fits. A sign of life is a verified request, or an applied callback.
const (
	LivenessUninstalled Liveness = "uninstalled" // kept for the next callback only
	LivenessSuperseded  Liveness = "superseded"  // there is a later installation at the same base URL
	LivenessDisabled    Liveness = "disabled"    // and Config.Settle later no request had been seen that says otherwise
	LivenessDevelopment Liveness = "development" // see ReportOptions.Development
	LivenessIdle        Liveness = "idle"        // no sign of life within ReportOptions.ActiveWithin
	LivenessActive      Liveness = "active"      // everything else: the only one that counts as live
)

// Straggler says why a live site is not on target: one of a closed set. Where several reasons fit, it is the first one in
// the order below: what is our fault, then what stands in the way, then what the site has done. [Straggler.Advice] says
// what to do about it.
type Straggler string

// The reasons.
const (
	// StragglerNotConfigured: the row has a usable binding to an app-wide secret that is not configured.
	StragglerNotConfigured Straggler = "not_configured"
	// StragglerUnreadable: the row has a usable secret that the store could not open.
	StragglerUnreadable Straggler = "unreadable"
	// StragglerNoSecret: the row has no usable secret, since its last one was revoked.
	StragglerNoSecret Straggler = "no_secret"
	// StragglerRevoked: the newest app-wide secret was revoked for the site, so that it cannot move to it.
	StragglerRevoked Straggler = "revoked"
	// StragglerCallbackFailed: a callback was refused after the last one that was applied.
	StragglerCallbackFailed Straggler = "callback_failed"
	// StragglerDesync: requests in its name were signed with no secret that it has, and none was verified since.
	StragglerDesync Straggler = "desync"
	// StragglerWentBack: the target is its newest secret, but the site was seen to sign with another since the last offer.
	StragglerWentBack Straggler = "went_back"
	// StragglerNotOffered: the site was not offered the target, or was offered another secret since.
	StragglerNotOffered Straggler = "not_offered"
)

// Advice returns a sentence on what to do about it, for people.
func (s Straggler) Advice() string {
	switch s {
	case StragglerNotConfigured:
		return "Configure the app-wide secret again until the site has moved: what the site signs with it is answered 503."
	case StragglerUnreadable:
		return "Configure the seal key under which the secret was stored: what the site signs with it is answered 503."
	case StragglerNoSecret:
		return "Let the site uninstall and install the app again; an update may offer the revoked secret. Its installs must be signed by Atlassian."
	case StragglerRevoked:
		return "Configure another app-wide secret, or leave the site as it is: the newest one was revoked for it."
	case StragglerCallbackFailed:
		return "Remove the cause that the reason of the failure names: the site keeps its secret until a callback is accepted."
	case StragglerDesync:
		return "Let the site install or update the app again: it may be on a secret that the app never got."
	case StragglerWentBack:
		return "Wait for the next callback, or let the site update the app: it missed the last answer, and kept its old secret."
	case StragglerNotOffered:
		return "Wait for Atlassian's callback, and ask Atlassian about it if other sites have moved long ago."
	}
	return ""
}

// CallbackFailure is a refused lifecycle callback.
type CallbackFailure struct {
	At     time.Time  `json:"at"`
	Reason ReasonCode `json:"reason"`
}

// TenantStatus says where an installation stands. It holds fingerprints, and never a secret.
type TenantStatus struct {
	ClientKey string  `json:"clientKey"`
	BaseURL   string  `json:"baseUrl"`
	State     State   `json:"state"`
	Signing   Signing `json:"signing"` // of its lifecycle callbacks

	Secret        SecretClass `json:"secret"`
	Fingerprint   Fingerprint `json:"fingerprint,omitempty"` // of the newest usable secret; whole, as App.Revoke takes it
	SecretVersion int64       `json:"secretVersion"`
	StoredCopy    bool        `json:"storedCopy,omitempty"` // a usable secret is an app-wide one, but stored in the row

	Phase    Phase    `json:"phase"`
	Liveness Liveness `json:"liveness"`

	// OnTarget says that the newest usable secret is what the site is to move to, and that the site was not seen to sign
	// with another since the last offer, nor, if it was not seen to sign with this one, is suspected to. One that is not
	// installed is never on target.
	OnTarget  bool      `json:"onTarget"`
	Straggler Straggler `json:"straggler,omitempty"` // why not, of a live one

	// SignsWith is the secret that the site was last seen to sign with, well after the last offer, and since when it does.
	SignsWith      Fingerprint `json:"signsWith,omitempty"`
	SignsWithSince time.Time   `json:"signsWithSince,omitzero"`

	OfferedAt      time.Time `json:"offeredAt,omitzero"`      // the newest usable secret, last
	FirstUsedAt    time.Time `json:"firstUsedAt,omitzero"`    // a request was first signed with that secret
	SeenAt         time.Time `json:"seenAt,omitzero"`         // the last verified request, an hour coarse
	LastCallbackAt time.Time `json:"lastCallbackAt,omitzero"` // the newest applied installed or uninstalled was made

	// LastFailure is the last refused callback that named the tenant, if it came after the last applied one. Anybody can
	// cause one, which the reason then shows.
	LastFailure *CallbackFailure `json:"lastFailure,omitempty"`
	// DesyncSuspectedAt is when requests had come that were signed with no secret of the tenant, if no request was verified
	// and no callback applied since. Anybody can cause it.
	DesyncSuspectedAt time.Time `json:"desyncSuspectedAt,omitzero"`

	SupersededBy  string        `json:"supersededBy,omitempty"`  // client key of a later installation at the same base URL
	NotConfigured []Fingerprint `json:"notConfigured,omitempty"` // app-wide secrets that the row needs and the app lacks
	Unreadable    bool          `json:"unreadable,omitempty"`    // a usable secret could not be opened by the store

	Secrets []SecretStatus `json:"secrets,omitempty"` // the history, the one offered last at the end; of App.Tenant only
}

// SecretStatus is a secret in the history of an installation.
type SecretStatus struct {
	Fingerprint Fingerprint `json:"fingerprint"`
	State       SecretState `json:"state"`
	Bound       bool        `json:"bound,omitempty"` // an app-wide one, of which no copy is stored
	Unreadable  bool        `json:"unreadable,omitempty"`
	OfferedAt   time.Time   `json:"offeredAt,omitzero"`
	RetiredAt   time.Time   `json:"retiredAt,omitzero"` // or revoked
}

// survey is what all rows of a report are held against.
type survey struct {
	options    ReportOptions
	now        time.Time
	settle     time.Duration
	revoked    *revoked
	configured appWide // not revoked for all tenants
}

// status classifies a row, which has been rid of revoked secrets.
func (s *survey) status(row *Installation) TenantStatus {
	var newest StoredSecret
	if n := row.find(row.Newest()); n >= 0 {
		newest = row.Secrets[n]
	}
	status := TenantStatus{
		ClientKey: row.Key.ClientKey, BaseURL: row.Site.BaseURL, State: row.State, Signing: row.Signing,
		Secret: s.class(newest), Fingerprint: newest.Fingerprint, SecretVersion: row.SecretVersion,
		StoredCopy: slices.ContainsFunc(row.Secrets, s.copied),
		Phase:      row.phase(), Liveness: s.liveness(row),
		SignsWith: row.Run.Fingerprint, SignsWithSince: row.Run.StartedAt,
		OfferedAt: newest.OfferedAt, SeenAt: row.Activity.SeenAt, LastCallbackAt: row.Watermark,
		SupersededBy:  row.SupersededBy,
		NotConfigured: s.notConfigured(row), Unreadable: slices.ContainsFunc(row.Secrets, StoredSecret.Unreadable),
	}
	activity := &row.Activity
	if activity.FirstUsed == newest.Fingerprint {
		status.FirstUsedAt = activity.FirstUsedAt
	}
	// The watermark is the site's time, LastOffer ours: a refused callback may be sent again as it was, and be applied.
	applied := later(row.Watermark, row.LastOffer)
	if activity.RefusedAt.After(applied) {
		status.LastFailure = &CallbackFailure{activity.RefusedAt, activity.RefusedReason}
	}
	if activity.DesyncSuspectedAt.After(later(activity.SeenAt, applied)) {
		status.DesyncSuspectedAt = activity.DesyncSuspectedAt
	}
	// A suspicion, which anybody can cause, counts only of a site that has not shown the secret.
	unshown := row.Run.Fingerprint == "" && status.DesyncSuspectedAt.IsZero()
	status.OnTarget = row.State == Installed && s.isTarget(status.Secret) &&
		(unshown || row.Run.Fingerprint == newest.Fingerprint)
	if status.Liveness == LivenessActive && !status.OnTarget {
		status.Straggler = s.straggler(&status)
	}
	return status
}

// class goes by the fingerprint too: a site whose app-wide secret is a stored copy signs with it like any other.
func (s *survey) class(secret StoredSecret) SecretClass {
	switch known := slices.Index(s.configured, secret.Fingerprint); {
	case secret.Fingerprint == "":
		return SecretNone
	case known == 0:
		return SecretAppWide
	case known > 0 || secret.Bound:
		return SecretAppWideOlder
	default:
		return SecretOwn
	}
}

func (s *survey) isTarget(class SecretClass) bool {
	if s.options.Target == TargetAppWide {
		return class == SecretAppWide
	}
	return class == SecretOwn
}

// copied reports whether the secret is an app-wide one of which a copy is stored.
func (s *survey) copied(secret StoredSecret) bool {
	return secret.State == Usable && !secret.Bound && slices.Contains(s.configured, secret.Fingerprint)
}

func (s *survey) notConfigured(row *Installation) (missing []Fingerprint) {
	for _, secret := range row.Secrets {
		if secret.Bound && secret.State == Usable && !slices.Contains(s.configured, secret.Fingerprint) {
			missing = append(missing, secret.Fingerprint)
		}
	}
	return missing
}

// phase says how sure it is which secret the site signs with.
func (i *Installation) phase() Phase {
	switch {
	case i.Contested:
		return PhaseContested
	case i.usable() == 1:
		return PhaseSettled
	default:
		return PhaseUnsettled
	}
}

func (s *survey) liveness(row *Installation) Liveness {
	seen := row.Activity.SeenAt
	alive := later(seen, later(row.Watermark, row.ActivationWatermark))
	switch {
	case row.State != Installed:
		return LivenessUninstalled
	case row.SupersededBy != "":
		return LivenessSuperseded
	// Some sites do not say that they are enabled again. A page that was open before may still make a request.
	case row.Disabled && !seen.After(row.ActivationWatermark.Add(s.settle)):
		return LivenessDisabled
	case s.options.Development(row.Site):
		return LivenessDevelopment
	case s.now.Sub(alive) > s.options.ActiveWithin:
		return LivenessIdle
	default:
		return LivenessActive
	}
}

// straggler finds the reason for a live row that is off target.
func (s *survey) straggler(status *TenantStatus) Straggler {
	switch {
	case len(status.NotConfigured) > 0:
		return StragglerNotConfigured
	case status.Unreadable:
		return StragglerUnreadable
	case status.Secret == SecretNone:
		return StragglerNoSecret
	case s.barred(status.ClientKey):
		return StragglerRevoked
	case status.LastFailure != nil:
		return StragglerCallbackFailed
	case !status.DesyncSuspectedAt.IsZero():
		return StragglerDesync
	case s.isTarget(status.Secret):
		return StragglerWentBack
	default:
		return StragglerNotOffered
	}
}

// barred reports whether no site, or not this one, may have the app-wide secret that is the target.
func (s *survey) barred(clientKey string) bool {
	if s.options.Target != TargetAppWide {
		return false
	}
	return len(s.configured) == 0 || s.revoked.has(clientKey, s.configured[0])
}

// movedAt returns when the site moved to its newest secret, or zero if it never had another.
func (i *Installation) movedAt() time.Time {
	// A history that was forgotten has left its mark in the version, and one that was imported may have no version.
	if len(i.Secrets) < 2 && i.SecretVersion < 2 {
		return time.Time{}
	}
	newest := i.Newest()
	n := i.find(newest)
	if n < 0 {
		return time.Time{}
	}
	at := i.Secrets[n].OfferedAt
	if i.Activity.FirstUsed == newest && !i.Activity.FirstUsedAt.IsZero() {
		at = earlier(at, i.Activity.FirstUsedAt)
	}
	return at
}

// history returns what may be shown of all secrets.
func (i *Installation) history() []SecretStatus {
	history := make([]SecretStatus, len(i.Secrets))
	for n, s := range i.Secrets {
		history[n] = SecretStatus{s.Fingerprint, s.State, s.Bound, s.Unreadable(), s.OfferedAt, s.RetiredAt}
	}
	return history
}

// looksLikeDevelopment reports whether the base URL is that of a sandbox, as in acme-sandbox-314.atlassian.net, or of an
// instance that Atlassian develops on.
func looksLikeDevelopment(site Site) bool {
	u, err := url.Parse(site.BaseURL)
	if err != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	first, _, _ := strings.Cut(host, ".")
	return strings.Contains(first, "-sandbox-") || host == "jira-dev.com" || strings.HasSuffix(host, ".jira-dev.com")
}
