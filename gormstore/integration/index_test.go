package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/gormstore"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
	"gorm.io/gorm"
)

// populate makes a table of 25 installations, of which the first are bound to app-wide secrets, and doubles their number
// a few times.
func populate(t testing.TB, database databases.Database, db *gorm.DB, store *gormstore.Store, boundSites, doublings int) {
	t.Helper()
	for n := range 25 {
		i := &core.Installation{
			Key:     core.Key{AppKey: appKey, ClientKey: fmt.Sprint("client ", n)},
			State:   core.Installed,
			Signing: core.SignedRS256,
			Site:    core.Site{BaseURL: fmt.Sprintf("https://site-%d.example", n), Description: strings.Repeat("d", 300)},
		}
		switch {
		case n >= boundSites:
			i.Secrets = ownSecrets(t, fmt.Sprint("the secret of client ", n))
		case n%3 == 0:
			i.Secrets = bindTo(t, olderAppSecret, newerAppSecret)
		default:
			i.Secrets = bindTo(t, newerAppSecret)
		}
		put(t, store, i)
	}

	another := "client_key || ?"
	if database.Kind == databases.MySQL {
		another = "CONCAT(client_key, ?)"
	}
	types, err := db.Migrator().ColumnTypes(gormstore.Models()[0])
	if err != nil {
		t.Fatal(err)
	}
	var columns []string
	for _, column := range types {
		columns = append(columns, column.Name())
	}
	into := strings.Join(columns, ", ")
	double := fmt.Sprintf("INSERT INTO hostbond_installations (%s) SELECT %s FROM hostbond_installations",
		into, strings.Replace(into, "client_key", another, 1))
	for n := range doublings {
		if err := db.Exec(double, string(rune('a'+n))).Error; err != nil {
			t.Fatal(err)
		}
	}

	// The servers do so by themselves, but not at once.
	learn := map[databases.Kind]string{
		databases.SQLite:     "ANALYZE",
		databases.PostgreSQL: "VACUUM ANALYZE hostbond_installations",
		databases.MySQL:      "ANALYZE TABLE hostbond_installations",
	}[database.Kind]
	if err := db.Exec(learn).Error; err != nil {
		t.Fatal(err)
	}
}

// Health checks count, so they must not have to read the rows themselves, which are wide.
func TestBindingsAreCountedInTheirIndexAlone(t *testing.T) {
	for name, boundSites := range map[string]int{"a few sites are bound": 3, "every site is bound": 25} {
		t.Run(name, func(t *testing.T) {
			databases.Each(t, func(t *testing.T, database databases.Database) {
				db := database.Open(t, nil)
				store := databases.NewStore(t, db, newKeyring(t))
				populate(t, database, db, store, boundSites, 7)

				var statement string
				var values []any
				err := db.Callback().Query().After("gorm:query").Register("test:statement", func(db *gorm.DB) {
					statement, values = db.Statement.SQL.String(), db.Statement.Vars
				})
				if err != nil {
					t.Fatal(err)
				}
				wantBindings(t, store, map[string]int{
					newerAppSecret: boundSites << 7,
					olderAppSecret: (boundSites + 2) / 3 << 7,
				})
				explain := "EXPLAIN "
				if database.Kind == databases.SQLite {
					explain = "EXPLAIN QUERY PLAN "
				}
				var plan strings.Builder
				readAll(t, db, explain+statement, values, func(column, content string) {
					fmt.Fprintf(&plan, "%s: %s\n", column, content)
				})
				for _, want := range map[databases.Kind][]string{
					databases.SQLite:     {"USING COVERING INDEX hostbond_installations_bindings"},
					databases.PostgreSQL: {"Index Only Scan using hostbond_installations_bindings"},
					databases.MySQL:      {"\nkey: hostbond_installations_bindings\n", "Using index"},
				}[database.Kind] {
					if !strings.Contains(plan.String(), want) {
						t.Errorf("got the plan\n%s\nwant one that says %q", plan.String(), want)
					}
				}
			})
		})
	}
}
