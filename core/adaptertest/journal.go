package adaptertest

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/hostbond/hostbond/core"
)

// journal keeps the refusals that the core logs.
type journal struct {
	mu       sync.Mutex
	refusals []refusal
}

// refusal is a refusal as the core logs it.
type refusal struct {
	reason core.ReasonCode
	id     string // the correlation id
	value  string // of Before, from the context that the core was given
}

// since returns the refusals after the first n.
func (j *journal) since(n int) []refusal {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.refusals[n:])
}

// Enabled is for every level.
func (*journal) Enabled(context.Context, slog.Level) bool { return true }

// Handle keeps what has a reason.
func (j *journal) Handle(ctx context.Context, record slog.Record) error {
	r := refusal{value: valueFrom(ctx)}
	record.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "reason":
			r.reason = core.ReasonCode(a.Value.String())
		case "correlation_id":
			r.id = a.Value.String()
		}
		return true
	})
	if r.reason != "" {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.refusals = append(j.refusals, r)
	}
	return nil
}

// WithAttrs leaves the attributes away.
func (j *journal) WithAttrs([]slog.Attr) slog.Handler { return j }

// WithGroup leaves the group away.
func (j *journal) WithGroup(string) slog.Handler { return j }
