package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ConfigFromEnv returns what the environment says of a [Config]. A variable that is not set, or empty, leaves its
// field at the default; one that cannot be read is an error that names it.
//
//	APP_KEY                   AppKey
//	BASE_URL                  BaseURL
//	BASE_URLS                 BaseURLs, a comma list
//	INSTALL_KEYS_URL          KeyHosts, a comma list
//	ALLOWED_HOSTS             AllowedHosts, a comma list
//	SYMMETRIC_INSTALLS        SymmetricInstalls: 1 or 0
//	UNSIGNED_FIRST_INSTALL    InsecureUnsignedFirstInstall: 1 or 0
//	APP_SECRETS               AppSecrets, a comma list, newest first; or
//	APP_SECRETS_FILE          AppSecrets, the path of a file with one on each line: see SecretsFile
//	APP_SECRET_FIRST_INSTALL  AppSecretSignsFirstInstall: 1 or 0
//	REVOKED_FINGERPRINTS      RevokedFingerprints, a comma list
//	SETTLE                    Settle, as 15m
//	CACHE_TTL                 CacheTTL, as 5s; 0 reads the store each time
func ConfigFromEnv() (Config, error) {
	var e environment
	c := Config{
		AppKey:                       os.Getenv("APP_KEY"),
		BaseURL:                      os.Getenv("BASE_URL"),
		BaseURLs:                     e.list("BASE_URLS"),
		KeyHosts:                     e.list("INSTALL_KEYS_URL"),
		AllowedHosts:                 e.list("ALLOWED_HOSTS"),
		SymmetricInstalls:            e.boolean("SYMMETRIC_INSTALLS"),
		InsecureUnsignedFirstInstall: e.boolean("UNSIGNED_FIRST_INSTALL"),
		AppSecrets:                   e.appSecrets(),
		AppSecretSignsFirstInstall:   e.boolean("APP_SECRET_FIRST_INSTALL"),
		RevokedFingerprints:          e.fingerprints("REVOKED_FINGERPRINTS"),
		Settle:                       e.duration("SETTLE", time.Second),
		CacheTTL:                     e.duration("CACHE_TTL", 0),
	}
	if os.Getenv("CACHE_TTL") != "" && c.CacheTTL == 0 {
		c.CacheTTL = -1 // the field's own zero stands for the default
	}
	return c, errors.Join(e...)
}

// environment collects what could not be read.
type environment []error

func (e *environment) fault(name, want string) {
	*e = append(*e, fmt.Errorf("hostbond: %s is not %s", name, want))
}

func (e *environment) list(name string) (items []string) {
	for item := range strings.SplitSeq(os.Getenv(name), ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func (e *environment) fingerprints(name string) (list []Fingerprint) {
	for _, item := range e.list(name) {
		f := Fingerprint(item)
		if !f.valid() {
			e.fault(name, "a comma list of fingerprints, each the SHA-256 of a secret in lower-case hex")
			return nil
		}
		list = append(list, f)
	}
	return list
}

// appSecrets reads the secrets once, so that an app which is given none does not start. Its faults do not quote them.
func (e *environment) appSecrets() SecretSource {
	list, file := os.Getenv("APP_SECRETS"), os.Getenv("APP_SECRETS_FILE")
	switch {
	case list != "" && file != "":
		e.fault("APP_SECRETS", "to be set beside APP_SECRETS_FILE: there is one list")
	case list != "":
		secrets, err := parseSecrets(strings.SplitSeq(list, ","))
		if err != nil || len(secrets) == 0 {
			e.fault("APP_SECRETS", fmt.Sprintf("a comma list of secrets: %v", cmp.Or(err, errors.New("it has none"))))
			return nil
		}
		return StaticSecrets(secrets)
	case file != "":
		if _, err := SecretsFile(file).Secrets(context.Background()); err != nil {
			e.fault("APP_SECRETS_FILE", fmt.Sprintf("a file of secrets: %v", err))
		}
		return SecretsFile(file)
	}
	return nil
}

func (e *environment) boolean(name string) bool {
	text := os.Getenv(name)
	if text == "" {
		return false
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		e.fault(name, "1 or 0")
	}
	return value
}

func (e *environment) duration(name string, least time.Duration) time.Duration {
	text := os.Getenv(name)
	if text == "" {
		return 0
	}
	value, err := time.ParseDuration(text)
	if err != nil || value < least {
		e.fault(name, fmt.Sprintf("a duration of %v at least, such as 15m", least))
		return 0
	}
	return value
}
