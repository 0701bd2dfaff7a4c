package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
)

// BearerToken returns a guard that lets a request through if it has exactly one Authorization header, with the scheme
// Bearer and this token. How long that takes says nothing about the token. It panics on a token that [CheckToken] finds
// fault with.
//
// Fiber's adaptor hands on only the last of several Authorization headers.
//
// Make one with openssl rand -base64 32, and another one when somebody who knows it leaves.
func BearerToken(token string) func(*http.Request) bool {
	if err := CheckToken(token); err != nil {
		panic("admin: BearerToken: " + err.Error())
	}
	want := sha256.Sum256([]byte(token)) // as long for every token, so that comparing does not give the length away
	return func(r *http.Request) bool {
		values := r.Header.Values("Authorization")
		if len(values) != 1 {
			return false
		}
		scheme, given, _ := strings.Cut(values[0], " ")
		got := sha256.Sum256([]byte(given))
		return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && strings.EqualFold(scheme, "Bearer")
	}
}

// CheckToken reports why a token is none for [BearerToken]: it has less than 16 bytes, or a character that is no visible
// ASCII, as the end of the line in a file. The error does not quote it.
func CheckToken(token string) error {
	if len(token) < 16 {
		return errors.New("the token has less than 16 bytes, and what can be guessed guards nothing")
	}
	invisible := func(c rune) bool { return c <= ' ' || c > '~' }
	if strings.ContainsFunc(token, invisible) {
		return errors.New("the token has a blank or another character that is no visible ASCII, and would not be sent as it is")
	}
	return nil
}
