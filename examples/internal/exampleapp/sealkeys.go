package exampleapp

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/hostbond/hostbond/gormstore"
)

// sealer returns the keys that seal shared secrets. Without SEAL_KEYS that is a development key, which lies where a
// thief of the database finds it. So it is for an app that only this machine can reach.
func (s Settings) sealer(baseURL string, log *slog.Logger) (*gormstore.Keyring, error) {
	if s.SealKeys != "" {
		keys, err := gormstore.ParseKeyring(s.SealKeys)
		if err != nil {
			return nil, fmt.Errorf("SEAL_KEYS: %w", err)
		}
		return keys, nil
	}
	if !isLoopback(baseURL) {
		return nil, errors.New(`SEAL_KEYS is not set, and BASE_URL is not on this machine; make a key with ` +
			`SEAL_KEYS="k1:$(openssl rand -base64 32)", and keep it apart from the database`)
	}
	file := developmentKeyFile(s.Database)
	log.Warn("SEAL_KEYS is not set, so shared secrets are sealed with a development key", "file", file)
	key, err := readOrMakeKey(file)
	if err != nil {
		return nil, fmt.Errorf("development key: %w", err)
	}
	keys, err := gormstore.ParseKeyring(key)
	if err != nil {
		return nil, fmt.Errorf("development key %s: %w", file, err)
	}
	return keys, nil
}

// developmentKeyFile lies beside a SQLite file, and in the working directory for other databases.
func developmentKeyFile(databaseURL string) string {
	file, _, _ := strings.Cut(sqliteURL(databaseURL), "?")
	if strings.Contains(file, "://") {
		file = "hostbond.db"
	}
	return strings.TrimPrefix(file, "file:") + ".seal-key"
}

func readOrMakeKey(file string) (string, error) {
	made, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		key, err := os.ReadFile(file)
		return strings.TrimSpace(string(key)), err
	}
	if err != nil {
		return "", err
	}
	key := gormstore.GenerateKey()
	_, err = made.WriteString(key + "\n")
	return key, errors.Join(err, made.Close())
}

// isLoopback takes the hosts for which core takes http.
func isLoopback(baseURL string) bool {
	u, err := url.Parse(baseURL)
	if err != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(host).IsLoopback()
}
