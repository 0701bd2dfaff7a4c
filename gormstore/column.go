package gormstore

import (
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// The names of the dialects that are supported.
const (
	sqlite   = "sqlite"
	postgres = "postgres"
	mysql    = "mysql" // and MariaDB
)

// The sizes of primary keys, in bytes, for which MySQL needs a limit. They stand in the tags of the models too.
const (
	maxKey         = 255
	maxFingerprint = 64
)

// text is a string that every database keeps, compares and sorts byte by byte.
type text string

// GormDBDataType is how GORM asks for the type of a column. One without a size holds at least 16 MiB.
func (text) GormDBDataType(db *gorm.DB, field *schema.Field) string {
	switch name, size := db.Name(), field.Size; {
	case name == postgres && size > 0:
		return fmt.Sprintf(`varchar(%d) COLLATE "C"`, size) // characters, of which there are not more than bytes
	case name == postgres:
		return `text COLLATE "C"`
	// The character types of MySQL would ignore case, accents or trailing spaces, and would convert from the character
	// set of the connection.
	case name == mysql && size > 0:
		return fmt.Sprintf("varbinary(%d)", size)
	case name == mysql:
		return "mediumblob"
	default:
		return "text"
	}
}

// Value refuses what PostgreSQL would not take. The other databases would, but then rows could not be moved.
func (t text) Value() (driver.Value, error) {
	if !storable(string(t)) {
		return nil, errors.New("gormstore: text is not UTF-8 or holds a NUL")
	}
	return string(t), nil
}

func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// fits returns an error if a part of a primary key is too long. A database that is not strict would cut it.
func fits[T ~string](what string, s T, limit int) error {
	if len(s) > limit {
		return fmt.Errorf("gormstore: a %s has at most %d bytes, this one has %d", what, limit, len(s))
	}
	return nil
}

// digest is what an index holds in place of a text of any length: 64 bits of its SHA-256. Rows that it finds are compared
// whole. It is nil, which no index finds, for the empty text.
func digest(s string) *int64 {
	if s == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(s))
	return new(int64(binary.BigEndian.Uint64(sum[:])))
}

// seconds returns t as Unix seconds; nil stands for the zero time and tells it from 1970.
func seconds(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(t.Unix())
}

// instant is the inverse of seconds.
func instant(s *int64) time.Time {
	if s == nil {
		return time.Time{}
	}
	return time.Unix(*s, 0).UTC()
}
