package crowds

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hostbond/hostbond/core/fakehost"
)

// journal is what the apps log: which refusals there were, and whatever else has an error.
type journal struct {
	mu       sync.Mutex
	reasons  map[string]int
	refused  map[string]string // lines by correlation id
	failures []string          // lines with an error, refusals or not
}

func newJournal() *journal {
	return &journal{reasons: map[string]int{}, refused: map[string]string{}}
}

func (j *journal) logger() *slog.Logger { return slog.New(j) }

// Enabled is part of slog.Handler.
func (*journal) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs is part of slog.Handler. What is the same in each line is of no interest.
func (j *journal) WithAttrs([]slog.Attr) slog.Handler { return j }

// WithGroup is part of slog.Handler.
func (j *journal) WithGroup(string) slog.Handler { return j }

// Handle is part of slog.Handler.
func (j *journal) Handle(_ context.Context, record slog.Record) error {
	line := record.Message
	var reason, id string
	failed := false
	record.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "reason":
			reason = a.Value.String()
		case "correlation_id":
			id = a.Value.String()
		case "cause", "error", "panic":
			failed = true
		}
		line += fmt.Sprintf(" %s=%q", a.Key, a.Value.String())
		return true
	})
	j.mu.Lock()
	defer j.mu.Unlock()
	if reason != "" {
		j.reasons[reason]++
		j.refused[id] = line
	}
	if failed {
		j.failures = append(j.failures, line)
	}
	return nil
}

// why returns the line of a refusal.
func (j *journal) why(answer fakehost.Answer) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.refused[answer.Header.Get("X-Correlation-Id")]
}

// refusals returns how many were refused for each reason.
func (j *journal) refusals() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var text []string
	for _, reason := range slices.Sorted(maps.Keys(j.reasons)) {
		text = append(text, fmt.Sprintf("%d %s", j.reasons[reason], reason))
	}
	return cmp.Or(strings.Join(text, ", "), "none")
}

// check fails the test if something was refused for a reason other than those, or for want of anything but time, or if
// an error tells of other writers though there was time left: to wait for them is the store's task.
func (j *journal) check(t *testing.T, reasons ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for reason, n := range j.reasons {
		// A machine that is too busy brings the others: they are limits, and time-outs of the store.
		if !slices.Contains(reasons, reason) && !slices.Contains([]string{"busy", "overload", "store"}, reason) {
			t.Errorf("%d were refused as %s, want none", n, reason)
		}
	}
	for _, line := range j.failures {
		switch {
		case late(line):
		case speaksOfLocks(line):
			t.Errorf("the database's locks are seen outside the store: %s", line)
		default:
			t.Errorf("something has failed, and not for want of time: %s", line)
		}
	}
}

// late reports whether an error is one of a store that did not answer in time.
func late(line string) bool {
	return strings.Contains(line, context.DeadlineExceeded.Error()) ||
		strings.Contains(line, "i/o timeout") || // of PostgreSQL's driver, when it is faster than the context
		strings.Contains(line, "the store did not answer a moment ago")
}

// speaksOfLocks tells the errors of databases whose writers are in each other's way, and gave up.
func speaksOfLocks(line string) bool {
	line = strings.ToLower(line)
	return slices.ContainsFunc([]string{"locked", "busy", "deadlock", "serialize"}, func(word string) bool {
		return strings.Contains(line, word)
	})
}
