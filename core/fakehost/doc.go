// Package fakehost plays the Jira or Confluence site of Atlassian Connect against any app over HTTP: it installs the
// app, calls it, rotates the shared secret, loses answers and uninstalls. It needs no account and no network, knows
// nothing of the app but its URL, and does not import package testing: a test, a rehearsal and a demonstration use it
// alike, whatever language the app is written in.
//
// # In a test
//
//	keys := new(fakehost.Keys)                      // plays Atlassian's install key host
//	keyHost := httptest.NewServer(keys)             // the app is configured to fetch keys from keyHost.URL
//	app := httptest.NewServer(newApp(keyHost.URL))
//	site, err := fakehost.New(fakehost.Config{
//		App:  fakehost.Descriptor{Key: "com.example.app", BaseURL: app.URL},
//		Keys: keys,
//	})
//	_, err = site.Install(ctx)                      // an error unless the app answers 200, 201 or 204
//	page, err := site.Get(ctx, "/panel?issue=HB-1") // as an iframe: ?jwt=, signed with the secret just offered
//	site.LoseNextAnswer()
//	_, err = site.Rotate(ctx)                       // ErrNoAnswer: the site has gone back to its old secret,
//	page, err = site.Get(ctx, "/panel?issue=HB-1")  // and the app must still let it in
//
// # What the site does
//
// It behaves as Atlassian's does, as far as that is documented or has been observed:
//
//   - It swaps its secret before it calls. A page that is loaded while the app still works on the callback is signed
//     with the new secret.
//   - It keeps the new secret only when it has seen 200, 201 or 204. On any other status, a redirect, a time-out or a
//     lost answer it goes back: to the old secret, to the remnant of an earlier life, or to nothing at all.
//   - It makes a fresh token for every attempt. The same token twice is a replay, never the site.
//   - installed and uninstalled are signed by Atlassian: RS256, a key id, and the app's base URL as the audience. Where
//     the descriptor does not ask for that ([Descriptor.Symmetric]) they are signed with the secret that was valid
//     before, and the very first one is not signed.
//   - enabled and disabled, pages and webhooks are signed with the secret the site holds: HS256, for three minutes, and
//     with a query string hash over the decoded path.
//   - Uninstalling succeeds whatever the app says. The site keeps the secret as a remnant, and offers a new one with
//     the next install.
//   - An update of the app and a rename of the site offer the secret it has. An import makes a new client key at the
//     same base URL, and nobody tells the app.
//
// # Forging
//
// Everything the site says can be changed before it is said. [Site.Callback] returns the next callback as a value: its
// URL, header, payload, claims and key are fields. [Callback.Send] sends it as the site, which then keeps or goes back;
// [Callback.Post] posts it as anybody could, and the site knows nothing of it. [Site.Token] does the same for requests.
//
//	stolen := site.Callback(fakehost.Installed)
//	_, err = stolen.Send(ctx)                       // the site sends it,
//	stolen.Payload["sharedSecret"] = "a secret of the thief's own"
//	answer, err := stolen.Post(ctx)                 // and a thief replays its token with another body
//
// # What it leaves out
//
// One site has one app. There is no REST API to call, no OAuth, no marketplace and no retry: what fails is tried again
// by calling the method again. Callbacks are sent one by one as they are asked for; a real site sends enabled after
// installed, and disabled beside uninstalled, in either order.
package fakehost
