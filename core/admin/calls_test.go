package admin_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

// pageOf returns the status of a page of the site: 404 comes from behind the authentication.
func pageOf(t *testing.T, site *fakehost.Site) int {
	t.Helper()
	got, err := site.Get(t.Context(), "/panel")
	if err != nil {
		t.Fatal(err)
	}
	return got.StatusCode
}

const accepted = http.StatusNotFound

func TestProgressIsTheReport(t *testing.T) {
	t.Parallel()
	w := setup(t, withAppWide(t))
	w.install(t, "ada", appWide)
	w.install(t, "bob")
	w.install(t, "cyd")

	report := func(query string) (r core.Report) {
		t.Helper()
		w.get(t, "/admin/progress"+query).read(t, &r)
		return r
	}
	if r := report(""); r.Target != core.TargetAppWide || r.Live != 3 || r.OnTarget != 1 || len(r.Stragglers) != 2 {
		t.Errorf("got %+v, want one of three sites on the app-wide secret, and two stragglers", r)
	}
	if r := report("?target=own&stragglers=1"); r.Target != core.TargetOwn || r.OnTarget != 2 || len(r.Stragglers) != 1 {
		t.Errorf("target own: got %+v, want two of three sites on a secret of their own, and a straggler", r)
	}
	if r := report("?stragglers=1"); len(r.Stragglers) != 1 || r.StragglersLeftOut != 1 {
		t.Errorf("stragglers=1: got %+v, want one straggler, and one left out", r)
	}
	if r := report("?stragglers=0"); len(r.Stragglers) != 0 || r.StragglersLeftOut != 2 {
		t.Errorf("stragglers=0: got %+v, want none listed, and two left out", r)
	}
	w.clock.advance(40 * 24 * time.Hour)
	if r := report("?activeDays=39"); r.Live != 0 || r.Total != 3 {
		t.Errorf("activeDays=39, after 40 days: got %+v, want nobody live", r)
	}
	if r := report("?activeDays=41"); r.Live != 3 {
		t.Errorf("activeDays=41, after 40 days: got %+v, want three live", r)
	}
}

func TestInstallationsAreAllOrOneWithItsHistory(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.get(t, "/admin/installations").want(t, 200, "[]")
	w.install(t, "bob")
	ada := w.install(t, "ada")
	before := ada.Fingerprint()
	w.clock.advance(time.Second)
	if _, err := ada.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}

	var all []core.TenantStatus
	w.get(t, "/admin/installations").read(t, &all)
	if len(all) != 2 || all[0].ClientKey != "ada" || all[1].ClientKey != "bob" || string(all[0].Fingerprint) != ada.Fingerprint() {
		t.Errorf("got %+v, want ada, with the secret of the rotation, and bob", all)
	}
	var one core.TenantStatus
	w.get(t, "/admin/installations?clientKey=ada").read(t, &one)
	if len(one.Secrets) != 2 || string(one.Secrets[0].Fingerprint) != before || string(one.Secrets[1].Fingerprint) != ada.Fingerprint() {
		t.Errorf("got %+v, want ada with both of its secrets", one)
	}
}

func TestALeakedSecretIsLookedAtAndThenRevoked(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const leaked = "a secret that everybody knows"
	ada, bob, cyd := w.install(t, "ada", leaked), w.install(t, "bob", leaked), w.install(t, "cyd")
	w.clock.advance(time.Second)
	if _, err := bob.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	fingerprint := `"fingerprint":"` + ada.Fingerprint() + `"`

	adaLine := `{"clientKey":"ada","baseUrl":"` + ada.BaseURL() + `","standing":"only"}`
	bobLine := `{"clientKey":"bob","baseUrl":"` + bob.BaseURL() + `","standing":"unsettled"}`
	w.post(t, "/admin/revoke", `{`+fingerprint+`,"dryRun":true}`).want(t, 200, "["+adaLine+","+bobLine+"]")
	w.post(t, "/admin/revoke", `{`+fingerprint+`,"dryRun":true,"clientKey":"bob"}`).want(t, 200, "["+bobLine+"]")
	w.post(t, "/admin/revoke", `{`+fingerprint+`,"dryRun":true,"clientKey":"cyd"}`).want(t, 200, "[]")
	if got := pageOf(t, ada); got != accepted || len(w.log.lines("an operator")) != 0 {
		t.Errorf("after a dry run: got %d for a page, want it accepted, and nothing logged:\n%s", got, w.log)
	}

	w.post(t, "/admin/revoke", `{`+fingerprint+`,"reason":"in a screenshot"}`).want(t, 200, `{"installations":2}`)
	if got := []int{pageOf(t, ada), pageOf(t, bob), pageOf(t, cyd)}; !slices.Equal(got, []int{401, accepted, accepted}) {
		t.Errorf("pages of ada, bob, cyd: got %v, want 401 for ada only", got)
	}
	w.post(t, "/admin/revoke", `{`+fingerprint+`,"dryRun":true}`).want(t, 200, "[]")
	w.post(t, "/admin/revoke", `{`+fingerprint+`,"reason":"once more"}`).want(t, 200, `{"installations":0}`)
}

func TestASecretIsRevokedForOneTenant(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const shared = "a secret that two sites have"
	ada, bob := w.install(t, "ada", shared), w.install(t, "bob", shared)

	w.post(t, "/admin/revoke", `{"fingerprint":"`+ada.Fingerprint()+`","reason":"r","clientKey":"ada"}`).
		want(t, 200, `{"installations":1}`)
	if got := []int{pageOf(t, ada), pageOf(t, bob)}; !slices.Equal(got, []int{401, accepted}) {
		t.Errorf("pages of ada, bob: got %v, want 401 for ada only", got)
	}
	// A slip in the fingerprint shows.
	w.post(t, "/admin/revoke", `{"fingerprint":"`+unknown+`","reason":"r","clientKey":"bob"}`).
		want(t, 200, `{"installations":0}`)
}

func TestStoredCopiesBecomeBindingsAndCopiesAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, clientKey := range []string{"ada", "bob", "cyd"} {
		w.install(t, clientKey, appWide)
	}
	w = w.replica(t, withAppWide(t))
	bound := func(want ...bool) {
		t.Helper()
		for n, clientKey := range []string{"ada", "bob", "cyd"} {
			if got := w.row(t, clientKey).Secrets[0].Bound; got != want[n] {
				t.Errorf("%s: got bound %v, want %v", clientKey, got, want[n])
			}
		}
	}
	w.post(t, "/admin/adopt", `{"dryRun":true}`).want(t, 200, `{"seen":3,"moved":3,"skipped":0,"next":""}`)
	bound(false, false, false)
	w.post(t, "/admin/adopt", `{"limit":2}`).want(t, 200, `{"seen":2,"moved":2,"skipped":0,"next":"bob"}`)
	bound(true, true, false)
	w.post(t, "/admin/adopt", `{"after":"bob"}`).want(t, 200, `{"seen":1,"moved":1,"skipped":0,"next":""}`)
	bound(true, true, true)
	w.post(t, "/admin/release", `{"dryRun":true,"after":"ada"}`).want(t, 200, `{"seen":2,"moved":2,"skipped":0,"next":""}`)
	w.post(t, "/admin/release", `{"after":"ada"}`).want(t, 200, `{"seen":2,"moved":2,"skipped":0,"next":""}`)
	bound(true, false, false)
}

func TestFormerCustomersArePurged(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.install(t, "ada")
	bob := w.install(t, "bob")
	w.clock.advance(time.Second)
	if _, err := bob.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(40 * 24 * time.Hour)

	w.post(t, "/admin/purge", `{"olderThanDays":41}`).want(t, 200, `{"seen":2,"moved":0,"skipped":0,"next":""}`)
	w.post(t, "/admin/purge", `{"olderThanDays":39,"dryRun":true}`).want(t, 200, `{"seen":2,"moved":1,"skipped":0,"next":""}`)
	if w.row(t, "bob") == nil {
		t.Error("after a dry run bob is gone")
	}
	w.post(t, "/admin/purge", `{"olderThanDays":39}`).want(t, 200, `{"seen":2,"moved":1,"skipped":0,"next":""}`)
	if w.row(t, "bob") != nil || w.row(t, "ada") == nil {
		t.Error("want ada alone to be left")
	}
}

func TestOneInstallationIsErasedUnlessItIsAlive(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ada := w.install(t, "ada")
	w.clock.advance(2 * time.Hour)
	w.post(t, "/admin/erase", `{"clientKey":"ada"}`).wantError(t, http.StatusConflict, "the app is installed")
	if _, err := ada.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.post(t, "/admin/erase", `{"clientKey":"ada"}`).wantError(t, http.StatusConflict, "try in an hour")
	w.clock.advance(2 * time.Hour)
	w.post(t, "/admin/erase", `{"clientKey":"ada"}`).want(t, 200, `{"installations":1}`)
	if w.row(t, "ada") != nil {
		t.Error("ada is still there")
	}
	w.post(t, "/admin/erase", `{"clientKey":"ada"}`).wantError(t, http.StatusNotFound, "no installation")
}

func TestACallIsNamedByTheEndOfThePath(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, target := range []string{"/admin/installations", "/admin/ops/installations", "/admin/admin/installations"} {
		w.get(t, target).want(t, 200, "[]")
	}
}

func TestWhoHasChangedWhatIsInTheLog(t *testing.T) {
	t.Parallel()
	w := setup(t, withAppWide(t))
	ada := w.install(t, "ada")
	for _, test := range []struct {
		target, body string
		want         []string
	}{
		{"/admin/revoke", `{"fingerprint":"` + ada.Fingerprint() + `","reason":"in a log"}`,
			[]string{"call=revoke", "secret=" + ada.Fingerprint()[:12], `client_key=""`, `reason="in a log"`}},
		{"/admin/revoke", `{"fingerprint":"` + unknown + `","reason":"r","clientKey":"ada"}`,
			[]string{"call=revoke", "client_key=ada"}},
		{"/admin/adopt", `{"after":"ada","limit":7}`, []string{"call=adopt", "after=ada", "limit=7"}},
		{"/admin/release", `{}`, []string{"call=release"}},
		{"/admin/purge", `{"olderThanDays":30}`, []string{"call=purge", "older_than_days=30"}},
		{"/admin/erase", `{"clientKey":"ada"}`, []string{"call=erase", "client_key=ada"}},
	} {
		logged := len(w.log.lines())
		w.post(t, test.target, test.body)
		lines := w.log.lines(append(test.want, "an operator", "remote=127.0.0.1:")...)
		before := slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, "an operator changes") })
		after := slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, "an operator has changed") })
		if !before || !after {
			t.Errorf("%s: the log has not two lines with %q, but\n%s", test.target, test.want, strings.Join(w.log.lines()[logged:], ""))
		}
	}
	for _, test := range []struct{ target, body string }{
		{"/admin/adopt", `{"dryRun":true}`}, {"/admin/erase", `{"clientKey":""}`},
	} {
		logged := len(w.log.lines("an operator"))
		w.post(t, test.target, test.body)
		if got := len(w.log.lines("an operator")); got != logged {
			t.Errorf("%s %s: changes nothing, but the log says so", test.target, test.body)
		}
	}
}
