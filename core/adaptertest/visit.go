package adaptertest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/hostbond/hostbond/core"
)

// visits collects what the middleware and the handlers of one app see.
type visits struct {
	mu      sync.Mutex
	begun   int
	handled []visit // in the order in which their handlers ran
}

// visit is a request that a handler ran for.
type visit struct {
	ctx   context.Context // of the handler
	value string          // what Before gave to the request that ctx comes from, "" if it comes from none
	seen  Seen            // as reported: an adapter that does not copy lets it change later on
	then  Seen            // a copy of that time
	body  string
}

type valueKey struct{}

func (v *visits) begin(ctx context.Context) (context.Context, string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.begun++
	value := fmt.Sprintf("request %d", v.begun)
	return context.WithValue(ctx, valueKey{}, value), value
}

// valueFrom returns what begin put into the context.
func valueFrom(ctx context.Context) string {
	value, _ := ctx.Value(valueKey{}).(string)
	return value
}

func (v *visits) add(ctx context.Context, seen Seen) string {
	var body []byte
	if seen.Body != nil {
		body, _ = io.ReadAll(seen.Body) // fails when the client has hung up
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	answer := answerTo(len(v.handled))
	v.handled = append(v.handled, visit{ctx, valueFrom(ctx), seen, seen.clone(), string(body)})
	return answer
}

// answerTo is the text with which the handler answers the visit of that number.
func answerTo(n int) string { return fmt.Sprintf("visit %d", n) }

// since returns the visits after the first n.
func (v *visits) since(n int) []visit {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.handled[n:])
}

// answered returns the visit whose handler gave that answer.
func (v *visits) answered(text string) (visit, bool) {
	var n int
	if _, err := fmt.Sscanf(text, "visit %d", &n); err != nil {
		return visit{}, false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if n < 0 || n >= len(v.handled) || text != answerTo(n) {
		return visit{}, false
	}
	return v.handled[n], true
}

// clone returns a copy that shares no memory with s.
func (s Seen) clone() Seen {
	c := Seen{
		Request: core.Request{Method: strings.Clone(s.Request.Method), Target: strings.Clone(s.Request.Target)},
		Value:   strings.Clone(s.Value),
	}
	for _, value := range s.Request.Authorization {
		c.Request.Authorization = append(c.Request.Authorization, strings.Clone(value))
	}
	if s.Principal != nil {
		p := *s.Principal
		p.AppKey, p.ClientKey, p.AccountID = strings.Clone(p.AppKey), strings.Clone(p.ClientKey), strings.Clone(p.AccountID)
		p.Fingerprint = core.Fingerprint(strings.Clone(string(p.Fingerprint)))
		c.Principal = &p
	}
	return c
}
