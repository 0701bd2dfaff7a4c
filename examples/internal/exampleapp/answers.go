package exampleapp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/hostbond/hostbond/core"
)

// Identity is the answer of /api/me.
type Identity struct {
	ClientKey string `json:"clientKey"`
	AccountID string `json:"accountId"`
}

// Me tells for whom a request speaks.
func Me(p *core.Principal) Identity { return Identity{p.ClientKey, p.AccountID} }

// Call is the answer of /echo/.
type Call struct {
	Identity
	Method string `json:"method"`
	Target string `json:"target"`
}

// Echo tells a request as it came.
func Echo(p *core.Principal, method, target string) Call { return Call{Me(p), method, target} }

// Health is the answer of /healthz: a status that says whether the store answers. What else is wrong is for the log: that
// some sites need a secret which is not configured is no reason to take the app away from all the others.
func Health(ctx context.Context, app *core.App) (status int) {
	switch err := app.Check(ctx); {
	case errors.Is(err, core.ErrAppSecrets):
		slog.WarnContext(ctx, "healthy, but not for every site", "error", err)
	case err != nil:
		slog.ErrorContext(ctx, "not healthy", "error", err)
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}
