package integration

import (
	"strings"
	"testing"

	"github.com/hostbond/hostbond/gormstore"
)

// newKeyring returns a keyring of new keys.
func newKeyring(t testing.TB) *gormstore.Keyring {
	t.Helper()
	return parseKeyring(t, gormstore.GenerateKey())
}

// parseKeyring returns the keyring of the keys, newest first.
func parseKeyring(t testing.TB, keys ...string) *gormstore.Keyring {
	t.Helper()
	keyring, err := gormstore.ParseKeyring(strings.Join(keys, ","))
	if err != nil {
		t.Fatal(err)
	}
	return keyring
}
