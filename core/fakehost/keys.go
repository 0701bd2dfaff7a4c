package fakehost

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"sync"
)

// keyBits is the size of Atlassian's keys.
const keyBits = 2048

// Keys plays the host of Atlassian's install keys, and holds the private halves. As an [http.Handler] it serves the
// public key with the id k at /k, in PEM; an id that it does not know gets 403 and a page of HTML, as from the real
// host. The zero value is ready for use; it makes its first key when it is needed. Keys is safe for concurrent use.
type Keys struct {
	mu      sync.Mutex
	down    bool
	current string
	keys    map[string]*rsa.PrivateKey
}

// Rotate makes a new key, signs with it from now on, and returns its id. Old keys are served as before.
func (k *Keys) Rotate() (id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.rotate()
}

func (k *Keys) rotate() string {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		panic("fakehost: making a key: " + err.Error()) // unreachable: the system's randomness never fails
	}
	if k.keys == nil {
		k.keys = make(map[string]*rsa.PrivateKey)
	}
	k.current = newUUID(newRandom(""))
	k.keys[k.current] = key
	return k.current
}

// SetDown switches the host off or on again. While it is off it answers 503 to everything; signing goes on.
func (k *Keys) SetDown(down bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.down = down
}

// Current returns the id of the key that signs now, and the key itself, for tokens of a test's own making.
func (k *Keys) Current() (id string, key *rsa.PrivateKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current == "" {
		k.rotate()
	}
	return k.current, k.keys[k.current]
}

// ServeHTTP serves the public keys.
func (k *Keys) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	down, key := k.down, k.keys[strings.TrimPrefix(r.URL.Path, "/")]
	k.mu.Unlock()

	if down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if key == nil {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte("<html><head><title>403 Forbidden</title></head><body>403 Forbidden</body></html>\n"))
		return
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	_ = pem.Encode(w, &pem.Block{Type: "PUBLIC KEY", Bytes: der})
}
