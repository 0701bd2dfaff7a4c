package installkeys_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/hostbond/hostbond/core/installkeys"
)

func Example() {
	// In place of Atlassian's hosts, which an empty Config asks.
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		log.Fatal(err)
	}
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/3f1c9a52-genuine" {
			http.NotFound(w, r)
			return
		}
		_ = pem.Encode(w, &pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}))
	defer host.Close()

	keys, err := installkeys.New(installkeys.Config{Hosts: []string{host.URL}})
	if err != nil {
		log.Fatal(err)
	}
	for _, kid := range []string{"3f1c9a52-genuine", "forged", "../../etc/passwd"} {
		key, err := keys.Key(context.Background(), kid)
		switch {
		case err == nil:
			fmt.Printf("%s: verify with the key of %d bits\n", kid, key.N.BitLen())
		case errors.Is(err, installkeys.ErrUnknown):
			fmt.Printf("%s: answer 401\n", kid)
		default:
			fmt.Printf("%s: answer 503\n", kid)
		}
	}
	// Output:
	// 3f1c9a52-genuine: verify with the key of 2048 bits
	// forged: answer 401
	// ../../etc/passwd: answer 401
}
