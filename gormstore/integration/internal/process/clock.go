package process

import (
	"sync/atomic"
	"time"
)

// Clock runs ahead of the real one, by as much as it is told. The zero value is right.
type Clock struct{ ahead atomic.Int64 }

// Now returns the time of the clock.
func (c *Clock) Now() time.Time { return time.Now().Add(c.Ahead()) }

// Ahead returns by how much the clock is ahead.
func (c *Clock) Ahead() time.Duration { return time.Duration(c.ahead.Load()) }

// SetAhead sets by how much the clock is ahead.
func (c *Clock) SetAhead(ahead time.Duration) { c.ahead.Store(int64(ahead)) }
