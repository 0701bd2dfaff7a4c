package runs

import "testing"

const document = `
| what | SQLite |
| --- | --- |
| histories | 20,000 |

| what | SQLite | PostgreSQL |
| --- | --- | --- |
| kills | many | 100 |
`

func TestCellFindsTheNumberOfARowAndAColumn(t *testing.T) {
	for _, test := range []struct {
		row, column string
		want        int
	}{{"histories", "SQLite", 20000}, {"kills", "PostgreSQL", 100}} {
		if got, err := cell(document, test.row, test.column); err != nil || got != test.want {
			t.Errorf("%s, %s: got %d, %v, want %d", test.row, test.column, got, err, test.want)
		}
	}
	for _, test := range [][2]string{{"histories", "PostgreSQL"}, {"kills", "SQLite"}, {"what", "Oracle"}} {
		if got, err := cell(document, test[0], test[1]); err == nil {
			t.Errorf("%s, %s: got %d, want an error", test[0], test[1], got)
		}
	}
}
