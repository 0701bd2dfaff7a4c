package core

import (
	"bytes"
	"encoding"
	"encoding/gob"
	"encoding/hex"
	stdjson "encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// shown is a shared secret that must not show, nor must any encoding of it.
const shown = "Hunter2-Hunter2-Hunter2"

func shownSecret(t *testing.T) Secret {
	t.Helper()
	secret, err := NewSecret(shown)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// wantHidden fails if the text gives the secret away: in clear, in hex, in base64, or as the numbers of its bytes.
func wantHidden(t *testing.T, how, text string) {
	t.Helper()
	numbers := strings.Trim(fmt.Sprint([]byte(shown[:7])), "[]")
	for _, trace := range []string{
		"hunter2",
		hex.EncodeToString([]byte(shown[:7])),
		"SHVudGVyM", "h1bnRlcj", "IdW50ZXIy", // base64, at each of its offsets
		numbers, strings.ReplaceAll(numbers, " ", ","),
	} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(trace)) {
			t.Errorf("%s shows the secret: %q", how, text)
		}
	}
}

// holders are values that hold the secret, in every way in which values of this package and of its users do.
func holders(t *testing.T) map[string]any {
	t.Helper()
	secret := shownSecret(t)
	type exported struct{ Secret Secret }
	type unexported struct{ secret Secret }
	type pointer struct{ secret *Secret }
	type embedded struct{ Secret }
	type deep struct{ inner []map[string]unexported }
	stored := StoredSecret{Fingerprint: secret.Fingerprint(), State: Usable, Value: secret}
	installation := &Installation{Key: Key{"app", "client-1"}, State: Installed, Secrets: []StoredSecret{stored}}
	prepared := newTenant(installation, time.Time{}, nil, nil, nil)
	prepared.verify(&token{signingInput: "x"}) // so that a keyed state lies in the pool
	known := (&appSecrets{source: StaticSecrets{secret}, now: time.Now}).recent()
	known[0].hs256.verify("x", nil)
	return map[string]any{
		"a value":                   secret,
		"a pointer":                 &secret,
		"an exported field":         exported{secret},
		"an unexported field":       unexported{secret},
		"a pointer to a struct":     &unexported{secret},
		"an unexported pointer":     pointer{&secret},
		"an embedded field":         embedded{secret},
		"a slice":                   []Secret{secret},
		"an array":                  [1]Secret{secret},
		"a map":                     map[string]Secret{"key": secret},
		"an interface":              []any{secret, unexported{secret}},
		"something deep":            deep{[]map[string]unexported{{"key": {secret}}}},
		"a StoredSecret":            stored,
		"an Installation":           *installation,
		"a pointer to Installation": installation,
		"a Change":                  Change{Before: installation, After: installation},
		"a Principal":               Principal{tenant: prepared},
		"a pointer to Principal":    &Principal{tenant: prepared},
		"a tenant":                  prepared,
		"a list of verifiers":       prepared.usable,
		"a verifier":                prepared.usable[0].hs256,
		"StaticSecrets":             StaticSecrets{secret},
		"a SecretSource":            SecretSource(StaticSecrets{secret}),
		"a pointer to them":         &StaticSecrets{secret},
		"a Config":                  Config{AppKey: "app", AppSecrets: StaticSecrets{secret}},
		"a pointer to Config":       &Config{AppKey: "app", AppSecrets: StaticSecrets{secret}},
		"what an app knows":         known,
		"its app-wide secrets":      &appSecrets{source: StaticSecrets{secret}, latest: known},
		"a callback":                callback{secret: secret},
		"an error":                  fmt.Errorf("refused %v: %w", secret, errors.New("reason")),
	}
}

func TestASecretDoesNotPrint(t *testing.T) {
	t.Parallel()
	for name, holder := range holders(t) {
		for _, verb := range []string{
			"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%c", "%U", "%t", "%p", "%08.3f", "%!",
		} {
			wantHidden(t, name+" in "+verb, fmt.Sprintf(verb, holder))
		}
		wantHidden(t, name+" in Sprint", fmt.Sprint(holder))
		wantHidden(t, name+" in Sprintln", fmt.Sprintln(holder))
		var out bytes.Buffer
		log.New(&out, "", 0).Print(holder)
		wantHidden(t, name+" in package log", out.String())
	}
}

func TestASecretPrintsThatItIsOne(t *testing.T) {
	t.Parallel()
	secret := shownSecret(t)
	for _, got := range []string{
		secret.String(), fmt.Sprintf("%v", secret), fmt.Sprintf("%#v", &secret), fmt.Sprintf("%q", secret), fmt.Sprintf("%x", secret),
	} {
		if got != "[redacted]" {
			t.Errorf("got %q, want [redacted]", got)
		}
	}
}

func TestASecretIsNotEncoded(t *testing.T) {
	t.Parallel()
	encoders := map[string]func(any) ([]byte, error){
		"encoding/json": stdjson.Marshal,
		"JSON v2":       func(v any) ([]byte, error) { return json.Marshal(v) },
		"XML":           xml.Marshal,
		"gob": func(v any) ([]byte, error) {
			var out bytes.Buffer
			err := gob.NewEncoder(&out).Encode(v)
			return out.Bytes(), err
		},
		"text": func(v any) ([]byte, error) {
			if text, ok := v.(encoding.TextMarshaler); ok {
				return text.MarshalText()
			}
			return nil, nil
		},
	}
	for name, holder := range holders(t) {
		for encoder, encode := range encoders {
			data, err := encode(holder)
			wantHidden(t, name+" in "+encoder, string(data))
			if err != nil { // which is as good
				wantHidden(t, name+" in an error of "+encoder, err.Error())
			}
		}
	}
	secret := shownSecret(t)
	for _, encoder := range []string{"encoding/json", "JSON v2"} {
		if got, err := encoders[encoder](map[string]any{"secret": &secret}); string(got) != `{"secret":"[redacted]"}` || err != nil {
			t.Errorf("%s: got %s, %v; want it to be redacted", encoder, got, err)
		}
	}
}

// What was encoded is no secret any more, so it must not come back as one.
func TestASecretIsNotDecoded(t *testing.T) {
	t.Parallel()
	var std, v2 Secret
	//lint:ignore SA9005 that nothing comes back is what is tested
	if err := stdjson.Unmarshal([]byte(`"[redacted]"`), &std); err == nil || !std.IsZero() {
		t.Errorf("encoding/json: got %q, %v; want an error", std.Reveal(), err)
	}
	if err := json.Unmarshal([]byte(`"[redacted]"`), &v2); err == nil || !v2.IsZero() {
		t.Errorf("JSON v2: got %q, %v; want an error", v2.Reveal(), err)
	}
}

func TestASecretIsNotLogged(t *testing.T) {
	t.Parallel()
	for name, holder := range holders(t) {
		var out bytes.Buffer
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			logger := slog.New(handler)
			logger.Info("message", "key", holder)
			logger.Info("message", slog.Group("group", "key", holder))
			logger.With("key", holder).WithGroup("group").Info("message", slog.Any("key", holder))
			logger.Error(fmt.Sprint(holder))
		}
		wantHidden(t, name, out.String())
	}
}

// A handler of another make may print the value in its own way.
func TestASecretIsRedactedBeforeAHandlerGetsIt(t *testing.T) {
	t.Parallel()
	if got := slog.AnyValue(shownSecret(t)).Resolve(); got.Kind() != slog.KindString || got.String() != "[redacted]" {
		t.Errorf("got %v, want the text [redacted]", got)
	}
}

func TestASecretHasFrom16To4096Bytes(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]bool{
		0: false, 1: false, 15: false, 16: true, 400: true, 4096: true, 4097: false, 1 << 20: false,
	} {
		value := strings.Repeat("s", length)
		secret, err := NewSecret(value)
		if (err == nil) != want {
			t.Errorf("%d bytes: accepted: got %v, want %v", length, err == nil, want)
		}
		if want && secret.Reveal() != value {
			t.Errorf("%d bytes: Reveal returned another value", length)
		}
		if !want && !secret.IsZero() {
			t.Errorf("%d bytes: got a secret beside the error", length)
		}
	}
	if _, err := NewSecret(shown[:15]); err == nil {
		t.Error("15 bytes: got no error")
	} else {
		wantHidden(t, "the error", err.Error())
	}
}

func TestASecretMayHoldAnyBytes(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"\x00\xff\r\n 0123456789abcdef\x00", strings.Repeat("é", 8), strings.Repeat(" ", 16)} {
		if secret, err := NewSecret(value); err != nil || secret.Reveal() != value {
			t.Errorf("%q: got %q, %v", value, secret.Reveal(), err)
		}
	}
}

func TestEqualComparesValues(t *testing.T) {
	t.Parallel()
	secret, same := shownSecret(t), shownSecret(t)
	longer, err := NewSecret(shown + "x")
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewSecret("X" + shown[1:])
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		rule string
		a, b Secret
		want bool
	}{
		{"itself", secret, secret, true},
		{"the same value", secret, same, true},
		{"a longer one", secret, longer, false},
		{"another of the same length", secret, other, false},
		{"none", secret, Secret{}, false},
		{"none and none", Secret{}, Secret{}, true},
	} {
		if got := test.a.Equal(test.b); got != test.want {
			t.Errorf("%s: got %v, want %v", test.rule, got, test.want)
		}
		if got := test.b.Equal(test.a); got != test.want {
			t.Errorf("%s, the other way round: got %v, want %v", test.rule, got, test.want)
		}
	}
}

func TestAFingerprintIsTheSHA256OfTheSecret(t *testing.T) {
	t.Parallel()
	// printf %s 0123456789abcdef | sha256sum
	const want = "9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f"
	secret, err := NewSecret("0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	if got := secret.Fingerprint(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := secret.Fingerprint().Short(); got != want[:12] {
		t.Errorf("short: got %s, want %s", got, want[:12])
	}
	if got := (Secret{}).Fingerprint(); got != "" {
		t.Errorf("of the zero secret: got %q, want none", got)
	}
	for _, short := range []Fingerprint{"", "0", Fingerprint(want[:11]), Fingerprint(want[:12])} {
		if got := short.Short(); got != string(short) {
			t.Errorf("Short of %q: got %q", short, got)
		}
	}
}

func TestTheZeroSecretHoldsNothing(t *testing.T) {
	t.Parallel()
	var zero Secret
	if !zero.IsZero() || zero.Reveal() != "" || zero.String() != "[redacted]" || shownSecret(t).IsZero() {
		t.Errorf("got IsZero %v, Reveal %q, String %q; want true, nothing, [redacted]", zero.IsZero(), zero.Reveal(), zero)
	}
}
