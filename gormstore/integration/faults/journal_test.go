package faults

import (
	"bytes"
	"encoding/base64"
	"strings"
	"sync"
	"testing"
)

// journal is all that the app has logged, answered and told its own code.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// leak returns what of the secrets and the tokens stands in the text, or "".
func leak(text string, secrets, tokens map[string]bool) string {
	for secret := range secrets {
		for what, spelling := range map[string]string{
			"a shared secret":              secret,
			"a shared secret in base64":    base64.RawStdEncoding.EncodeToString([]byte(secret)),
			"a shared secret in base64url": base64.RawURLEncoding.EncodeToString([]byte(secret)),
		} {
			if strings.Contains(text, spelling) {
				return what
			}
		}
	}
	for token := range tokens {
		// Without its signature a token opens nothing.
		signature := token[strings.LastIndex(token, ".")+1:]
		for what, spelling := range map[string]string{
			"a token":                  token,
			"the signature of a token": signature,
			"a token in base64":        base64.RawStdEncoding.EncodeToString([]byte(token)),
		} {
			if strings.Contains(text, spelling) {
				return what
			}
		}
	}
	return ""
}

func TestALeakIsFoundHoweverItIsSpelt(t *testing.T) {
	t.Parallel()
	const secret, token = "a secret that is easy to find>>", "head.claims.signature"
	secrets, tokens := map[string]bool{secret: true}, map[string]bool{token: true}
	for _, text := range []string{
		secret, token, "signature",
		base64.StdEncoding.EncodeToString([]byte(secret)),
		base64.URLEncoding.EncodeToString([]byte(secret)),
		base64.StdEncoding.EncodeToString([]byte(token)),
	} {
		if leak("before "+text+" after", secrets, tokens) == "" {
			t.Errorf("%q was not found", text)
		}
	}
	if found := leak("head.claims of a secret", secrets, tokens); found != "" {
		t.Errorf("got %q where there is nothing", found)
	}
}
