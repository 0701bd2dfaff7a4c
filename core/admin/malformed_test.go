package admin_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestWhatACallDoesNotTakeIsRefusedByName(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.install(t, "ada")
	for _, test := range []struct {
		target string // of a GET without a body, else of a POST
		body   string
		status int
		want   string
	}{
		{"/admin/progress?target=all", "", 400, "target: "},
		{"/admin/progress?target=", "", 400, "target: "},
		{"/admin/progress?target=own&target=own", "", 400, "target: "},
		{"/admin/progress?Target=own", "", 400, `"Target"`},
		{"/admin/progress?activeDays=0", "", 400, "activeDays: "},
		{"/admin/progress?activeDays=-1", "", 400, "activeDays: "},
		{"/admin/progress?activeDays=1.5", "", 400, "activeDays: "},
		{"/admin/progress?activeDays=36501", "", 400, "activeDays: "},
		{"/admin/progress?activeDays=99999999999999999999", "", 400, "activeDays: "},
		{"/admin/progress?activeDays=", "", 400, "activeDays: "},
		{"/admin/progress?stragglers=-1", "", 400, "stragglers: "},
		{"/admin/progress?stragglers=1001", "", 400, "stragglers: "},
		{"/admin/progress?stragglers=many", "", 400, "stragglers: "},
		{"/admin/progress?clientKey=ada", "", 400, `"clientKey"`},
		{"/admin/progress?target=own;activeDays=1", "", 400, "query"},
		{"/admin/progress?target=%zz", "", 400, "query"},
		{"/admin/installations?stragglers=1", "", 400, `"stragglers"`},
		{"/admin/installations?target=all", "", 400, "target: "},
		{"/admin/installations?clientKey=", "", 400, "clientKey: "},
		{"/admin/installations?clientKey=a%00", "", 400, "clientKey: "},
		{"/admin/installations?clientKey=%ff", "", 400, "clientKey: "},
		{"/admin/installations?clientKey=" + strings.Repeat("a", 256), "", 400, "clientKey: "},
		{"/admin/installations?clientKey=nobody", "", 404, "no installation"},

		{"/admin/revoke", `{`, 400, "not one JSON object"},
		{"/admin/revoke", `[]`, 400, "not one JSON object"},
		{"/admin/revoke", `null`, 400, "not one JSON object"},
		{"/admin/revoke", `"` + unknown + `"`, 400, "not one JSON object"},
		{"/admin/revoke", `{} {}`, 400, "not one JSON object"},
		{"/admin/revoke", `{}`, 400, "fingerprint: "},
		{"/admin/revoke", `{"fingerprint":7}`, 400, "fingerprint: "},
		{"/admin/revoke", `{"fingerprint":"e3b0c44298fc"}`, 400, "fingerprint: "},
		{"/admin/revoke", `{"fingerprint":"` + strings.ToUpper(unknown) + `","reason":"r"}`, 400, "fingerprint: "},
		{"/admin/revoke", `{"fingerprint":"` + strings.Repeat("g", 64) + `","reason":"r"}`, 400, "fingerprint: "},
		{"/admin/revoke", `{"fingerprint":"` + unknown + `"}`, 400, "reason: "},
		{"/admin/revoke", `{"fingerprint":"` + unknown + `","reason":" "}`, 400, "reason: "},
		{"/admin/revoke", `{"fingerprint":"` + unknown + `","reason":"a\u0000b"}`, 400, "reason: "},
		{"/admin/revoke", `{"fingerprint":"` + unknown + `","reason":"r","clientKey":""}`, 400, "clientKey: "},
		{"/admin/revoke", `{"fingerprint":"` + unknown + `","reason":"r","clientKey":null}`, 400, "clientKey: "},
		{"/admin/revoke", `{"fingerprint":"` + unknown + `","reason":"r","clientKey":"nobody"}`, 404, "no installation"},
		{"/admin/revoke", `{"fingerprint":"` + unknown + `","dryRun":true,"clientKey":"nobody"}`, 404, "no installation"},
		{"/admin/revoke", `{"fingerprint":"` + unknown + `","reason":"r","dryRun":null}`, 400, "dryRun: "},
		{"/admin/revoke", `{"fingerprint":"` + unknown + `","reason":"r","dryRun":"true"}`, 400, "dryRun: "},
		{"/admin/revoke", `{"fingerprint":"` + unknown + `","reason":"r","dryrun":true}`, 400, `"dryrun"`},
		{"/admin/revoke", `{"fingerprint":"` + unknown + `","reason":"r","dry_run":true}`, 400, `"dry_run"`},
		{"/admin/revoke", `{"fingerprint":"` + unknown + `","reason":"r","dryRun":true,"dryRun":false}`, 400, "not one JSON object"},
		{"/admin/revoke", `{"fingerprint":"` + unknown + `","reason":"` + "\xff" + `"}`, 400, "not one JSON object"},
		{"/admin/revoke", `{"fingerprint":"` + unknown + `","reason":"` + strings.Repeat("r", 16<<10) + `"}`, 413, "16 KiB"},
		{"/admin/revoke?dryRun=true", `{"fingerprint":"` + unknown + `","reason":"r"}`, 400, "no parameters in the URL"},

		{"/admin/adopt", ` `, 400, "not one JSON object"},
		{"/admin/adopt", `{"dryRun":1}`, 400, "dryRun: "},
		{"/admin/adopt", `{"limit":0}`, 400, "limit: "},
		{"/admin/adopt", `{"limit":-1}`, 400, "limit: "},
		{"/admin/adopt", `{"limit":1000001}`, 400, "limit: "},
		{"/admin/adopt", `{"limit":1.5}`, 400, "limit: "},
		{"/admin/adopt", `{"limit":"10"}`, 400, "limit: "},
		{"/admin/adopt", `{"limit":null}`, 400, "limit: "},
		{"/admin/adopt", `{"after":7}`, 400, "after: "},
		{"/admin/adopt", `{"after":"a b"}`, 400, "after: "},
		{"/admin/adopt", `{"olderThanDays":30}`, 400, `"olderThanDays"`},
		{"/admin/adopt", `{}`, 503, "app-wide secrets are not configured"},
		{"/admin/release", `{"limit":0}`, 400, "limit: "},
		{"/admin/release", `{}`, 503, "app-wide secrets are not configured"},

		{"/admin/purge", `{}`, 400, "olderThanDays: "},
		{"/admin/purge", `{"olderThanDays":0}`, 400, "olderThanDays: "},
		{"/admin/purge", `{"olderThanDays":-1}`, 400, "olderThanDays: "},
		{"/admin/purge", `{"olderThanDays":36501}`, 400, "olderThanDays: "},
		{"/admin/purge", `{"olderThanDays":"30"}`, 400, "olderThanDays: "},
		{"/admin/purge", `{"olderThanDays":null}`, 400, "olderThanDays: "},
		{"/admin/purge", `{"olderThanDays":30,"limit":0}`, 400, "limit: "},
		{"/admin/purge", `{"olderThanDays":30,"clientKey":"ada"}`, 400, `"clientKey"`},

		{"/admin/erase", `{}`, 400, "clientKey: "},
		{"/admin/erase", `{"clientKey":""}`, 400, "clientKey: "},
		{"/admin/erase", `{"clientKey":["ada"]}`, 400, "clientKey: "},
		{"/admin/erase", `{"clientKey":"ada","dryRun":true}`, 400, `"dryRun"`},
		{"/admin/erase", `{"clientKey":"nobody"}`, 404, "no installation"},

		{"/admin/", "", 404, "no such call"},
		{"/admin/nothing", "", 404, "no such call"},
		{"/admin/progress/", "", 404, "no such call"},
		{"/admin/Progress", "", 404, "no such call"},
		{"/admin/%70rogress", "", 404, "no such call"},
		{"/admin/a%2Fprogress", "", 404, "no such call"},
	} {
		t.Run(test.target+" "+test.body[:min(60, len(test.body))], func(t *testing.T) {
			got := w.get
			if test.body == "" {
				got(t, test.target).wantError(t, test.status, test.want)
				return
			}
			w.post(t, test.target, test.body).wantError(t, test.status, test.want)
		})
	}
	if row := w.row(t, "ada"); row == nil || row.Newest() == "" {
		t.Errorf("a refused call has changed the installation: %+v", row)
	}
}

func TestAnotherMethodIsRefusedWithTheOneToUse(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, call := range everyCall {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"} {
			if method == call.method {
				continue
			}
			got := w.send(t, method, call.target, call.body, asJSON)
			got.wantError(t, http.StatusMethodNotAllowed, call.method)
			if allow := got.header.Get("Allow"); allow != call.method {
				t.Errorf("%s %s: got Allow %q, want %q", method, call.target, allow, call.method)
			}
		}
	}
}

// A form of another page can be sent with three media types only, and with the operator's cookies.
func TestWhatAFormCanSendIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.install(t, "ada")
	for _, contentType := range []string{
		"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json",
		"application/json, text/plain", "application/jsonp", "text/plain; application/json", ";",
	} {
		for _, call := range everyCall {
			if call.method != http.MethodPost {
				continue
			}
			got := w.send(t, call.method, call.target, call.body, func(r *http.Request) { r.Header.Set("Content-Type", contentType) })
			got.wantError(t, http.StatusUnsupportedMediaType, "application/json")
		}
	}
	for _, contentType := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON"} {
		got := w.send(t, http.MethodPost, "/admin/revoke", `{"fingerprint":"`+unknown+`","reason":"r"}`,
			func(r *http.Request) { r.Header.Set("Content-Type", contentType) })
		got.want(t, 200, `{"installations":0}`)
	}
}
