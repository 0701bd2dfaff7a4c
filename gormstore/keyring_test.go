package gormstore_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/hostbond/hostbond/gormstore"
)

// parse returns the keyring of the keys, newest first.
func parse(t testing.TB, keys ...string) *gormstore.Keyring {
	t.Helper()
	keyring, err := gormstore.ParseKeyring(strings.Join(keys, ","))
	if err != nil {
		t.Fatal(err)
	}
	return keyring
}

func seal(t testing.TB, keyring *gormstore.Keyring, plaintext, associatedData string) []byte {
	t.Helper()
	sealed, err := keyring.Encrypt([]byte(plaintext), []byte(associatedData))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func FuzzKeyringOpensWhatItSealed(f *testing.F) {
	f.Add([]byte(""), []byte(""))
	f.Add([]byte("a shared secret"), []byte("its place"))
	keyring := parse(f, gormstore.GenerateKey())
	f.Fuzz(func(t *testing.T, plaintext, associatedData []byte) {
		sealed := seal(t, keyring, string(plaintext), string(associatedData))
		opened, err := keyring.Decrypt(sealed, associatedData)
		if err != nil || !bytes.Equal(opened, plaintext) {
			t.Errorf("got %q, %v, want %q", opened, err, plaintext)
		}
	})
}

func FuzzKeyringOpensNothingElse(f *testing.F) {
	keyring := parse(f, gormstore.GenerateKey())
	for _, sealed := range [][]byte{nil, {1}, {1, 255}, {1, 0}, {2, 1, 'k'}, seal(f, keyring, "secret", "")[:20]} {
		f.Add(sealed)
	}
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if opened, err := keyring.Decrypt(sealed, nil); err == nil || opened != nil {
			t.Errorf("Decrypt(%q): got %q, %v, want nothing and an error", sealed, opened, err)
		}
	})
}

func TestKeyringSealsTheSameSecretDifferentlyEachTime(t *testing.T) {
	t.Parallel()
	keyring := parse(t, gormstore.GenerateKey())
	if bytes.Equal(seal(t, keyring, "secret", ""), seal(t, keyring, "secret", "")) {
		t.Error("got the same twice: it shows which tenants have the same secret")
	}
}

func TestKeyringAuthenticatesEveryByte(t *testing.T) {
	t.Parallel()
	one, other := gormstore.GenerateKey(), gormstore.GenerateKey()
	keyring := parse(t, one, other)
	sealed := seal(t, keyring, "secret", "place")
	for n := range sealed {
		changed := bytes.Clone(sealed)
		changed[n] ^= 1
		if opened, err := keyring.Decrypt(changed, []byte("place")); err == nil {
			t.Errorf("with byte %d changed: got %q, want an error", n, opened)
		}
	}
	if opened, err := keyring.Decrypt(sealed, []byte("another place")); err == nil {
		t.Errorf("with other associated data: got %q, want an error", opened)
	}

	// The header is authenticated apart from the associated data: a byte cannot move from one to the other.
	if opened, err := keyring.Decrypt(append(sealed[:2:2], sealed[3:]...), append(sealed[2:3:3], "place"...)); err == nil {
		t.Errorf("with the id cut: got %q, want an error", opened)
	}
}

func TestKeyringSealsWithTheFirstKeyAndOpensWithAll(t *testing.T) {
	t.Parallel()
	older, newer := gormstore.GenerateKey(), gormstore.GenerateKey()
	before, after := parse(t, older), parse(t, newer, older)

	if opened, err := after.Decrypt(seal(t, before, "old", ""), nil); err != nil || string(opened) != "old" {
		t.Errorf("sealed before the change of keys: got %q, %v", opened, err)
	}
	sealed := seal(t, after, "new", "")
	if opened, err := parse(t, newer).Decrypt(sealed, nil); err != nil || string(opened) != "new" {
		t.Errorf("sealed after the change of keys, opened with the new key alone: got %q, %v", opened, err)
	}
	if opened, err := before.Decrypt(sealed, nil); err == nil {
		t.Errorf("sealed after the change of keys, opened with the old key alone: got %q, want an error", opened)
	}
}

func TestParseKeyringTakesWhatAFileOrAnEnvironmentHolds(t *testing.T) {
	t.Parallel()
	a, b := gormstore.GenerateKey(), gormstore.GenerateKey()
	for _, text := range []string{a, a + "\n", a + "," + b, a + ", " + b + "\r\n", " " + a + " ,\n" + b} {
		if _, err := gormstore.ParseKeyring(text); err != nil {
			t.Errorf("got %v, want none", err)
		}
	}
}

func TestParseKeyringRefusesAndQuotesNothing(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte("secret!!"), 4)
	encoded := base64.StdEncoding.EncodeToString(key)
	for name, text := range map[string]string{
		"nothing":             "",
		"an empty place":      "a:" + encoded + ",",
		"no id":               encoded,
		"an empty id":         ":" + encoded,
		"a long id":           strings.Repeat("i", 65) + ":" + encoded,
		"an id with a space":  "a b:" + encoded,
		"an id beyond ASCII":  "ä:" + encoded,
		"swapped":             encoded + ":a",
		"no base64":           "a:" + strings.Replace(encoded, "c", "!", 1),
		"base64 for URLs":     "a:" + base64.RawURLEncoding.EncodeToString(key),
		"a short key":         "a:" + base64.StdEncoding.EncodeToString(key[1:]),
		"a long key":          "a:" + base64.StdEncoding.EncodeToString(append(key, '!')),
		"an id twice":         "a:" + encoded + "," + "a:" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("k"), 32)),
		"a key twice":         "a:" + encoded + ",b:" + encoded,
		"another separator":   "a:" + encoded + ";b:" + encoded,
		"a list of two lines": "a:" + encoded + "\nb:" + encoded,
	} {
		keyring, err := gormstore.ParseKeyring(text)
		if err == nil || keyring != nil {
			t.Errorf("%s: got %v, %v, want an error", name, keyring, err)
			continue
		}
		if !strings.HasPrefix(err.Error(), "gormstore: ") {
			t.Errorf("%s: got %q, want it to start with the package", name, err)
		}
		for n := range len(encoded) - 6 {
			if strings.Contains(err.Error(), encoded[n:n+6]) {
				t.Errorf("%s: %q quotes the key", name, err)
			}
		}
	}
}

func TestParseKeyringOfNothingSaysHowToMakeAKey(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", " ", "\n"} {
		_, err := gormstore.ParseKeyring(text)
		if want := "k1:$(openssl rand -base64 32)"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an error with %s", text, err, want)
		}
	}
}

func TestNewKeyringRefusesNoKeyAndAnEmptyOne(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]gormstore.SealKey{"none": nil, "an empty one": {{}}} {
		if keyring, err := gormstore.NewKeyring(keys...); err == nil {
			t.Errorf("%s: got %v, want an error", name, keyring)
		}
	}
	if sealed, err := new(gormstore.Keyring).Encrypt([]byte("secret"), nil); err == nil {
		t.Errorf("the zero keyring: got %q, want an error", sealed)
	}
}

func TestNewSealKeyIsWhatParseKeyringReads(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{7}, gormstore.SealKeyBytes)
	sealKey, err := gormstore.NewSealKey("2024-02", key)
	if err != nil {
		t.Fatal(err)
	}
	keyring, err := gormstore.NewKeyring(sealKey)
	if err != nil {
		t.Fatal(err)
	}
	parsed := parse(t, "2024-02:"+base64.StdEncoding.EncodeToString(key))
	if opened, err := parsed.Decrypt(seal(t, keyring, "secret", ""), nil); err != nil || string(opened) != "secret" {
		t.Errorf("got %q, %v", opened, err)
	}
}

func TestKeysPrintTheirIDsOnly(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{0xab, 0xcd}, 16)
	sealKey, err := gormstore.NewSealKey("the-id", key)
	if err != nil {
		t.Fatal(err)
	}
	keyring, err := gormstore.NewKeyring(sealKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]any{
		"key": sealKey, "keyring": keyring, "keyring by value": *keyring, "nested": struct{ K any }{keyring},
	} {
		var logged bytes.Buffer
		slog.New(slog.NewTextHandler(&logged, nil)).Info("started", "keys", value)
		slog.New(slog.NewJSONHandler(&logged, nil)).Info("started", "keys", value)
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		for _, printed := range []string{
			logged.String(), string(encoded),
			fmt.Sprint(value), fmt.Sprintf("%+v", value), fmt.Sprintf("%#v", value), fmt.Sprintf("%x", value), fmt.Sprintf("%d", value),
		} {
			if !strings.Contains(printed, "the-id") {
				t.Errorf("%s: got %s, want the id in it", name, printed)
			}
			for _, leak := range []string{"abcd", "ABCD", "0xab", "171 205", "q82r", "\xab\xcd"} {
				if strings.Contains(printed, leak) {
					t.Errorf("%s: %s holds the key, as %q", name, printed, leak)
				}
			}
		}
	}
}
