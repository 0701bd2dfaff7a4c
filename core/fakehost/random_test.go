package fakehost_test

import (
	"fmt"
	"hash/crc32"
	"regexp"
	"testing"

	"github.com/hostbond/hostbond/core/fakehost"
)

func TestSecretsLookLikeAtlassians(t *testing.T) {
	t.Parallel()
	shape := regexp.MustCompile(`^(ATCO[A-Za-z0-9_-]*)=([0-9A-F]{8})$`)
	for _, length := range []int{16, 17, 76, 400, 4096} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			t.Parallel()
			site := installed(t, newApp(t), func(c *fakehost.Config) { c.SecretBytes = length })
			secret := site.Secret()
			if len(secret) != length {
				t.Errorf("the secret has %d bytes, want %d", len(secret), length)
			}
			parts := shape.FindStringSubmatch(secret)
			if parts == nil {
				t.Fatalf("the secret does not look like %s", shape)
			}
			if want := fmt.Sprintf("%08X", crc32.ChecksumIEEE([]byte(parts[1]))); parts[2] != want {
				t.Errorf("checksum is %s, want %s", parts[2], want)
			}
		})
	}
}
