package examples_test

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestAnInstallationOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	inEach(t, func(t *testing.T, framework string) {
		keys, keysURL := keyHost(t)
		database := "DATABASE_URL=" + filepath.Join(t.TempDir(), "app.db")
		p := start(t, framework, database, keysURL)
		site := newSite(t, p, "", keys)
		if answer, err := site.Install(t.Context()); err != nil {
			t.Fatalf("installed: got status %d, %v", answer.StatusCode, err)
		}
		p.kill() // right after the answer

		// The key host is not asked again.
		p = start(t, framework, database, "PORT="+p.port)
		answer, err := page(t.Context(), site)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("a page after the restart: got status %d, %v, want 200", answer.StatusCode, err)
		}
		for _, want := range []string{site.BaseURL(), "an-account", "url_bound", site.Fingerprint()[:12]} {
			if !strings.Contains(string(answer.Body), want) {
				t.Errorf("the page does not tell %q:\n%s", want, answer.Body)
			}
		}
		p.stop(t)
	})
}

func TestWhatCannotRunSaysWhyInOneLine(t *testing.T) {
	t.Parallel()
	inEach(t, func(t *testing.T, framework string) {
		database := "DATABASE_URL=" + filepath.Join(t.TempDir(), "app.db")
		const sealKeys = "SEAL_KEYS=k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
		for _, test := range []struct {
			environment []string
			want        string // a regular expression
		}{
			{[]string{database, "PORT=http"}, "PORT is not a number from 0 to 65535"},
			{[]string{database, "SETTLE=soon"}, "hostbond: SETTLE is not a duration .*"},
			{[]string{database, "PORT=-1", "SETTLE=soon"}, "hostbond: SETTLE is .*; PORT is .*"},
			{[]string{"DATABASE_URL=oracle://db"}, "DATABASE_URL: want a SQLite file, .*"},
			{[]string{database, "BASE_URL=https://app.example.com"}, "SEAL_KEYS is not set, .*"},
			{[]string{database, "BASE_URL=localhost:8080"}, "hostbond: Config: BaseURL: .*"},
			{[]string{database, "BASE_URL=http://app.example.com"}, "hostbond: Config: BaseURL: is not https; .*"},
			{[]string{"DATABASE_URL=postgres://127.0.0.1:1/bonds", sealKeys}, "DATABASE_URL: [^;\\t]*: 127\\.0\\.0\\.1:1 [^\\t]*"},
			{[]string{database, "SEAL_KEYS=k1"}, "SEAL_KEYS: .*"},
			{[]string{database, "BASE_URL=ftp://app.example.com", sealKeys}, "hostbond: Config: BaseURL: .*"},
			{[]string{database, "ADMIN_TOKEN=0123456789abcde"}, "ADMIN_TOKEN: the token has less than 16 bytes, .*"},
			{[]string{database, "ADMIN_TOKEN=0123456789abcdef\n"}, "ADMIN_TOKEN: the token has a blank .*"},
			{[]string{database, "APP_SECRETS=short"}, "hostbond: APP_SECRETS is not a comma list of secrets: .*"},
			{[]string{database, "APP_KEY=a b", "BASE_URLS=ftp://b.example.com"}, "hostbond: Config: AppKey: .*; BaseURLs\\[0\\]: .*"},
		} {
			p := start(t, framework, test.environment...)
			code, output := p.wait()
			// The warning about the development key is no part of the answer.
			lines := regexp.MustCompile(`(?m)^.* WARN SEAL_KEYS is not set.*\n`).ReplaceAllString(output, "")
			if code != 1 || !regexp.MustCompile(`\A`+test.want+`\n\z`).MatchString(lines) {
				t.Errorf("%v: got exit code %d and %q, want 1 and one line like %q", test.environment, code, lines, test.want)
			}
		}
	})
}

func TestAPortInUseIsSaid(t *testing.T) {
	t.Parallel()
	inEach(t, func(t *testing.T, framework string) {
		database := "DATABASE_URL=" + filepath.Join(t.TempDir(), "app.db")
		p := start(t, framework, database)
		code, output := start(t, framework, database, "PORT="+p.port).wait()
		if code != 1 || !strings.HasPrefix(output, "PORT: ") || !strings.Contains(output, "in use") || strings.Count(output, "\n") != 1 {
			t.Errorf("got exit code %d and %q, want 1 and one line about PORT", code, output)
		}
	})
}

func TestTheBaseURLIsLocalhostByDefault(t *testing.T) {
	t.Parallel()
	inEach(t, func(t *testing.T, framework string) {
		p := start(t, framework, "DATABASE_URL="+filepath.Join(t.TempDir(), "app.db"))
		output := p.stop(t)
		if want := "url=http://localhost:" + p.port + "\n"; !strings.Contains(output, want) {
			t.Errorf("%s is not in the output:\n%s", want, output)
		}
	})
}
