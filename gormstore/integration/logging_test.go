package integration

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"log"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// buffer is written to from several goroutines.
type buffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func TestTheLogHoldsNeitherSecretsNorSealedValues(t *testing.T) {
	databases.Each(t, func(t *testing.T, database databases.Database) {
		var logged buffer
		everything := logger.Config{LogLevel: logger.Info}
		quiet := database.Open(t, nil)
		databases.NewStore(t, quiet, newKeyring(t))
		for name, logger := range map[string]logger.Interface{
			"log":  logger.New(log.New(&logged, "", 0), everything),
			"slog": logger.NewSlogLogger(slog.New(slog.NewJSONHandler(&logged, nil)), everything),
		} {
			logged.Reset()
			store := databases.NewStore(t, database.Open(t, &gorm.Config{Logger: logger}).Debug(), newKeyring(t))

			const value = "a secret that is easy to find"
			i := install(t, store, "acme", value)
			claim := core.Claim{AppKey: appKey, ExpiresAt: time.Unix(1700000000, 0)}
			copy(claim.ID[:], "the digest of a callback's token")
			if _, err := store.Claim(t.Context(), claim); err != nil {
				t.Fatal(err)
			}
			if _, err := store.List(t.Context(), appKey, "", 10); err != nil {
				t.Fatal(err)
			}

			var column string
			if err := quiet.Raw("SELECT secrets FROM hostbond_installations").Scan(&column).Error; err != nil {
				t.Fatal(err)
			}
			var stored []struct{ Sealed string }
			if err := json.Unmarshal([]byte(column), &stored); err != nil || len(stored) != 1 || stored[0].Sealed == "" {
				t.Fatalf("got secrets %s, %v, want one", column, err)
			}

			text := logged.String()
			for _, table := range []string{"hostbond_installations", "hostbond_claims"} {
				if !strings.Contains(text, table) {
					t.Errorf("%s: the log does not show the statements on %s", name, table)
				}
			}
			for what, leak := range map[string]string{
				"the secret":               value,
				"the secret in base64":     base64.StdEncoding.EncodeToString([]byte(value)),
				"the sealed secret":        stored[0].Sealed,
				"the fingerprint":          string(i.Newest()),
				"the claimed token":        string(claim.ID[:]),
				"the claimed token in hex": hex.EncodeToString(claim.ID[:]),
				"the client key":           "acme",
			} {
				if strings.Contains(text, leak) {
					t.Errorf("%s: the log holds %s", name, what)
				}
			}
			if err := store.Delete(t.Context(), i.Key, i.Revision); err != nil {
				t.Fatal(err)
			}
		}
	})
}
