package core

import (
	"slices"
	"time"
)

// Key identifies an installation. Both parts are opaque and compared byte by byte; a client key has at most 255 bytes.
type Key struct {
	AppKey    string // the app's own key, as in its descriptor
	ClientKey string // the site's identifier of the tenant; a site import makes a new one
}

// Installation is what the app knows of one tenant: who it is, which secrets it may sign with, and how far its
// lifecycle has got. One row of a [Store] holds it whole. All times are whole seconds in UTC.
type Installation struct {
	Key      Key
	Revision int64 // of the row, for compare-and-swap; 0 before the first Put
	State    State
	Signing  Signing // how its lifecycle callbacks are signed; never goes back from RS256
	Site     Site

	// Secrets holds every secret of the tenant, the one offered last at the end. All usable ones verify requests.
	Secrets       []StoredSecret
	SecretVersion int64     // grows by one whenever another secret becomes the newest; tells an app that must be sure
	LastOffer     time.Time // of any secret; evidence made less than Settle after it proves nothing
	Run           Run
	Proven        Fingerprint // secret of the newest run; outlives the run when an offer clears it
	Contested     bool        // the run changed hands though no secret was offered in between

	// Watermark is the iat of the newest applied installed or uninstalled callback, Applied the claims applied at that
	// very second. An older callback is refused.
	Watermark time.Time
	Applied   [][32]byte

	Disabled            bool      // as last said by enabled or disabled; informs, refuses nothing
	ActivationWatermark time.Time // of the newest applied enabled or disabled
	SupersededBy        string    // client key of a newer installation at the same base URL; informs, refuses nothing

	CreatedAt time.Time
	UpdatedAt time.Time
	Activity  Activity // written by Touch only
}

// State says whether the app is installed on the site.
type State string

// The states of an installation.
const (
	Installed   State = "installed"
	Uninstalled State = "uninstalled" // verifies no request; kept so that the next callback can be judged
)

// Signing is how a lifecycle callback was signed.
type Signing string

// The ways in which a lifecycle callback is signed.
const (
	SignedRS256 Signing = "RS256" // by Atlassian, with a key of an install key host
	SignedHS256 Signing = "HS256" // by the site, with a shared secret of the row
	Unsigned    Signing = "none"  // a first install that nobody vouched for
)

// Site is what a lifecycle callback says of the site, apart from its secret. What a site has never sent is empty.
type Site struct {
	BaseURL                         string // for calls to the site; of Confluence it ends in /wiki
	DisplayURL                      string // a custom domain, for people only
	DisplayURLServicedeskHelpCenter string
	ProductType                     string // "jira" or "confluence"
	Description                     string
	ServerVersion                   string
	PluginsVersion                  string
	ServiceEntitlementNumber        string
	EntitlementID                   string
	EntitlementNumber               string
	OAuthClientID                   string // for impersonation; changes with an import
	CloudID                         string
	InstallationID                  string // of Forge, for apps on both platforms
}

// fields returns every field.
func (s *Site) fields() []*string {
	return []*string{
		&s.BaseURL, &s.DisplayURL, &s.DisplayURLServicedeskHelpCenter, &s.ProductType, &s.Description,
		&s.ServerVersion, &s.PluginsVersion, &s.ServiceEntitlementNumber, &s.EntitlementID, &s.EntitlementNumber,
		&s.OAuthClientID, &s.CloudID, &s.InstallationID,
	}
}

// StoredSecret is a shared secret with its history.
type StoredSecret struct {
	Fingerprint Fingerprint
	State       SecretState
	OfferedAt   time.Time // by the callback that brought it last, or the first token that bound the site to it
	RetiredAt   time.Time // zero while usable

	// Bound says that this is a binding: the secret is an app-wide one, and its value is found by the fingerprint among
	// those of Config.AppSecrets. No copy of it is stored.
	Bound bool

	// Unoffered says that tokens alone have bound the site to the secret: no callback has brought it. Whoever has an
	// app-wide secret can make such tokens, so a run of it must last a week before other secrets are retired.
	Unoffered bool

	// Value is erased once the secret is no longer usable. A process that has verified with it remembers it for a while,
	// so that it can tell a site on its old secret from a stranger; it verifies nothing any more.
	Value Secret

	// Sealed is set instead of Value when the store could not open the secret, for want of its key, say. It is opaque
	// and goes back to the store as it came, so that nothing is lost by a wrong configuration.
	Sealed []byte
}

// Unreadable reports whether the secret should verify but cannot, because the store could not open it.
func (s StoredSecret) Unreadable() bool { return s.State == Usable && s.Value.IsZero() && !s.Bound }

// SecretState says what a secret is good for.
type SecretState string

// The states of a secret.
const (
	Usable  SecretState = "usable"  // verifies requests
	Retired SecretState = "retired" // verifies nothing; a callback that is not older may offer it again
	Revoked SecretState = "revoked" // verifies nothing, for good: see App.Revoke
)

// Run is a sequence of verified tokens by which a site shows which secret it has kept. The zero value is no run.
type Run struct {
	Fingerprint Fingerprint // of the secret that signed them
	StartedAt   time.Time   // iat of the first token
	ArrivedAt   time.Time   // when that token was verified
}

// Activity is what is worth knowing of a tenant but not worth a revision.
type Activity struct {
	SeenAt        time.Time // of a verified request; coarse, one write an hour
	RefusedAt     time.Time // of the last refused callback that named the tenant; anybody can cause one
	RefusedReason ReasonCode

	FirstUsed   Fingerprint // the secret that was the newest when a request was first signed with it
	FirstUsedAt time.Time   // when that was

	// DesyncSuspectedAt is when three requests in a row had a signature by no secret of the tenant: the site may be on one
	// that the app never got. Anybody can cause it. A SeenAt that is later disproves it.
	DesyncSuspectedAt time.Time
}

// Clone returns a copy that shares no memory with i.
func (i *Installation) Clone() *Installation {
	c := *i
	c.Secrets = slices.Clone(i.Secrets)
	for n := range c.Secrets {
		c.Secrets[n].Sealed = slices.Clone(c.Secrets[n].Sealed)
	}
	c.Applied = slices.Clone(i.Applied)
	return &c
}

// public returns a copy without the secrets themselves, for code of the app.
func (i *Installation) public() *Installation {
	if i == nil {
		return nil
	}
	c := i.Clone()
	for n := range c.Secrets {
		c.Secrets[n].Value, c.Secrets[n].Sealed = Secret{}, nil
	}
	return c
}

// Newest returns the fingerprint of the usable secret that was offered last, or "" if there is none.
func (i *Installation) Newest() Fingerprint {
	for _, s := range slices.Backward(i.Secrets) {
		if s.State == Usable {
			return s.Fingerprint
		}
	}
	return ""
}

// usable counts the secrets that verify requests.
func (i *Installation) usable() int {
	n := 0
	for _, s := range i.Secrets {
		if s.State == Usable {
			n++
		}
	}
	return n
}

// find returns the index of the secret in i.Secrets, or -1.
func (i *Installation) find(f Fingerprint) int {
	return slices.IndexFunc(i.Secrets, func(s StoredSecret) bool { return s.Fingerprint == f })
}
