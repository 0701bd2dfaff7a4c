// Package storetest tests implementations of [core.Store], whoever wrote them. It needs nothing but the standard
// library:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(*testing.T) core.Store { return memstore.New() })
//	}
//
// A failure says what came and what was wanted, then the rule that is broken and the line of this package that
// states it. The rules are below, each under the name of its subtest.
//
// # Shared databases
//
// Every rule works under app keys that it makes at random, so many runs can share one database, one after another or
// at once. Run removes nothing: it leaves installations, claims and revocations behind under app keys that begin
// with "storetest.", with or without characters before it.
//
// # What Run cannot see
//
// A store needs tests of its own for what does not show through one value of the interface:
//
//   - A row survives a crash of the process right after Put has returned.
//   - Get returns what another replica has put.
//   - Secrets are sealed at rest.
//   - A row with secrets that cannot be opened, since their key is gone, comes back from Get and from List as
//     unreadable. It hides no other row, and loses nothing when it is put back.
//   - Bindings reads an index: health checks call it, however many installations there are.
//
// # Get
//
//   - missing row: Get of a key that has no row returns ErrNotFound.
//   - every field: Every field of an installation comes back as it was put; Activity alone is not Put's to write.
//   - zero values: A field that is put back to its zero value comes back zero; a zero time stays zero.
//   - times: A time comes back as the same second, from 1900 to 9999; the Unix epoch is not the zero time.
//   - time zones: A time comes back in UTC, whatever location it was put in.
//   - secret sizes: A secret comes back whole, at every length that core lets through.
//   - secret bytes: A secret comes back byte for byte: it may hold NUL, quotes, and what is not UTF-8.
//   - sealed secret: A secret put as Sealed, without a Value, comes back the same: opaque bytes and no Value.
//   - bindings: A binding comes back as one, in every state. No copy of its secret is kept, should one be put.
//   - many secrets: A row holds 8 usable secrets of 4 KiB and 200 retired ones, and keeps their order.
//   - many claims: A row holds 16 applied claims, and keeps their order.
//   - site text: What a site says of itself comes back byte for byte: 2,000 characters, any script, 4-byte UTF-8.
//
// # Keys
//
//   - client keys: Client keys are compared byte by byte: no case, accent, trailing space or wildcard makes two
//     equal.
//   - app keys: App keys are compared byte by byte, for installations, bindings, claims and revocations alike.
//   - 255 bytes: A client key has up to 255 bytes, and the last one counts.
//
// # Put
//
//   - create: Put at revision 0 creates the row, at a revision above 0 that Get then returns.
//   - existing row: Put at revision 0 of a key that has a row returns ErrConflict and changes nothing.
//   - other revision: Put at another revision than the stored one, older or newer, is ErrConflict and changes
//     nothing.
//   - missing row: Put at a revision above 0 of a key that has no row returns ErrConflict and creates none.
//   - revision grows: Every Put returns a greater revision, also if it changes nothing else.
//   - own row only: Put changes no other row: not of the app's other clients, not of the client's other apps.
//   - one winner: Of many that put on one revision at once one wins; the others get ErrConflict and leave no trace.
//   - one creator: Of many that create one row at once one wins; the others get ErrConflict and leave no trace.
//   - no lost update: Writers that get, change and put, and start over on ErrConflict, all get through and lose no
//     change.
//
// # Delete
//
//   - removes: A deleted row is gone for Get, List, Find and Bindings.
//   - other revision: Delete at another revision than the stored one returns ErrConflict and changes nothing.
//   - missing row: Delete of a key that has no row returns ErrNotFound, whatever the revision.
//   - own row only: Delete removes no other row: not of the app's other clients, not of the client's other apps.
//   - revision not re-used: A row that is put again after Delete goes on with a greater revision; the old ones stay
//     in conflict.
//   - nothing comes back: A row that is put again after Delete is new: nothing of the old one is left, its Activity
//     neither.
//   - claims and revocations stay: Delete removes neither the app's claims nor the tenant's revocations: what was
//     barred stays barred.
//   - one winner: Of many that delete or put at once one wins; the others get ErrConflict or ErrNotFound.
//
// # List
//
//   - byte order: List returns the app's installations in ascending byte order of the client key.
//   - limit: List returns no more than limit installations, the first ones after the given key.
//   - pages: A walk that goes on after the last key of each page sees every row once, whatever the limit.
//   - after a key that is gone: The key that List goes on after need not exist: rows that go meanwhile hide no
//     others.
//   - own rows only: List returns no row of another app.
//   - no more: List past the last row, or of an app without rows, returns an empty list and no error.
//   - whole rows: List returns each installation as Get does: every field, the revision and the activity.
//
// # Find
//
//   - base URL: Find by base URL returns the keys of the installations at that base URL, of no other property.
//   - installation id: Find by installation id returns the keys of the installations with that id, of no other
//     property.
//   - byte order: Find returns every key with the value, in ascending byte order of the client key.
//   - exact bytes: Find compares values byte by byte: no case, accent, trailing space or wildcard makes two equal.
//   - long values: Find compares values whole: two of 2,000 characters that differ in the last one are different.
//   - empty value: Find of an empty value finds nothing, though some installations have none.
//   - changes: Find follows every Put: an installation is found by its present value only.
//   - own rows only: Find returns no key of another app.
//   - none: Find of a value that no installation has returns an empty list and no error.
//
// # Bindings
//
//   - counts: Bindings counts the installed installations of the app by the app-wide secret that they are bound to.
//   - several: An installation counts for each of its usable bindings, be it all 8 that a row may have.
//   - usable only: A retired or revoked binding counts for nothing.
//   - own secrets: A secret of the tenant's own counts for nothing, be it the same as an app-wide one or
//     unreadable.
//   - installed only: An installation that is not installed counts for nothing.
//   - changes: Bindings follows every Put and Delete; one that is in conflict changes no count.
//   - own rows only: Bindings counts no installation of another app.
//   - none: Bindings of an app without bindings returns an empty map and no error.
//   - at once: Installations that are put and deleted at once are counted as if it was done one by one.
//
// # Touch
//
//   - records: Every field of an activity comes back as it was touched, its times in UTC.
//   - nothing else: Touch changes no revision, no UpdatedAt, no other field: a Put at the revision read before it
//     wins.
//   - kept by Put: Put writes no activity, neither the first one of a row nor an older one over a newer.
//   - zero fields: Touch leaves alone what is zero in the activity; nothing to change is no error.
//   - never back: Touch moves no time back, and an older one is no error.
//   - one refusal: The time and the reason of a refusal are one fact: an older one replaces neither, a newer one
//     both.
//   - one use: The time and the secret of a first use are one fact: an older one replaces neither, a newer one
//     both.
//   - missing row: Touch of a key that has no row returns ErrNotFound and creates none.
//   - own row only: Touch changes no other row: not of the app's other clients, not of the client's other apps.
//   - at once with Put: Touches and Puts at once undo nothing of each other: the newest time and every update are
//     there.
//
// # Claim
//
//   - every field: Every field of a claim comes back as it was stored, its times in UTC.
//   - first stays: A second claim of an ID changes nothing, and is answered with the first one, the whole of it.
//   - ids apart: Claims of different IDs, or of the same ID under different app keys, know nothing of each other.
//   - one winner: Of many that claim an ID at once one is stored, and all are answered with it.
//   - kept until it expires: A claim is not forgotten before it has expired by the At of another claim, however many
//     come.
//   - expired: A claim of an expired ID is answered with the expired claim or the new one, which then stays.
//
// # Revoke
//
//   - every field: Every field of a revocation comes back as it was stored, its time in UTC.
//   - first stays: A second revocation of a secret, for the same tenant or the app, is no error and changes nothing.
//   - each apart: Revocations of other secrets, for other tenants or for the whole app, are stored beside each
//     other.
//   - own app only: Revocations returns those of the app and of no other; none is an empty list and no error.
//   - one winner: Of many that revoke the same secret at once one is stored, and none gets an error.
//
// # Memory
//
//   - of Put: A store keeps no memory that it was handed: what its caller does to it after Put changes nothing.
//   - of Get: What Get returns is the caller's: changing it changes nothing stored, nor what others got.
//   - of List: What List returns is the caller's: changing it changes nothing stored, nor what others got.
//   - of Find: The keys that Find returns are the caller's: changing them changes nothing stored.
//   - of Bindings: The counts that Bindings returns are the caller's: changing them changes nothing stored.
//   - of Revocations: The revocations that a store returns are the caller's: changing them changes nothing stored.
//
// # Context
//
//   - cancelled read: Get, List, Find, Bindings and Revocations under a cancelled context fail with
//     context.Canceled.
//   - cancelled write: Put, Delete, Touch, Claim and Revoke under a cancelled context do so too, and change nothing.
package storetest
