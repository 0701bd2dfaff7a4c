package histories

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
)

// delivery is one callback on its way: the request as it left the site.
type delivery struct {
	name    string
	event   fakehost.Event
	request *http.Request
	body    string
	madeAt  time.Time
	offers  core.Fingerprint // "" if it brings no secret, or one that is too short
	short   bool
	waiting chan int // for the status of an answer, or 0 for one that is lost
	claimed bool
	commits int   // by any replica
	answers []int // of any replica; the site waits for one of them
}

// handling is the work of one replica on one arrival of a callback.
type handling struct {
	name     string
	delivery *delivery
	replica  *replica
	store    *store
	tampered bool // the body is a thief's
	commits  int
	saw      *core.Installation // the row when it last looked or wrote
	misheard bool               // a write was done, or may be done later, but was reported as failed
	status   int                // of the answer, once there is one
}

// mishears notes that the replica is told that a write has failed which was done, or will be. h may be nil.
func (h *handling) mishears() {
	if h != nil {
		h.misheard = true
	}
}

// network carries what the site sends. Its callbacks wait there for the steps; what else is sent reaches a replica at once.
type network struct{ world *world }

func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	d, ok := r.Context().Value(deliveryKey{}).(*delivery)
	if !ok {
		return inprocess.Transport(n.world.replicas[0].app).RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	n.world.mu.Lock()
	d.request, d.body = r, string(body)
	n.world.mu.Unlock()
	select {
	case status := <-d.waiting:
		if status == 0 {
			return nil, io.ErrUnexpectedEOF
		}
		return &http.Response{StatusCode: status, Body: http.NoBody, Request: r}, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

type deliveryKey struct{}

// call has the site send a callback. It goes on in the background until the site has an answer, or no patience left.
// No two callbacks are made within a second: their order would not be known.
func (w *world) call(event fakehost.Event, prepare func(*fakehost.Callback)) {
	if next := w.lastCalled.Add(time.Second); time.Now().Before(next) {
		w.pass(time.Until(next))
	}
	c := w.site.Callback(event)
	prepare(c)
	d := &delivery{
		name: fmt.Sprintf("%s %d", event, len(w.delivered)+1), event: event,
		madeAt: time.Now(), waiting: make(chan int, 1),
	}
	secret, ok := c.Payload["sharedSecret"].(string)
	d.short = ok && len(secret) < 16
	if ok && !d.short && event == fakehost.Installed {
		d.offers = w.know(secret)
		if !w.sent[d.offers] {
			w.offered = append(w.offered, d.offers)
		}
		w.sent[d.offers] = true
	}
	w.lastCalled = d.madeAt
	w.delivered = append(w.delivered, d)
	sign(c, len(w.delivered))
	w.tell("the site calls: %s offers %s", d.name, d.offers.Short())
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), deliveryKey{}, d), patience)
	if event == fakehost.Enabled || event == fakehost.Disabled {
		go func() { // What comes of it means nothing to the site.
			defer cancel()
			_, _ = c.Send(ctx)
		}()
	} else {
		w.kept, w.calling = w.site.Secret(), d
		go func() {
			defer cancel()
			_, err := c.Send(ctx)
			w.over(d, err)
		}()
	}
	w.aside(synctest.Wait)
}

// sign signs the callback. Most histories begin alike, and an RSA signature takes longer than all the rest of a step, so
// these are remembered.
func sign(c *fakehost.Callback, number int) {
	if c.Token == nil {
		return
	}
	c.Token.Claims["jti"] = strconv.Itoa(number)
	claims := fmt.Sprint(c.Token.Claims)
	signed, ok := signatures.Load(claims)
	if symmetric := c.Token.Header["alg"] == "HS256"; symmetric || !ok {
		text, err := c.Token.Sign()
		if err != nil {
			panic(err)
		}
		signed = text
		if !symmetric {
			signatures.Store(claims, text)
		}
	}
	c.Token = nil
	c.Header.Set("Authorization", "JWT "+signed.(string))
}

var signatures sync.Map // by claims

// over is the end of a callback for the site.
func (w *world) over(d *delivery, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calling = nil
	if err != nil {
		w.unproven++
		if d.commits > 0 {
			w.events[lostAnswer] = true
		}
		w.tell("the site gives %s up and is on %s", d.name, w.live().Short())
		return
	}
	w.tell("the site has its answer to %s and is on %s", d.name, w.live().Short())
	if w.live() != w.fingerprint(w.kept) {
		w.unproven = 0
	}
}

// arrive lets a callback reach a replica, perhaps not for the first time, and perhaps with another body.
func (w *world) arrive(d *delivery, r *replica, body string) *handling {
	h := &handling{
		name: fmt.Sprintf("%s at %s", d.name, r.name), delivery: d, replica: r, store: r.store, tampered: body != d.body,
	}
	w.handlings = append(w.handlings, h)
	w.tell("%s arrives, tampered with: %t", h.name, h.tampered)
	request := httptest.NewRequestWithContext(context.WithValue(context.Background(), handlingKey{}, h),
		http.MethodPost, d.request.URL.RequestURI(), strings.NewReader(body))
	request.Header = d.request.Header.Clone()
	handler := r.app
	go func() {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		w.mu.Lock()
		defer w.mu.Unlock()
		h.status = recorder.Code
	}()
	w.settleDown()
	return h
}

type handlingKey struct{}

// settleDown lets all goroutines run until they stop, and looks at what has come of the callbacks.
func (w *world) settleDown() {
	w.aside(synctest.Wait)
	w.handlings = slices.DeleteFunc(w.handlings, func(h *handling) bool {
		if h.status == 0 {
			return false
		}
		if h.store.dead {
			w.tell("%s: nobody sees the answer", h.name)
			return true
		}
		w.tell("%s: %d", h.name, h.status)
		w.checkAnswer(h)
		if !h.tampered {
			h.delivery.answers = append(h.delivery.answers, h.status)
		}
		return true
	})
}

// answer lets the site have the first answer that there is, or none.
func (w *world) answer(d *delivery) {
	if len(d.answers) > 0 {
		d.waiting <- d.answers[0]
	} else {
		d.waiting <- 0
	}
	w.settleDown()
}
