package fakehost

import (
	"context"
	"errors"
)

// fault is what happens to a callback on its way.
type fault int

const (
	noFault fault = iota
	loseCall
	loseAnswer
)

// Install installs the app, for the first time or again after an uninstall, with a fresh secret. The methods of the
// lifecycle return what [Callback.Send] returns; it is an error, too, to ask for what the site could not do, such as
// installing twice.
func (s *Site) Install(ctx context.Context) (Answer, error) {
	return s.inTurn(ctx, bond.mustBeAbsent, func() *Callback {
		return s.callback(Installed, s.bond.app, s.newSecret())
	})
}

// Rotate has Atlassian replace the shared secret of the installed app.
func (s *Site) Rotate(ctx context.Context) (Answer, error) {
	return s.inTurn(ctx, bond.mustBeInstalled, func() *Callback {
		return s.callback(Installed, s.bond.app, s.newSecret())
	})
}

// Update installs another version of the app over the present one. It offers the secret that the site has. If the app
// does not accept, the site goes back to the previous version.
func (s *Site) Update(ctx context.Context, app Descriptor) (Answer, error) {
	app, err := app.complete(s.config.AppURL, s.config.Keys)
	if err != nil {
		return Answer{}, err
	}
	return s.inTurn(ctx, bond.mustBeInstalled, func() *Callback {
		return s.callback(Installed, app, s.bond.secret)
	})
}

// Rename moves the site to another base URL, which the app learns from an installed callback with the secret that the
// site has. The site has its new name whatever the app answers.
func (s *Site) Rename(ctx context.Context, baseURL string) (Answer, error) {
	return s.inTurn(ctx, bond.mustBeInstalled, func() *Callback {
		s.baseURL = baseURL
		return s.callback(Installed, s.bond.app, s.bond.secret)
	})
}

// Uninstall removes the app. The site is done with it whatever the app answers, but keeps the secret as a remnant.
func (s *Site) Uninstall(ctx context.Context) (Answer, error) {
	return s.inTurn(ctx, bond.mustBeInstalled, func() *Callback {
		return s.callback(Uninstalled, s.bond.app, s.bond.secret)
	})
}

// Enable tells the app that it is enabled, signed with the secret that the site has settled on: it waits for an install
// that is under way.
func (s *Site) Enable(ctx context.Context) (Answer, error) { return s.notify(ctx, Enabled) }

// Disable tells the app that it is disabled, as Enable does. After an uninstall it comes without a token, as from some
// real sites.
func (s *Site) Disable(ctx context.Context) (Answer, error) { return s.notify(ctx, Disabled) }

// LoseNextCall makes the network lose the next callback: the app never sees it, and the site hears nothing.
func (s *Site) LoseNextCall() { s.setFault(loseCall) }

// LoseNextAnswer makes the network lose the answer to the next callback: the app does its work, and the site, which
// hears nothing, goes back.
func (s *Site) LoseNextAnswer() { s.setFault(loseAnswer) }

func (s *Site) setFault(f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

func (s *Site) nextFault() fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.fault
	s.fault = noFault
	return f
}

// inTurn waits for its turn, so that the callback is signed with a secret that is settled, prepares the callback if the
// site is in a state for it, and sends it. s.mu is held while the two functions run.
func (s *Site) inTurn(ctx context.Context, check func(bond) error, prepare func() *Callback) (Answer, error) {
	release, err := s.take(ctx)
	if err != nil {
		return Answer{}, err
	}
	defer release()
	s.mu.Lock()
	if err := check(s.bond); err != nil {
		s.mu.Unlock()
		return Answer{}, err
	}
	c := prepare()
	s.mu.Unlock()
	return c.send(ctx)
}

func (b bond) mustBeInstalled() error {
	if !b.installed {
		return errors.New("fakehost: the app is not installed")
	}
	return nil
}

func (b bond) mustBeAbsent() error {
	if b.installed {
		return errors.New("fakehost: the app is installed already")
	}
	return nil
}

// notify makes a callback in its turn, but sends it beside whatever comes next, as sites do.
func (s *Site) notify(ctx context.Context, event Event) (Answer, error) {
	release, err := s.take(ctx)
	if err != nil {
		return Answer{}, err
	}
	c := s.Callback(event)
	release()
	return c.send(ctx)
}

// leave ends the installation, and keeps the secret.
func (s *Site) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bond.installed = false
}
