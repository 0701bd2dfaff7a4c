// Package core keeps the bond between an app and every Jira or Confluence Cloud site that the app is installed on. It
// verifies each request that claims to come from a site, follows the installation lifecycle of Atlassian Connect, and
// survives every change of the shared secret that the two sides sign with.
//
// It knows no web framework and no database. An adapter hands it each request as a [Request]: httpconnect for net/http,
// and the modules ginconnect, echoconnect and fiberconnect. A [Store] keeps the installations: the module gormstore,
// or memstore for tests.
//
// # From request to principal
//
// [App.Authenticate] takes a request's one token apart, looks up the tenant that it names, verifies the signature with
// each shared secret that this tenant may be using, and holds times and query hash against clock and URL. What comes
// out is a [Principal]. Which kinds of token a route accepts is a value: [URLBound], the default, or [ContextToken].
//
// # From callback to rotation
//
// [App.Lifecycle] verifies a lifecycle callback, which Atlassian signs with a key of its own, reserves its token for
// its body, decides what becomes of the installation (see below), and answers only after the commit.
//
// # Why an old secret stays
//
// A site swaps its secret before it calls the app, and keeps the new one only if it has seen the answer. When the
// answer is lost, the site is still on the old secret, and an app that has replaced it locks the site out. So an
// offered secret is added, not swapped in. All usable secrets verify, until the site's own tokens have shown which one
// it kept: two of them, made at least [Config].Settle after the last offer and as long apart from each other. Then
// those it left behind are retired and erased. If two secrets were in use side by side, the row is contested, and that
// takes a week in which only one of them is used.
//
// # One secret for the whole app
//
// Atlassian may send all sites of an app the same secret. [Config].AppSecrets holds such app-wide secrets, and a callback
// that brings one of them binds its site to it: the row names it by its fingerprint, and no copy is stored. A binding is
// offered, proved, retired and revoked like any other secret, so that sites can move one by one, in either direction. A
// site with a binding may sign with each app-wide secret that it has not left behind, since replicas are not configured
// all at once, and what it signs with is written down. [App.Report] says who is on which secret and why the others are
// not, [App.Check] whether one that is needed is not configured, [App.AdoptAppSecret] turns stored copies into bindings
// and [App.ReleaseAppSecret] turns them back.
//
// # When a secret has leaked
//
// [App.Exposure] lists the sites for which it verifies, and what each would be left with. [App.Revoke] bars it for good
// for all tenants, [App.RevokeFor] for one: it verifies no request and no callback, is evidence of nothing, and no
// callback brings it back. Every row is held against the revocations when it is read, here and on every replica.
//
// # Promises
//
//   - No request is accepted without a valid signature by a usable secret that this tenant was offered, or by an
//     app-wide one while the tenant is on such a secret, made for that URL or of a kind that the route takes. The
//     protocol covers neither the body nor a replay within a token's life.
//   - A callback that was answered with 204 is in the store for good.
//   - With signed installs, no single crash, lost answer, race or replay locks a site out or lets in a secret that the
//     site did not send.
//   - A revoked secret verifies nothing: where it was revoked at once, elsewhere within [Config].CacheTTL, or within
//     [Config].MaxStale on a replica that is cut off from its store.
//   - No secret and no token appears in what is logged, returned or printed.
//   - A request of a tenant that was read within four fifths of [Config].CacheTTL, with a secret that it had then, waits
//     for nothing.
//
// # Limits
//
// What the rules cannot tell apart, they decide in favour of the site that is alive. What remains:
//
//   - Two callbacks that both fail, each with a page load inside it and Settle between them, and no other page load, look
//     like a site that has settled. The next signed install mends that; a symmetric installation stays locked out.
//   - A thief who holds a secret that the site was offered and did not keep can settle on it while the site makes no
//     request: for twice Settle, or for a week if the two were seen side by side, which is reported as contested.
//   - A leaked secret that somebody uses at least once a week is not retired by rotations. It stays contested, and in the
//     end the row is full and updates are answered 503: revoke it.
//   - A site that makes no request for 23 hours can lose its secret to seven updates that all fail after our commit,
//     unless it was the last one that a page load has shown Settle after an offer.
//   - A site whose uninstalled callback was lost while eight secrets were waiting can install again only a day after its
//     last request.
//   - A callback whose token was never claimed, since it was lost on its way, answered 503 before, or met a crash, can be
//     sent again with another body by whoever has read that token, for as long as it lives.
//   - An app-wide secret removes the wall between the tenants that are bound to it: who has it can sign as any of them.
//     If a site makes no request for a week, he can also settle on it, though the site was never offered it.
//   - A site whose app-wide secret was revoked waits for another one until it has settled on a secret of its own, and till
//     then verifies with any that is configured.
//   - An app-wide secret may be taken out of the configuration when no installation needs it. A site that signs with
//     it, was never offered it and has made no request is not known to need it; nor, to [App.Check], is
//     an uninstalled one, of which [App.Report] knows.
//   - A symmetric site whose only secret was revoked is locked out for good, since it signs its installs with it.
//   - A symmetric first install that crashes before our commit leaves the site with a secret that we never had.
//   - Two callbacks made within one second are applied in the order in which they arrive; enabled and disabled of one
//     second also when they arrive again.
//   - A database that was restored from a backup is behind its sites until their next installed callback.
package core
