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

// Settled waits until the hooks that were called have returned. No callback may be under way.
func Settled(ctx context.Context, a *App) error {
	done := make(chan struct{})
	go func() {
		a.background.group.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
