package faults

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
)

// stands checks that a callback which was accepted stands in the row, as it was at the last look.
func (w *world) stands(request *message, when string) {
	w.t.Helper()
	if request == nil || request.head.Method != http.MethodPost {
		return
	}
	var said struct {
		EventType                                        fakehost.Event
		ClientKey, BaseURL, PluginsVersion, SharedSecret string
	}
	if err := json.Unmarshal(request.body, &said); err != nil {
		w.t.Fatal(err)
	}
	wrong := ""
	row := w.rows[core.Key{AppKey: w.appKey, ClientKey: said.ClientKey}]
	switch {
	case said.EventType == fakehost.Uninstalled:
		if row != nil && row.State != core.Uninstalled {
			wrong = "the app counts as installed"
		}
	case row == nil:
		wrong = "there is no row"
	case said.EventType != fakehost.Installed:
		if row.Disabled != (said.EventType == fakehost.Disabled) {
			wrong = fmt.Sprintf("the row says disabled: %t", row.Disabled)
		}
	case row.State != core.Installed:
		wrong = "the app does not count as installed"
	case row.Site.BaseURL != said.BaseURL:
		wrong = fmt.Sprintf("the base URL is %s, want %s", row.Site.BaseURL, said.BaseURL)
	case row.Site.PluginsVersion != said.PluginsVersion:
		wrong = fmt.Sprintf("the plugins' version is %s, want %s", row.Site.PluginsVersion, said.PluginsVersion)
	case said.SharedSecret != "" && !holds(row, said.SharedSecret):
		wrong = "the offered secret is not usable"
	}
	if wrong != "" {
		w.t.Errorf("%s: %s was accepted, but %s", when, said.EventType, wrong)
	}
}

// holds reports whether the secret verifies requests by this row.
func holds(row *core.Installation, secret string) bool {
	return row != nil && slices.ContainsFunc(row.Secrets, func(s core.StoredSecret) bool {
		return s.State == core.Usable && s.Value.Reveal() == secret
	})
}

// letsIn checks that the site is not locked out: neither by what a fresh reader found in the row, nor by what a fresh
// replica answers to a page.
func (w *world) letsIn(when string) {
	w.t.Helper()
	site := w.acting()
	if !site.Installed() {
		return
	}
	if row := w.rows[w.key(site)]; row == nil || row.State != core.Installed || !holds(row, site.Secret()) {
		w.t.Errorf("%s: the site signs with a secret that the app does not have", when)
	}
	w.elsewhere(reading{w.ledger, w.rows}, func(fresh *inprocess.App) {
		w.wire.connect(fresh)
		defer w.wire.connect(w.app)
		if status := w.visit(w.t.Context(), site); status != http.StatusOK {
			w.t.Errorf("%s: the site is locked out: a page is answered %d, want 200", when, status)
		}
	})
}

// isNotAhead checks that the replica believes no secret that was offered to it and did not get into the store.
func (w *world) isNotAhead(request *message) {
	w.t.Helper()
	if request == nil {
		return
	}
	var said struct{ ClientKey, SharedSecret string }
	_ = json.Unmarshal(request.body, &said) // a page has no body
	if said.SharedSecret == "" || holds(w.rows[core.Key{AppKey: w.appKey, ClientKey: said.ClientKey}], said.SharedSecret) {
		return
	}
	if status := w.visitWith(w.t.Context(), w.acting(), said.SharedSecret); status != http.StatusUnauthorized {
		w.t.Errorf("a page signed with a secret that is not in the store is answered %d, want 401", status)
	}
}

// hasLearnt checks that the row holds what it had to learn.
func (w *world) hasLearnt(when string) {
	w.t.Helper()
	if w.flow.learnt == nil {
		return
	}
	if lacking := w.flow.learnt(w, w.rows[w.key(w.site)]); lacking != "" {
		w.t.Errorf("%s: %s", when, lacking)
	}
}

// end checks that the app still serves the site, can be closed, and has given nothing away.
func (w *world) end() {
	w.t.Helper()
	want := http.StatusOK
	if !w.acting().Installed() {
		want = http.StatusUnauthorized
	}
	// An unknown tenant has nothing to sign with.
	if w.acting().Secret() != "" {
		if status := w.visit(w.t.Context(), w.acting()); status != want {
			w.t.Errorf("in the end a page of the site is answered %d, want %d", status, want)
		}
	}
	w.close(w.app)
	secrets, tokens := w.wire.overheard()
	if len(tokens) == 0 {
		w.t.Error("no token was overheard: there is nothing to look for in the journal")
	}
	if what := leak(w.journal.String(), secrets, tokens); what != "" {
		w.t.Errorf("the app has given away %s:\n%s", what, w.journal)
	}
}
