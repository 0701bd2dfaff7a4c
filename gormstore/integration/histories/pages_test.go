package histories

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing/synctest"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
)

// page is what a browser loads: a URL with a token.
type page struct {
	name   string
	url    string
	secret core.Fingerprint
	madeAt time.Time
	life   time.Duration
	forged bool // by a thief
}

// open loads the page from a replica and returns the status.
func (w *world) open(p *page, r *replica) int {
	request := httptest.NewRequest(http.MethodGet, p.url, nil)
	recorder := httptest.NewRecorder()
	usable := w.usable(p.secret)
	arrived := time.Now()
	w.aside(func() {
		r.app.ServeHTTP(recorder, request)
		synctest.Wait() // for what the recorder makes of it, too
	})
	w.tell("%s, signed with %s, opens at %s: %d", p.name, p.secret.Short(), r.name, recorder.Code)
	w.checkPage(p, r, arrived, usable, recorder.Code)
	w.settleDown()
	return recorder.Code
}

// makePage has the site make a page, which may be opened later.
func (w *world) makePage(life time.Duration) *page {
	token := w.site.Token(http.MethodGet, "/panel?issue=HB-1")
	token.Claims["exp"] = time.Now().Add(life).Unix()
	p := w.signPage(token, fmt.Sprintf("page of %s", time.Now().Format("02 15:04:05")), life)
	p.secret = w.live()
	return p
}

func (w *world) signPage(token *fakehost.Token, name string, life time.Duration) *page {
	signed, err := token.Sign()
	if err != nil {
		panic(err)
	}
	return &page{
		name: name, url: inprocess.BaseURL + "/panel?issue=HB-1&jwt=" + signed, madeAt: time.Now(), life: life,
	}
}

// forge opens a page of somebody who has the secret, or that of another tenant, and who may say what time it is.
func (w *world) forge(f core.Fingerprint, age time.Duration, r *replica) int {
	token := w.site.Token(http.MethodGet, "/panel?issue=HB-1")
	token.Key = []byte(w.values[f])
	token.Claims["iat"] = time.Now().Add(-age).Unix()
	p := w.signPage(token, "a forged page", 3*time.Minute)
	p.secret, p.forged = f, true
	return w.open(p, r)
}
