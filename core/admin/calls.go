package admin

import (
	"context"
	"slices"
	"time"

	"github.com/hostbond/hostbond/core"
)

func (h *handler) progress(x *exchange) error {
	p, err := x.query("target", "activeDays", "stragglers")
	if err != nil {
		return err
	}
	options, err := p.options()
	if err != nil {
		return err
	}
	if options.Stragglers, err = p.number("stragglers", 0, maxStragglers); err != nil {
		return err
	}
	if _, given := p["stragglers"]; given && options.Stragglers == 0 {
		options.Stragglers = -1 // none; the field's own zero stands for the default
	}
	report, err := h.app.Report(x.ctx, options)
	if err != nil {
		return err
	}
	return x.answer(report)
}

func (h *handler) installations(x *exchange) error {
	p, err := x.query("target", "activeDays", "clientKey")
	if err != nil {
		return err
	}
	options, err := p.options()
	if err != nil {
		return err
	}
	clientKey, one := p["clientKey"]
	if !one {
		return stream(x, h.app.Tenants(x.ctx, options))
	}
	if err := checkClientKey("clientKey", clientKey); err != nil {
		return err
	}
	status, err := h.app.Tenant(x.ctx, clientKey, options)
	if err != nil {
		return err
	}
	return x.answer(status)
}

// changed is how many installations a call has changed.
type changed struct {
	Installations int `json:"installations"`
}

func (h *handler) revoke(x *exchange) error {
	var body struct {
		Fingerprint core.Fingerprint `json:"fingerprint"`
		Reason      string           `json:"reason"`
		ClientKey   *string          `json:"clientKey"` // an empty one must not pass for all tenants
		DryRun      bool             `json:"dryRun"`
	}
	if err := x.body(&body); err != nil {
		return err
	}
	if err := checkFingerprint(body.Fingerprint); err != nil {
		return err
	}
	clientKey := ""
	if body.ClientKey != nil {
		clientKey = *body.ClientKey
		if err := checkClientKey("clientKey", clientKey); err != nil {
			return err
		}
	}
	if body.DryRun {
		return h.exposure(x, body.Fingerprint, clientKey)
	}
	if err := checkReason(body.Reason); err != nil {
		return err
	}
	x.log = x.log.With("secret", body.Fingerprint.Short(), "client_key", clientKey, "reason", body.Reason)
	ctx := context.WithoutCancel(x.ctx) // a secret that has leaked is barred everywhere, whoever hangs up
	return x.change(func() (any, error) {
		if clientKey != "" {
			if err := h.app.RevokeFor(ctx, clientKey, body.Fingerprint, body.Reason); err != nil {
				return nil, err
			}
			return changed{h.had(ctx, clientKey, body.Fingerprint)}, nil
		}
		n, err := h.app.Revoke(ctx, body.Fingerprint, body.Reason)
		return changed{n}, err
	})
}

// had returns 0 if the tenant has never had the secret, else 1.
func (h *handler) had(ctx context.Context, clientKey string, f core.Fingerprint) int {
	status, err := h.app.Tenant(ctx, clientKey, core.ReportOptions{})
	is := func(s core.SecretStatus) bool { return s.Fingerprint == f }
	if err == nil && !slices.ContainsFunc(status.Secrets, is) {
		return 0
	}
	return 1
}

// exposed is a site for which a secret verifies.
type exposed struct {
	ClientKey string        `json:"clientKey"`
	BaseURL   string        `json:"baseUrl"`
	Standing  core.Standing `json:"standing"`
}

// exposure answers for which sites the secret verifies; with a client key, whether it does for that one.
func (h *handler) exposure(x *exchange, f core.Fingerprint, clientKey string) error {
	if clientKey != "" {
		if _, err := h.app.Tenant(x.ctx, clientKey, core.ReportOptions{}); err != nil {
			return err
		}
	}
	return stream(x, func(yield func(exposed, error) bool) {
		for site, err := range h.app.Exposure(x.ctx, f) {
			if err == nil && clientKey != "" && site.Key.ClientKey != clientKey {
				continue
			}
			if !yield(exposed{site.Key.ClientKey, site.BaseURL, site.Standing}, err) {
				return
			}
		}
	})
}

// batch is what the calls have in common that go through the installations.
type batch struct {
	DryRun bool   `json:"dryRun"`
	After  string `json:"after"`
	Limit  *int   `json:"limit"`
}

func (b batch) check() (core.Batch, error) {
	checked := core.Batch{DryRun: b.DryRun, After: b.After}
	if b.After != "" {
		if err := checkClientKey("after", b.After); err != nil {
			return checked, err
		}
	}
	if b.Limit != nil {
		checked.Limit = *b.Limit
		return checked, checkNumber("limit", *b.Limit, 1, maxLimit)
	}
	return checked, nil
}

func (h *handler) adopt(x *exchange) error   { return h.move(x, h.app.AdoptAppSecret) }
func (h *handler) release(x *exchange) error { return h.move(x, h.app.ReleaseAppSecret) }

func (h *handler) move(x *exchange, walk func(context.Context, core.Batch) (core.Moved, error)) error {
	var body batch
	if err := x.body(&body); err != nil {
		return err
	}
	return h.walk(x, body, walk)
}

func (h *handler) purge(x *exchange) error {
	var body struct {
		batch
		OlderThanDays int `json:"olderThanDays"`
	}
	if err := x.body(&body); err != nil {
		return err
	}
	if err := checkNumber("olderThanDays", body.OlderThanDays, 1, maxDays); err != nil {
		return err
	}
	x.log = x.log.With("older_than_days", body.OlderThanDays)
	return h.walk(x, body.batch, func(ctx context.Context, b core.Batch) (core.Moved, error) {
		return h.app.Purge(ctx, time.Duration(body.OlderThanDays)*day, b)
	})
}

// walk makes a call that goes through the installations, or would.
func (h *handler) walk(x *exchange, b batch, walk func(context.Context, core.Batch) (core.Moved, error)) error {
	checked, err := b.check()
	if err != nil {
		return err
	}
	do := func() (any, error) { return walk(x.ctx, checked) }
	if checked.DryRun {
		return x.result(do())
	}
	x.log = x.log.With("after", checked.After, "limit", checked.Limit)
	return x.change(do)
}

func (h *handler) erase(x *exchange) error {
	var body struct {
		ClientKey string `json:"clientKey"`
	}
	if err := x.body(&body); err != nil {
		return err
	}
	if err := checkClientKey("clientKey", body.ClientKey); err != nil {
		return err
	}
	x.log = x.log.With("client_key", body.ClientKey)
	return x.change(func() (any, error) {
		if err := h.app.Erase(context.WithoutCancel(x.ctx), body.ClientKey); err != nil {
			return nil, err
		}
		return changed{1}, nil
	})
}

// change does what changes something. Who asked for it is in the log before anything happens, and then what came of it.
func (x *exchange) change(do func() (done any, err error)) error {
	x.log.WarnContext(x.ctx, "an operator changes installations")
	done, err := do()
	x.log.WarnContext(x.ctx, "an operator has changed installations", "done", done, "failed", err != nil)
	return x.result(done, err)
}
