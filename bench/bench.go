// Package bench measures what it costs to verify a request, beside the middleware that a user of the same framework
// would pick instead. README.md says how to run it and how to read its numbers.
package bench

import (
	"fmt"
	"net/http"
	"testing" //nolint:depguard // a program runs these benchmarks too

	"github.com/valyala/fasthttp"
)

// Comparison is one handler of one framework, which answers 200 and no more, behind several middlewares.
type Comparison struct {
	Framework string
	Programs  []Program // behind none, behind this library's, and behind the rival if the framework has one
}

// Verify reports whether the programs do what is compared: each lets the genuine requests through, and each but the
// first refuses a forged token.
func (c Comparison) Verify() error {
	for i, p := range c.Programs {
		for n := range p.traffic.genuine {
			if got := p.serve(&p.traffic.genuine[n]); got != http.StatusOK {
				return fmt.Errorf("bench: %s, %s: answer to genuine request %d: got %d", c.Framework, p.Name, n, got)
			}
		}
		want := http.StatusUnauthorized
		if i == 0 {
			want = http.StatusOK
		}
		if got := p.serve(&p.traffic.forged); got != want {
			return fmt.Errorf("bench: %s, %s: answer to a forged token: got %d, want %d", c.Framework, p.Name, got, want)
		}
	}
	return nil
}

// Program is a handler behind a middleware.
type Program struct {
	Name    string
	traffic *Traffic
	serve   server
}

// Benchmark serves the genuine requests in turn.
func (p Program) Benchmark(b *testing.B) {
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if got := p.serve(&p.traffic.genuine[n%len(p.traffic.genuine)]); got != http.StatusOK {
			b.Fatalf("answer: got %d, want 200", got)
		}
	}
}

// server serves a request in memory and returns the status of the answer.
type server func(*request) (status int)

// overNetHTTP serves without a recorder, whose allocations would be measured too.
func overNetHTTP(handler http.Handler) server {
	answer := &discard{header: http.Header{}}
	return func(r *request) int {
		clear(answer.header)
		answer.status = http.StatusOK
		handler.ServeHTTP(answer, r.http)
		return answer.status
	}
}

// discard is an answer of which nothing but the status is kept.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// overFastHTTP resets what the server of fasthttp resets after each request, but for the request itself.
func overFastHTTP(handler fasthttp.RequestHandler) server {
	return func(r *request) int {
		handler(r.fast)
		status := r.fast.Response.StatusCode()
		r.fast.Response.Reset()
		r.fast.ResetUserValues()
		return status
	}
}
