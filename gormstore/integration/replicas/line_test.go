package replicas

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
	"github.com/jackc/pgx/v5/pgconn"
)

// line is the only way to a database. It can be cut, so that connections break off and new ones do too, and it can hang,
// so that nothing comes through until it is mended.
type line struct {
	listener net.Listener
	network  string
	address  string

	mu      sync.Mutex
	changed sync.Cond
	is      state
	ends    map[net.Conn]struct{} // of all connections, both ends
	pumps   sync.WaitGroup
}

type state int

const (
	mended state = iota
	hung
	cut
)

// newLine returns a line to the database, and the database as it is seen from the other end.
func newLine(t *testing.T, database databases.Database) (*line, databases.Database) {
	t.Helper()
	config, err := pgconn.ParseConfig(database.DSN)
	if err != nil {
		t.Fatal(err)
	}
	l := &line{ends: map[net.Conn]struct{}{}}
	l.changed.L = &l.mu
	l.network, l.address = pgconn.NetworkAddress(config.Host, config.Port)
	if l.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	l.pumps.Go(l.accept)
	t.Cleanup(func() {
		l.listener.Close()
		l.set(cut)
		l.pumps.Wait()
	})

	u, err := url.Parse(database.DSN)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Del("host")
	query.Del("port")
	u.Host, u.RawQuery = l.listener.Addr().String(), query.Encode()
	return l, databases.Database{Kind: database.Kind, DSN: u.String()}
}

func (l *line) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial(l.network, l.address)
		if err != nil {
			client.Close()
			continue
		}
		l.mu.Lock()
		l.ends[client], l.ends[server] = struct{}{}, struct{}{}
		if l.is == cut {
			l.breakOff()
		}
		l.mu.Unlock()
		l.pumps.Go(func() { l.pump(server, client) })
		l.pumps.Go(func() { l.pump(client, server) })
	}
}

// pump carries what one end says to the other. What a hanging line has taken is delivered late, even if whoever said it
// has hung up since: a database may do what nobody waits for any more.
func (l *line) pump(to, from net.Conn) {
	defer l.forget(from)
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		l.whileHung()
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				_, _ = io.Copy(io.Discard, from)
				return
			}
		}
		if err != nil {
			if to, ok := to.(interface{ CloseWrite() error }); ok {
				_ = to.CloseWrite()
			}
			return
		}
	}
}

func (l *line) whileHung() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.is == hung {
		l.changed.Wait()
	}
}

// set changes the line.
func (l *line) set(is state) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.is = is
	if is == cut {
		l.breakOff()
	}
	l.changed.Broadcast()
}

// breakOff resets all connections; l.mu is held.
func (l *line) breakOff() {
	for end := range l.ends {
		if end, ok := end.(*net.TCPConn); ok {
			_ = end.SetLinger(0)
		}
		_ = end.Close()
		delete(l.ends, end)
	}
}

// forget ends one end of a connection when nothing more comes from it.
func (l *line) forget(end net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = end.Close()
	delete(l.ends, end)
}
