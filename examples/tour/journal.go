package main

import (
	"bytes"
	"context"
	"log/slog"
	"sync"

	"github.com/hostbond/hostbond/core"
)

// journal is a slog.Handler that keeps the app's log, to be shown if a step goes wrong, and the reason of a refusal.
type journal struct {
	mu      sync.Mutex
	lines   bytes.Buffer
	handler slog.Handler // writes to lines
	reason  core.ReasonCode
}

func newJournal() *journal {
	j := new(journal)
	j.handler = slog.NewTextHandler(&j.lines, nil)
	return j
}

// forgetReason makes lastReason "" until the app refuses something again. The app logs a reason before it answers.
func (j *journal) forgetReason() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reason = ""
}

func (j *journal) lastReason() core.ReasonCode {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.reason
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lines.String()
}

func (j *journal) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

func (j *journal) Handle(ctx context.Context, record slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "reason" {
			j.reason = core.ReasonCode(a.Value.String())
		}
		return true
	})
	return j.handler.Handle(ctx, record)
}

func (j *journal) WithAttrs([]slog.Attr) slog.Handler { return j }
func (j *journal) WithGroup(string) slog.Handler      { return j }
