package process

import (
	"errors"
	"maps"
	"os"
	"sync"

	"gorm.io/gorm"
)

// Fuse makes a child kill itself, just before a statement to the database or just after it.
type Fuse struct {
	Statement string // "update hostbond_installations"; the verbs are insert, select, update and delete
	After     bool
	Count     int // which of the statements from now on, 1 being the next
}

// statements counts what the app says to its database, and burns down the fuse.
type statements struct {
	mu     sync.Mutex
	counts map[string]int
	fuse   Fuse
}

// watch has GORM report its statements. A write of the store is committed after it, since it is one statement.
func (s *statements) watch(db *gorm.DB) error {
	const begin, end = "process:begin", "process:end"
	on := db.Callback()
	return errors.Join(
		on.Create().Before("*").Register(begin, s.begin("insert")), on.Create().After("*").Register(end, s.end("insert")),
		on.Query().Before("*").Register(begin, s.begin("select")), on.Query().After("*").Register(end, s.end("select")),
		on.Update().Before("*").Register(begin, s.begin("update")), on.Update().After("*").Register(end, s.end("update")),
		on.Delete().Before("*").Register(begin, s.begin("delete")), on.Delete().After("*").Register(end, s.end("delete")),
	)
}

func (s *statements) begin(verb string) func(*gorm.DB) {
	return func(db *gorm.DB) {
		statement := verb + " " + db.Statement.Table
		s.mu.Lock()
		s.counts[statement]++
		s.mu.Unlock()
		s.burn(statement, false)
	}
}

func (s *statements) end(verb string) func(*gorm.DB) {
	return func(db *gorm.DB) { s.burn(verb+" "+db.Statement.Table, true) }
}

func (s *statements) burn(statement string, after bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fuse.Statement != statement || s.fuse.After != after {
		return
	}
	if s.fuse.Count--; s.fuse.Count == 0 {
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Kill()
		}
		if err != nil {
			panic(err)
		}
		select {} // the lock is held to the end
	}
}

func (s *statements) set(fuse Fuse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fuse = fuse
}

// made returns how often each statement was made.
func (s *statements) made() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counts)
}
