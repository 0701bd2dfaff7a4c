// Package adaptertest tests adapters, which bring an app to a web framework, whoever wrote them. It speaks to them over
// TCP in bytes of its own, since most clients clean what they send, and needs nothing but the standard library and core:
//
//	func TestAdapter(t *testing.T) {
//		adaptertest.Run(t, func(s *adaptertest.Setup) func(net.Listener) error {
//			router := framework.New()
//			… // mount what Setup asks for, some 25 lines
//			return (&http.Server{Handler: router}).Serve
//		})
//	}
//
// The tests of httpconnect are an example to copy. A failure says what came and what was wanted, then the rule that is
// broken and the line of this package that states it. The rules are below, each under the name of its subtest. Each one
// has an app of its own, once at the root and once below a path.
//
// # What a framework may do
//
// A framework may stop an odd request, or redirect it, before the adapter is asked: with a status of 3xx, of 4xx but
// 401, or 501. Where it does not, the adapter's verdict must be the core's on the very bytes that were sent. Run logs
// what is stopped, and [Targets] returns it.
//
// # What Run cannot see
//
// An adapter needs tests of its own for what only its framework knows: how the reason of a refusal reaches the
// framework's error handler or log, and that no log of the framework shows a token.
//
// # Target
//
//   - as sent: Where a request reaches the handler, the core has got its method and target byte for byte.
//   - site's token: A site signs the decoded path; such a request is judged as the core judges its bytes.
//   - look-alikes: A token for what a parser might make of a target is judged as the core judges the bytes sent.
//   - parameter last: With the token in the query of an odd target the verdict is the core's on the bytes sent.
//   - HEAD: HEAD reaches a handler for any method, is verified as HEAD, and is answered without a body.
//
// # Token
//
//   - header: A token arrives in the Authorization header, whatever the case of the field's name and the scheme.
//   - parameter: A token arrives in the parameter jwt, wherever that stands in the query.
//   - two places: A token in the header and one in the query are refused, equal or not, and whichever is genuine.
//   - two headers: Two Authorization headers with a token each are refused, equal or not, and whichever is genuine.
//   - two parameters: Two parameters jwt are refused, equal or not, and however their names are encoded.
//   - other schemes: An Authorization header of another scheme is no token, and hides none before or after it.
//   - nowhere else: A token in a form body, a cookie or another header is none.
//
// # Handler
//
//   - principal: A handler gets the principal from the adapter and, the same one, from the request's own context.
//   - no principal: On a route without Authenticate there is no principal, though the request carries a genuine
//     token.
//   - earlier values: What earlier middleware has kept is still there, in the framework's way and in the request's
//     context.
//   - core's context: The core gets the request's context, with what earlier middleware has put into it.
//   - body: Authenticate leaves the body to the handler, whole, chunked or not.
//   - refused: The handler does not run after a refusal, whatever the reason.
//   - token kinds: A route takes the kinds of token that it was given, or else none but URL-bound ones.
//   - nested: A nested Authenticate re-uses the principal if it accepts its kind, and else verifies anew.
//
// # Refusal
//
//   - status: A refusal has the status that the core has for it: 401, or 503 while the store is down.
//   - header: A refusal has the header fields that the core has for it, with the id under which it was logged.
//   - empty: A refusal has no body.
//   - alike: All refusals with 401 are equal in every byte but date and id: unknown tenant, bad signature and all.
//   - once: The core is asked once for a request that it refuses.
//   - unread body: The body of a refused request is not taken for the next request on the connection.
//
// # Connection
//
//   - kept strings: Method, target and header that the core was given stay as they were through 100 later requests.
//   - kept principal: A principal, and the context that carries it, stay as they were through 100 later requests.
//   - one after another: Of requests that follow each other on a connection, each is judged and seen by itself.
//   - pipelined: Requests that are sent before the answers to earlier ones are answered in their order.
//   - tenants: Hundreds of tenants on connections that they share, all at once, never see each other.
//
// # Lifecycle
//
//   - stored: A callback is answered with 204, without a body, and not before it is stored.
//   - events: Each callback is handled as the event of its route.
//   - token: The token of a callback arrives in the header or the query, and is refused in both at once.
//   - refused: A refused callback has the core's status, 401, 400, 409 or 503, no body, and nothing is stored.
//   - 64 KiB: A body of 64 KiB is taken; with one byte more it is 413, chunked or not, and nothing is stored.
//   - huge body: Of a body of 8 MiB no more than 6 MiB are read before it is refused, and nothing is stored.
//   - one after another: Of callbacks that follow each other on a connection, each is stored with what it has
//     brought.
//   - expect: A client that expects 100 Continue before it sends the body is told to go on.
//
// # Client
//
//   - hangs up in the body: A callback whose client hangs up before the end of the body is not stored.
//   - hangs up after the body: A callback whose client hangs up right after it has sent it is stored.
//   - is served again: Clients that hang up at any point of a request leave an app that serves others.
//
// # Descriptor
//
//   - GET: The descriptor is served to everybody, byte for byte, as application/json.
//   - HEAD: HEAD of the descriptor is answered as GET is, without the body.
package adaptertest
