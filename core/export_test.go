package core

import "context"

// Flush waits until the recorder has done what it was given before.
func Flush(ctx context.Context, a *App) error {
	done := make(chan struct{})
	select {
	case a.recorder.queue <- func(context.Context) { close(done) }:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
