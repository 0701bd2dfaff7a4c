package kills

import (
	"slices"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

// check holds the site's row, nil for none, against what the site was promised. The site is not in a callback.
func (s *site) check(row *core.Installation) {
	before := s.before
	s.before = row
	if row == nil {
		if s.promised != nil || before != nil {
			s.breaks("the row is gone")
		}
		return
	}
	s.checkSecrets(row)
	s.checkPromised(row)
	if before == nil {
		return
	}
	if row.Revision < before.Revision || row.Watermark.Before(before.Watermark) || row.SecretVersion < before.SecretVersion {
		s.breaks("the row went back: from revision %d, watermark %v and secret version %d to %d, %v and %d",
			before.Revision, before.Watermark, before.SecretVersion, row.Revision, row.Watermark, row.SecretVersion)
	}
}

// checkSecrets checks that the site's own secret verifies, and none that the site has not sent.
func (s *site) checkSecrets(row *core.Installation) {
	live, verifies := fingerprint(s.Secret()), false
	for _, secret := range row.Secrets {
		if secret.State != core.Usable {
			continue
		}
		if !s.offered[secret.Fingerprint] {
			s.breaks("secret %s is usable, and the site has not sent it since it last uninstalled the app", secret.Fingerprint.Short())
		}
		if fingerprint(secret.Value.Reveal()) != secret.Fingerprint {
			s.breaks("secret %s is usable, and its value is another one", secret.Fingerprint.Short())
		}
		verifies = verifies || secret.Fingerprint == live
	}
	if s.Installed() && !verifies {
		s.breaks("the site is locked out: its live secret %s is not usable", live.Short())
	}
}

// checkPromised checks that the row holds what the newest callback with a 2xx said, or what a later one made of it.
func (s *site) checkPromised(row *core.Installation) {
	promised := s.promised
	if promised == nil {
		return
	}
	if row.Watermark.Before(promised.issuedAt) {
		s.breaks("the 2xx to %s was not durable: it was made at %v, and the watermark is %v",
			promised.Event, promised.issuedAt, row.Watermark)
	}
	possible := map[core.State]bool{}
	var versions []string
	for _, c := range append(slices.Clone(s.unsure), promised) {
		if c.Event == fakehost.Uninstalled {
			possible[core.Uninstalled] = true
			continue
		}
		possible[core.Installed] = true
		versions = append(versions, c.version)
	}
	if !possible[row.State] {
		s.breaks("the 2xx to %s was not durable: the row says %s, and no later callback did", promised.Event, row.State)
	}
	if promised.Event == fakehost.Installed && !slices.Contains(versions, row.Site.ServerVersion) {
		s.breaks("the 2xx to installed was not durable: it said %q, and the row says %q, which no later callback did",
			promised.version, row.Site.ServerVersion)
	}
	if c := s.activation; c != nil {
		if disabled := c.Event == fakehost.Disabled; row.Disabled != disabled || row.ActivationWatermark.Before(c.issuedAt) {
			s.breaks("the 2xx to %s was not durable: the row says disabled=%t as of %v, want %t as of %v",
				c.Event, row.Disabled, row.ActivationWatermark, disabled, c.issuedAt)
		}
	}
}
