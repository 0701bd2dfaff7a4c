package main

import (
	"context"
	"net/http"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

// settle is the default of Config.Settle, and a little more.
const settle = 16 * time.Minute

// step is one line of the tour.
type step struct {
	what  string
	later time.Duration // since the step before; default: some seconds
	do    func(context.Context) (fakehost.Answer, error)
	want  outcome

	secret func() string // that the step is about; default: the one that the site is on afterwards
}

// outcome is what comes of a step.
type outcome struct {
	answer    int             // the app's status, or lost
	reason    core.ReasonCode // of a refusal, in the app's log; the caller gets no more than the status
	usable    int             // the number of secrets that the app accepts from the site
	newSecret bool            // whether the site is on another secret afterwards
	noted     bool            // whether the app has noted which secret the site signs with
}

// lost stands for an answer that did not reach the site.
const lost = 0

// story is what the site does. Each of its functions may use what an earlier one has left in the variables.
func story(site *fakehost.Site) []step {
	const page = "/panel"
	var (
		first    string             // shared secret
		early    *fakehost.Token    // of a page that was opened before the rotation
		rotation *fakehost.Callback // that was sent
	)
	firstSecret := func() string { return first }
	open := func(ctx context.Context) (fakehost.Answer, error) { return site.Get(ctx, page) }
	load := func(ctx context.Context, token *fakehost.Token) (fakehost.Answer, error) {
		return site.Do(ctx, http.MethodGet, page, token, nil)
	}
	return []step{{
		what: "Jira installs the app and offers it a shared secret.",
		do:   site.Install,
		want: outcome{answer: 204, usable: 1, newSecret: true},
	}, {
		what: "A user opens the app's page. Jira signs its URL with that secret.",
		do: func(ctx context.Context) (fakehost.Answer, error) {
			first, early = site.Secret(), site.Token(http.MethodGet, page)
			return open(ctx)
		},
		want: outcome{answer: 200, usable: 1},
	}, {
		what: "The secret is rotated: Jira offers another one.",
		do: func(ctx context.Context) (fakehost.Answer, error) {
			rotation = site.Callback(fakehost.Installed)
			return rotation.Send(ctx)
		},
		want: outcome{answer: 204, usable: 2, newSecret: true},
	}, {
		what:   "A page that was opened before the rotation loads late. The old secret still counts.",
		do:     func(ctx context.Context) (fakehost.Answer, error) { return load(ctx, early) },
		secret: firstSecret,
		want:   outcome{answer: 200, usable: 2},
	}, {
		what: "A page that was opened after it has the new one.",
		do:   open,
		want: outcome{answer: 200, usable: 2},
	}, {
		what: "Another rotation. The app's answer is lost, so Jira stays with the secret it had.",
		do: func(ctx context.Context) (fakehost.Answer, error) {
			site.LoseNextAnswer()
			return site.Rotate(ctx)
		},
		want: outcome{answer: lost, usable: 3},
	}, {
		what: "The page opens all the same: the app has not given up that secret.",
		do:   open,
		want: outcome{answer: 200, usable: 3},
	}, {
		what: "A stranger offers a secret of his own, without a signature.",
		do: func(ctx context.Context) (fakehost.Answer, error) {
			forged := site.Callback(fakehost.Installed)
			forged.Token = nil
			return forged.Post(ctx)
		},
		want: outcome{answer: 401, reason: core.ReasonTokenMissing, usable: 3},
	}, {
		what: "A thief offers one under the signature of the first rotation.",
		do: func(ctx context.Context) (fakehost.Answer, error) {
			return rotation.Clone().Offer("a secret of the thief's own").Post(ctx)
		},
		want: outcome{answer: 401, reason: core.ReasonBodyChanged, usable: 3},
	}, {
		what:  "A quarter of an hour later a page opens. The app notes the secret.",
		later: settle,
		do:    open,
		want:  outcome{answer: 200, usable: 3, noted: true},
	}, {
		what:  "After another quarter it is settled: what Jira had before is retired.",
		later: settle,
		do:    open,
		want:  outcome{answer: 200, usable: 2, noted: true},
	}, {
		what: "A page signed with the very first secret does not open any more.",
		do: func(ctx context.Context) (fakehost.Answer, error) {
			token := site.Token(http.MethodGet, page)
			token.Key = []byte(first)
			return load(ctx, token)
		},
		secret: firstSecret,
		want:   outcome{answer: 401, reason: core.ReasonRetired, usable: 2, noted: true},
	}, {
		what: "Jira uninstalls the app. The app erases its secrets.",
		do:   site.Uninstall,
		want: outcome{answer: 204},
	}, {
		what: "No page opens any more.",
		do:   open,
		want: outcome{answer: 401, reason: core.ReasonNotInstalled},
	}}
}
